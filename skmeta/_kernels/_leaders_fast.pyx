# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False, nonecheck=False
"""The regularised leaders of a task, without the GIL; specified in `_leaders_py`."""

from libc.math cimport INFINITY, exp, fabs, fmax, isfinite, log1p, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

cdef extern from "_leaders.h":
    ctypedef void (*AddRows)(
        double*, const double*, const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t
    ) noexcept nogil
    ctypedef void (*AddOuter)(
        double*, const double*, const double*, const double*, const double*,
        Py_ssize_t, Py_ssize_t
    ) noexcept nogil

    AddRows skmeta_add_rows()
    AddOuter skmeta_add_outer()

# The functions of `_rows.h` for this processor.
cdef AddRows add_rows = skmeta_add_rows()
cdef AddOuter add_outer = skmeta_add_outer()

cdef double ROUNDING = 1e-14  # of a pivot, where the diagonal is one
cdef int MAX_STEPS = 200
cdef int PATIENCE = 30  # steps until there are but Newton's
cdef double CONVERGED = 1e-25  # squared length of a step, relative
cdef double SMALL = 1e-12  # likewise: values no longer tell such steps apart
cdef double LARGE = 1e-6  # likewise: too much to gain, where no step gains
cdef double SLOW = 0.05  # factor of squared lengths that calls for the true Hessian


cdef double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    cdef double p = 0.0, q = 0.0, r = 0.0, s = 0.0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        p += a[i] * b[i]
        q += a[i + 1] * b[i + 1]
        r += a[i + 2] * b[i + 2]
        s += a[i + 3] * b[i + 3]
        i += 4
    while i < n:
        p += a[i] * b[i]
        i += 1
    return (p + q) + (r + s)


cdef void cholesky(
    double* U, Py_ssize_t n, Py_ssize_t stride, double least
) noexcept nogil:
    """U in place of U'U, upper triangles; the diagonal is one, or zero.

    A pivot of the size of rounding errors becomes `least`; of zero, so does its row.
    """
    cdef Py_ssize_t i, j, k
    cdef double pivot, factor
    cdef double* row
    cdef double* other
    for k in range(n):
        row = U + k * stride
        pivot = row[k] if row[k] > ROUNDING else least
        factor = 1.0 / sqrt(pivot) if pivot > 0.0 else 0.0
        for j in range(k, n):
            row[j] *= factor
        row[k] = sqrt(pivot)
        for i in range(k + 1, n):
            if row[i] != 0.0:  # most are, for nearly diagonal matrices
                other = U + i * stride
                factor = -row[i]
                add_rows(other + i, &factor, row + i, 1, n - i, 0)


cdef void find_root(
    const double* S, double* R, double* U, Py_ssize_t p
) noexcept nogil:
    """Lower triangular R with R R' = S; U is scratch of the same size."""
    cdef Py_ssize_t i, j
    for i in range(p):
        for j in range(i, p):
            U[i * p + j] = 0.0
            if S[i * p + j] != 0.0:
                U[i * p + j] = S[i * p + j] / sqrt(S[i * p + i]) / sqrt(S[j * p + j])
    cholesky(U, p, p, 0.0)
    for i in range(p):
        for j in range(p):
            R[i * p + j] = U[j * p + i] * sqrt(S[i * p + i]) if j <= i else 0.0


def roots(matrices):
    """R with R R' = S for every S, lower triangular; see `_leaders_py`."""
    cdef const double[:, :, ::1] S = np.ascontiguousarray(matrices, dtype=np.float64)
    cdef Py_ssize_t k, p = S.shape[1]
    if S.shape[2] != p or not p:
        raise ValueError(f"Matrices must be square. Got shape {matrices.shape}.")
    found = np.empty((S.shape[0], p, p))
    cdef double[:, :, ::1] R = found
    cdef double[:, ::1] U = np.empty((p, p))
    with nogil:
        for k in range(S.shape[0]):
            find_root(&S[k, 0, 0], &R[k, 0, 0], &U[0, 0], p)
    return found


