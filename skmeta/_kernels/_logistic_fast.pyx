# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False, nonecheck=False
"""Normal posteriors of many logistic tasks; specified in `_logistic_py`."""

import numpy as np

cdef extern from "_logistic.h":
    ctypedef struct LogisticProblem:
        const double* doubles
        const float* floats
        const double* y
        const double* weight
        const Py_ssize_t* order
        const Py_ssize_t* starts
        const double* held
        Py_ssize_t d, n_held
        const double* origin
        const double* mean
        const double* scale
        double bias
        const double* root
        Py_ssize_t r
        const double* lines
        double* parameters
        double* variances
        double* factors
        Py_ssize_t k
    ctypedef struct LogisticKernel:
        Py_ssize_t (*scratch)(Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
        void (*solve)(
            const LogisticProblem*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
            double*, double*, Py_ssize_t*
        ) noexcept nogil
    const LogisticKernel* skmeta_logistic_kernel() noexcept nogil


def logistic_factors(
    batch, held, const double[::1] origin, const double[::1] mean,
    const double[::1] scale, double bias, const double[:, ::1] root,
    const double[:, ::1] lines, double[:, ::1] parameters,
    double[::1] variances, double[:, :, ::1] factors,
):
    """Find the posterior of every task and its quadratic: (values, n_steps)."""
    cdef LogisticProblem problem
    cdef Py_ssize_t n_tasks = lines.shape[0], d = mean.shape[0], p = d + 1
    cdef const double[:, ::1] doubles
    cdef const float[:, ::1] floats
    cdef const double[::1] y = batch.y, weight
    cdef const Py_ssize_t[::1] starts = batch.starts, order
    cdef const double[:, :, ::1] held_rows
    cdef Py_ssize_t n_samples = y.shape[0], longest = 0, t

    problem.doubles, problem.floats = NULL, NULL
    problem.weight, problem.order, problem.held = NULL, NULL, NULL
    problem.n_held = 0
    shapes = [
        ("X", batch.X, (n_samples, d)), ("starts", starts, (n_tasks + 1,)),
        ("origin", origin, (p,)), ("scale", scale, (d,)),
        ("root", root, (p, root.shape[1])), ("lines", lines, (n_tasks, p)),
        ("parameters", parameters, (n_tasks, p)),
        ("variances", variances, (n_samples,)),
        ("factors", factors, (n_tasks, factors.shape[1], p + 1)),
    ]
    if batch.X.dtype == np.float32:
        floats = batch.X
        problem.floats = &floats[0, 0] if floats.size else NULL
    else:
        doubles = batch.X
        problem.doubles = &doubles[0, 0] if doubles.size else NULL
    if batch.sample_weight is not None:
        weight = batch.sample_weight
        shapes.append(("sample_weight", weight, (n_samples,)))
        problem.weight = &weight[0] if n_samples else NULL
    if batch.order is not None:
        order = batch.order[0]
        shapes.append(("order", order, (n_samples,)))
        problem.order = &order[0] if n_samples else NULL
    if held is not None and held.size:
        held_rows = held
        problem.n_held = held_rows.shape[1]
        problem.held = &held_rows[0, 0, 0]
        shapes.append(("held", held_rows, (n_tasks, problem.n_held, p + 1)))
    for name, array, shape in shapes:
        if array.shape[:len(shape)] != shape:
            raise ValueError(
                f"{name} must have shape {shape}. Got {array.shape[:len(shape)]}."
            )
    for t in range(n_tasks):
        if not 0 <= starts[t] <= starts[t + 1] <= n_samples:
            raise ValueError("starts must rise from 0 to the number of rows.")
        longest = max(longest, starts[t + 1] - starts[t])
    if factors.shape[1] < min(longest, p + 1):
        raise ValueError(
            f"factors must have {min(longest, p + 1)} rows. Got {factors.shape[1]}."
        )
    longest += problem.n_held
    values, n_steps = np.empty(n_tasks), np.zeros(n_tasks, dtype=np.intp)
    if n_tasks == 0:
        return values, n_steps
    cdef double[::1] value = values
    cdef Py_ssize_t[::1] steps = n_steps
    problem.y = &y[0] if n_samples else NULL
    problem.starts = &starts[0]
    problem.d, problem.bias, problem.r = d, bias, root.shape[1]
    problem.origin, problem.mean = &origin[0], &mean[0] if d else NULL
    problem.scale = &scale[0] if d else NULL
    problem.root = &root[0, 0] if root.size else NULL
    problem.lines, problem.parameters = &lines[0, 0], &parameters[0, 0]
    problem.factors = &factors[0, 0, 0] if factors.size else NULL
    problem.k = factors.shape[1]
    problem.variances = &variances[0] if n_samples else NULL
    cdef const LogisticKernel* kernel = skmeta_logistic_kernel()
    cdef double[::1] scratch = np.empty(
        kernel.scratch(longest, d, problem.r)
    )
    with nogil:
        kernel.solve(
            &problem, 0, n_tasks, longest, &scratch[0], &value[0], &steps[0]
        )
    return values, n_steps