cdef int check_rows(bint fit) except -1:
    if not fit:
        raise ValueError("The arrays of a task do not fit together.")
    return 0


def ridge_leaders(
    const double[:, ::1] design,
    const double[::1] target,
    const double[::1] weight,
    double[::1] theta,
    double[:, ::1] root,
    double[::1] scores,
    double[::1] average=None,
):
    """Potter's form of recursive least squares; see `_leaders_py`."""
    cdef Py_ssize_t i, q, m = design.shape[0], p = design.shape[1]
    cdef double score, stretch, pull, shrink, direction
    cdef const double* x
    cdef double* row
    cdef bint finite = True
    check_rows(
        theta.shape[0] == p and root.shape[0] == p and root.shape[1] == p
        and target.shape[0] == m and weight.shape[0] == m and scores.shape[0] == m
        and (average is None or average.shape[0] == p)
    )
    cdef double* f = <double*> malloc(p * sizeof(double))
    if f == NULL:
        raise MemoryError
    with nogil:
        if average is not None:
            average[:] = 0.0
        for i in range(m):
            x = &design[i, 0]
            score = dot(x, &theta[0], p)
            scores[i] = score
            if average is not None:
                for q in range(p):
                    average[q] += theta[q] / m
            memset(f, 0, p * sizeof(double))
            add_rows(f, x, &root[0, 0], p, p, p)
            stretch = 1.0 + weight[i] * dot(f, f, p)
            if not (isfinite(score) and isfinite(stretch)):
                finite = False
                break
            pull = weight[i] * (target[i] - score) / stretch
            shrink = weight[i] / (stretch + sqrt(stretch))
            for q in range(p):
                row = &root[q, 0]
                direction = dot(row, f, p)
                if direction != 0.0:
                    theta[q] += pull * direction
                    direction *= -shrink
                    add_rows(row, &direction, f, 1, p, 0)
        for q in range(p):
            finite = finite and isfinite(theta[q])
    free(f)
    return finite


# ---- log loss

cdef enum Outcome:
    ON_THE_WAY
    FOUND
    LOST

cdef struct Problem:
    # min sum_j weight_j log(1 + exp(-s_j)) + ||z||**2 / 2, s = base + A z, over the
    # first n of r coordinates and the first m of `size` samples.
    Py_ssize_t n
    Py_ssize_t r
    Py_ssize_t m
    Py_ssize_t size
    const double* weight
    double* base
    double* A
    double* At
    # At z: the margins, weighted slopes and weighted curvatures of the samples.
    double* z
    double* before
    double* s
    double* slope
    double* curvature
    double* gradient
    # C is about the inverse of the second derivative, step is C @ gradient.
    double* C
    double* step
    double gain
    # What an iteration works with.
    double* trial
    double* trial_gradient
    double* trial_step
    double* change
    double* left
    double* right
    double* coefs
    double* scale
    double* H
    double* N
    # white = A basis, with orthonormal rows in `basis` if r = size, else the identity.
    double* white
    double* basis
    double* inside
    double* total


cdef void evaluate(Problem* f, const double* z, double* gradient) noexcept nogil:
    """Margins, slopes, curvatures and the gradient at z."""
    cdef Py_ssize_t j
    cdef double e, share
    memcpy(f.s, f.base, f.m * sizeof(double))
    add_rows(f.s, z, f.At, f.n, f.m, f.size)
    for j in range(f.m):
        e = exp(-fabs(f.s[j]))
        share = 1.0 / (1.0 + e)
        f.slope[j] = -f.weight[j] * (e * share if f.s[j] > 0.0 else share)
        f.curvature[j] = f.weight[j] * e * share * share
    memcpy(gradient, z, f.n * sizeof(double))
    add_rows(gradient, f.slope, f.A, f.m, f.n, f.r)


cdef double value(Problem* f, const double* z) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total = 0.5 * dot(z, z, f.n)
    memcpy(f.s, f.base, f.m * sizeof(double))
    add_rows(f.s, z, f.At, f.n, f.m, f.size)
    for j in range(f.m):
        total += f.weight[j] * (fmax(-f.s[j], 0.0) + log1p(exp(-fabs(f.s[j]))))
    return total


cdef void direct(Problem* f) noexcept nogil:
    """The step along C and its squared length."""
    memset(f.step, 0, f.n * sizeof(double))
    add_rows(f.step, f.gradient, f.C, f.n, f.n, f.r)
    f.gain = dot(f.step, f.gradient, f.n)


cdef void invert_hessian(Problem* f) noexcept nogil:
    """C, exactly, of the curvatures last evaluated."""
    cdef Py_ssize_t i, j, k, n = f.n, r = f.r
    cdef double* H = f.H
    cdef double* N = f.N
    for i in range(n):
        for j in range(f.m):
            f.coefs[j] = f.curvature[j] * f.A[j * r + i]
        memset(H + i * r, 0, n * sizeof(double))
        H[i * r + i] = 1.0
        add_rows(H + i * r + i, f.coefs, f.A + i, f.m, n - i, r)
        f.scale[i] = 1.0 / sqrt(H[i * r + i])
    for i in range(n):
        for j in range(i, n):
            H[i * r + j] *= f.scale[i] * f.scale[j]
    # Where rounding hides how small a pivot is, a step still descends.
    cholesky(H, n, r, ROUNDING)
    for i in range(n):  # N: inverse of the transpose, lower triangular
        for k in range(i):
            f.coefs[k] = -H[k * r + i] / H[i * r + i]
        memset(N + i * r, 0, n * sizeof(double))
        N[i * r + i] = 1.0 / H[i * r + i]
        add_rows(N + i * r, f.coefs, N, i, n, r)
    for i in range(n):
        for k in range(i, n):
            f.coefs[k - i] = N[k * r + i]
        memset(f.C + i * r, 0, n * sizeof(double))
        add_rows(f.C + i * r, f.coefs, N + i * r, n - i, n, r)
        for j in range(n):
            f.C[i * r + j] *= f.scale[i] * f.scale[j]


cdef Outcome newton_step(Problem* f, double* last_gain) noexcept nogil:
    """One step along the true inverse Hessian, as in `skmeta._solvers.newton`."""
    cdef Py_ssize_t q
    cdef double current = 0.0, share = 1.0
    cdef double size = 1.0 + dot(f.z, f.z, f.n)
    cdef bint is_small
    evaluate(f, f.z, f.gradient)
    invert_hessian(f)
    direct(f)
    is_small = f.gain <= SMALL * size
    if f.gain > CONVERGED * size:
        if is_small and not f.gain < last_gain[0]:
            return FOUND
        last_gain[0] = f.gain
    if not is_small:
        current = value(f, f.z)
    while True:
        for q in range(f.n):
            f.trial[q] = f.z[q] - share * f.step[q]
        if is_small or value(f, f.trial) <= current - 1e-4 * share * f.gain:
            break
        share *= 0.5
        if share < 1e-12:
            return FOUND if f.gain <= LARGE * size else LOST
    memcpy(f.z, f.trial, f.n * sizeof(double))
    if f.gain <= CONVERGED * size:
        return FOUND
    evaluate(f, f.z, f.gradient)
    direct(f)
    return ON_THE_WAY


cdef void learn_curvature(Problem* f) noexcept nogil:
    """The BFGS update of C, by the step just taken; and the next step."""
    cdef Py_ssize_t q
    cdef double along, across, square, to_step, to_change
    for q in range(f.n):
        f.trial_gradient[q] -= f.gradient[q]  # the change
        f.change[q] = f.trial_step[q] - f.step[q]  # C times it
    along = -dot(f.step, f.trial_gradient, f.n)
    square = dot(f.change, f.trial_gradient, f.n)
    for q in range(f.n):
        f.gradient[q] += f.trial_gradient[q]
    if not along > 0.0:
        memcpy(f.step, f.trial_step, f.n * sizeof(double))
        f.gain = dot(f.step, f.gradient, f.n)
        return
    # C += s t' - u v' with s = v = step; t and u hold all the rest.
    square = (1.0 + square / along) / along
    for q in range(f.n):
        f.left[q] = square * f.step[q] + f.change[q] / along
        f.right[q] = -f.change[q] / along
    add_outer(f.C, f.step, f.left, f.right, f.step, f.n, f.r)
    to_step = dot(f.step, f.gradient, f.n)
    to_change = dot(f.left, f.gradient, f.n)
    for q in range(f.n):
        across = f.trial_step[q] + f.step[q] * to_change - f.right[q] * to_step
        f.step[q] = across
    f.gain = dot(f.step, f.gradient, f.n)


cdef double proximal_slope(double s, double q, double weight) noexcept nogil:
    """Minus the slope at the end of a proximal step of the log loss from s."""
    cdef double low = s, high = s + q * weight, at = s, nxt, e, share
    cdef int _n
    for _n in range(60):
        e = exp(-fabs(at))
        share = 1.0 / (1.0 + e)
        e *= share
        nxt = e if at > 0.0 else share  # 1 / (1 + exp(at))
        if at - s > q * weight * nxt:
            high = at
        else:
            low = at
        nxt = at - (at - s - q * weight * nxt) / (1.0 + q * weight * e * share)
        if not low <= nxt <= high:
            nxt = 0.5 * (low + high)
        if fabs(nxt - at) <= 1e-9 * (1.0 + fabs(at)):
            break
        at = nxt
    return weight / (1.0 + exp(at)) if at < 700.0 else 0.0


cdef void add_sample(Problem* f, Py_ssize_t i) noexcept nogil:
    """Move z by sample i alone, as if the others were quadratic; and learn C."""
    cdef double* a = f.A + i * f.r
    cdef double* Ca = f.trial_step
    cdef double q, slope, curvature
    cdef Py_ssize_t j
    memset(Ca, 0, f.n * sizeof(double))
    add_rows(Ca, a, f.C, f.n, f.n, f.r)
    q = dot(a, Ca, f.n)
    if not (q > 0.0 and f.weight[i] > 0.0):
        return
    slope = proximal_slope(f.base[i] + dot(a, f.z, f.n), q, f.weight[i])
    curvature = slope * (1.0 - slope / f.weight[i])
    curvature /= 1.0 + curvature * q
    for j in range(f.n):
        f.z[j] += slope * Ca[j]
        f.left[j] = curvature * Ca[j]
        f.change[j] = 0.0
    add_outer(f.C, f.change, f.change, f.left, Ca, f.n, f.r)


cdef Outcome minimize(Problem* f) noexcept nogil:
    """Move z to the minimum, or back to `before` on the way if that is better.

    Quasi-Newton steps, with C to begin with, as long as they shrink fast; where they do
    not, Newton's, along which the value falls.
    """
    cdef Py_ssize_t q
    cdef int n
    cdef double size, gain, last_gain = INFINITY
    cdef Outcome outcome
    evaluate(f, f.z, f.gradient)
    direct(f)
    for n in range(MAX_STEPS):
        if not isfinite(f.gain):
            return LOST
        size = 1.0 + dot(f.z, f.z, f.n)
        for q in range(f.n):
            f.trial[q] = f.z[q] - f.step[q]
        if 0.0 <= f.gain <= CONVERGED * size:
            memcpy(f.z, f.trial, f.n * sizeof(double))
            return FOUND
        gain = INFINITY
        if last_gain == INFINITY or (n < PATIENCE and f.gain <= SLOW * last_gain):
            evaluate(f, f.trial, f.trial_gradient)
            memset(f.trial_step, 0, f.n * sizeof(double))
            add_rows(f.trial_step, f.trial_gradient, f.C, f.n, f.n, f.r)
            gain = dot(f.trial_step, f.trial_gradient, f.n)
        if 0.0 <= gain <= SLOW * f.gain:
            memcpy(f.z, f.trial, f.n * sizeof(double))
            if gain * gain <= CONVERGED * size * f.gain:
                # The step of this gain, too, would shrink by their ratio.
                for q in range(f.n):
                    f.z[q] -= f.trial_step[q]
                return FOUND
            learn_curvature(f)
        else:
            if last_gain == INFINITY and value(f, f.before) < value(f, f.z):
                memcpy(f.z, f.before, f.n * sizeof(double))
            outcome = newton_step(f, &last_gain)
            if outcome != ON_THE_WAY:
                return outcome
    return LOST


cdef void separate(
    double* A, double* Q, Py_ssize_t m, Py_ssize_t p, double* L
) noexcept nogil:
    """A = L Q, the rows of Q orthonormal or zero; Gram-Schmidt, twice."""
    cdef Py_ssize_t i, j, q
    cdef int _again
    cdef double part, norm, rest
    cdef double* row
    memcpy(Q, A, m * p * sizeof(double))
    memset(L, 0, m * m * sizeof(double))
    for i in range(m):
        row = Q + i * p
        norm = sqrt(dot(row, row, p))
        for _again in range(2):
            for j in range(i):
                part = dot(row, Q + j * p, p)
                if part != 0.0:
                    L[i * m + j] += part
                    part = -part
                    add_rows(row, &part, Q + j * p, 1, p, 0)
        rest = sqrt(dot(row, row, p))
        if not rest > ROUNDING * norm:
            rest = 0.0
        L[i * m + i] = rest
        for q in range(p):
            row[q] = row[q] / rest if rest > 0.0 else 0.0


cdef double* take(double** free_part, Py_ssize_t n) noexcept nogil:
    """Memory for n numbers."""
    cdef double* start = free_part[0]
    free_part[0] += n
    return start


cdef void whiten(
    Problem* f,
    const double[:, ::1] design,
    const double[:, ::1] targets,
    const double[:, ::1] theta,
    const double* root,
    Py_ssize_t k,
) noexcept nogil:
    """The problem of row k of the weights, in coordinates z."""
    cdef Py_ssize_t i, j, m = f.size, p = design.shape[1]
    cdef double sign
    memset(f.white, 0, m * p * sizeof(double))
    for i in range(m):
        sign = targets[i, k]
        f.base[i] = sign * dot(&design[i, 0], &theta[k, 0], p)
        for j in range(p):
            f.coefs[j] = sign * design[i, j]
        add_rows(f.white + i * p, f.coefs, root, p, p, p)
    if m <= p:
        separate(f.white, f.basis, m, p, f.A)
    for i in range(m):
        for j in range(f.r):
            f.At[j * m + i] = f.A[i * f.r + j]
    memset(f.C, 0, f.r * f.r * sizeof(double))
    for j in range(f.r):
        f.C[j * f.r + j] = 1.0
        f.z[j] = 0.0


cdef bint follow(
    Problem* f,
    const double[:, ::1] targets,
    Py_ssize_t k,
    double[:, ::1] scores,
) noexcept nogil:
    """The leaders before all samples: their scores, and their sum; False if not finite.

    Where there are as many coordinates as samples, one is new with every sample.
    """
    cdef Py_ssize_t i, j
    cdef double margin
    memset(f.total, 0, f.r * sizeof(double))
    for i in range(f.size):
        f.m = i + 1
        f.n = i + 1 if f.r == f.size else f.r
        for j in range(f.n):
            f.total[j] += f.z[j]
        margin = f.base[i] + dot(f.A + i * f.r, f.z, f.n)
        if not isfinite(margin):
            return False
        scores[i, k] = targets[i, k] * margin
        memcpy(f.before, f.z, f.n * sizeof(double))
        add_sample(f, i)
        if minimize(f) != FOUND:
            return False
    return True


cdef void to_parameters(
    Problem* f, const double* z, const double* root, double* theta, Py_ssize_t p
) noexcept nogil:
    """theta += the displacement that the coordinates z stand for."""
    cdef Py_ssize_t q
    if f.size <= p:
        memset(f.inside, 0, p * sizeof(double))
        add_rows(f.inside, z, f.basis, f.size, p, p)
        z = f.inside
    for q in range(p):
        theta[q] += dot(root + q * p, z, p)


cdef double* prepare(
    Problem* f, const double[::1] weight, Py_ssize_t m, Py_ssize_t p
) except NULL:
    """Memory for a problem of m samples; to be freed."""
    cdef Py_ssize_t r = min(m, p)
    cdef Py_ssize_t n_vectors = 5 * max(m, p) + 12 * r + p
    cdef double* memory = <double*> malloc(
        (2 * m * p + 2 * m * r + 3 * r * r + n_vectors) * sizeof(double)
    )
    if memory == NULL:
        raise MemoryError
    cdef double* left = memory
    f.r, f.size, f.weight = r, m, &weight[0]
    f.white, f.basis = take(&left, m * p), take(&left, m * p)
    f.A = f.white if r < m else take(&left, m * r)
    f.At = take(&left, m * r)
    f.C, f.H, f.N = take(&left, r * r), take(&left, r * r), take(&left, r * r)
    f.base, f.s = take(&left, m), take(&left, m)
    f.slope, f.curvature = take(&left, m), take(&left, m)
    f.coefs, f.inside = take(&left, max(m, p)), take(&left, p)
    f.z, f.before, f.total = take(&left, r), take(&left, r), take(&left, r)
    f.gradient, f.step, f.scale = take(&left, r), take(&left, r), take(&left, r)
    f.trial, f.trial_gradient = take(&left, r), take(&left, r)
    f.trial_step, f.change = take(&left, r), take(&left, r)
    f.left, f.right = take(&left, r), take(&left, r)
    return memory


def logistic_leaders(
    const double[:, ::1] design,
    const double[:, ::1] targets,
    const double[::1] weight,
    double[:, ::1] theta,
    const double[:, :, ::1] roots,
    double[:, ::1] scores,
    double[:, ::1] average=None,
):
    """The leaders of the log loss; see `_leaders_py`.

    In coordinates in which the pull is the identity: theta = start + root @ z, or
    start + root @ basis' @ z where there are no more samples than parameters.
    """
    cdef Py_ssize_t m = design.shape[0], p = design.shape[1], n = theta.shape[0], k, j
    cdef bint finite = True
    cdef Problem f
    check_rows(
        theta.shape[1] == p and targets.shape[0] == m and targets.shape[1] == n
        and weight.shape[0] == m and scores.shape[0] == m and scores.shape[1] == n
        and roots.shape[0] == n and roots.shape[1] == p and roots.shape[2] == p
        and (average is None or (average.shape[0] == n and average.shape[1] == p))
    )
    cdef double* memory = prepare(&f, weight, m, p)
    with nogil:
        for k in range(n):
            whiten(&f, design, targets, theta, &roots[k, 0, 0], k)
            finite = follow(&f, targets, k, scores)
            if not finite:
                break
            if average is not None:
                for j in range(f.r):
                    f.total[j] /= m
                memcpy(&average[k, 0], &theta[k, 0], p * sizeof(double))
                to_parameters(&f, f.total, &roots[k, 0, 0], &average[k, 0], p)
            to_parameters(&f, f.z, &roots[k, 0, 0], &theta[k, 0], p)
            for j in range(p):
                finite = finite and isfinite(theta[k, j])
    free(memory)
    return finite
