# cython: language_level=3
"""The loops of `_kernel.h`, which run without the GIL, as specified in `_loops_py`."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release,
    PyObject_CheckBuffer, PyObject_GetBuffer,
)

from libc.math cimport NAN

import numpy as np

from skmeta._kernels import _loops_py

cdef double MIN_SLACK = _loops_py.MIN_SLACK

cdef extern from "_kernel.h":
    enum: MODIFIED_HUBER
    enum: OGD, IMPLICIT, FTRL, EG
    enum: FIXED, DOUBLING

    ctypedef struct Matrix:
        const double* doubles
        const float* floats
        const int* indices
        const int* indptr
        Py_ssize_t n_rows, n_features

    ctypedef struct Data:
        Matrix X
        const double* y
        const double* weight
        const Py_ssize_t* order
        Py_ssize_t n_orders

    ctypedef struct Inner:
        int loss
        double parameter
        int update
        double radius, min_slack, bias
        Py_ssize_t max_iter, n_outputs

    ctypedef struct Meta:
        int step_size
        double step_size_parameters[3]
        int meta_update
        double meta_update_parameters[2]
        double meta_eta0
        int phi_given, average, divide_by_root

    ctypedef struct HistoryRow:
        pass

    ctypedef struct OneTask:
        const double* eta
        Py_ssize_t n_etas
        double* theta
        double* losses
        double* average
        double* grad_sq

    ctypedef struct ManyTasks:
        const Py_ssize_t* starts
        Py_ssize_t first, last
        const double* eta0
        Py_ssize_t n_etas
        double* phi
        double* rule
        double* clock
        const double* own
        const Py_ssize_t* own_index
        HistoryRow* history
        double* parameters
        double* grad_sq

    ctypedef struct Kernel:
        int (*run_task)(
            const Data*, const Inner*, Py_ssize_t, Py_ssize_t, const OneTask*
        ) nogil
        Py_ssize_t (*learn_tasks)(
            const Data*, const Inner*, const Meta*, const ManyTasks*
        ) nogil
        int (*score_rows)(
            const Matrix*, const Py_ssize_t*, const double*, Py_ssize_t, double*
        ) nogil

    const Kernel* skmeta_kernel()

INNER_UPDATES = {"ogd": OGD, "implicit": IMPLICIT, "ftrl": FTRL, "eg": EG}
cdef const Kernel* kernel = skmeta_kernel()


# ---- from Python objects to pointers

cdef void* address(
    array, size_t itemsize, char one, char other, int flags=0
) except? NULL:
    # Where the values of a contiguous array are, of one of two struct-module types;
    # NULL for None. Cheaper than a typed memoryview. The caller keeps the array alive.
    cdef Py_buffer view
    cdef void* where
    cdef char kind
    cdef bint fits
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags)
    where = view.buf
    kind = view.format[view.format[0] == b"="]  # which marks unaligned memory
    fits = <size_t> view.itemsize == itemsize and (kind == one or kind == other)
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"the kernel cannot read an array of {array.dtype}")
    return where


cdef const double* doubles(array) except? NULL:
    return <const double*> address(array, sizeof(double), b"d", b"d")


cdef double* writable(array) except? NULL:
    return <double*> address(array, sizeof(double), b"d", b"d", PyBUF_WRITABLE)


cdef HistoryRow* records(array) except? NULL:
    # Their size tells them; to have their format spelled out takes longer than a task.
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    cdef void* where = view.buf
    cdef bint fits = <size_t> view.itemsize == sizeof(HistoryRow)
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"the kernel cannot write to an array of {array.dtype}")
    return <HistoryRow*> where


cdef const Py_ssize_t* positions(array) except? NULL:
    return <const Py_ssize_t*> address(array, sizeof(Py_ssize_t), b"l", b"q")


cdef const long long* integers(array) except? NULL:
    return <const long long*> address(array, sizeof(long long), b"l", b"q")


cdef const int* columns(array) except? NULL:
    return <const int*> address(array, sizeof(int), b"i", b"l")


cdef int read_matrix(X, Matrix* matrix) except -1:
    matrix.indices = matrix.indptr = NULL
    matrix.doubles, matrix.floats = NULL, NULL
    matrix.n_rows, matrix.n_features = X.shape
    values = X
    if not PyObject_CheckBuffer(X):  # CSR
        values = X.data
        matrix.indices, matrix.indptr = columns(X.indices), columns(X.indptr)
    if values.itemsize == sizeof(double):
        matrix.doubles = doubles(values)
    else:
        matrix.floats = <const float*> address(values, sizeof(float), b"f", b"f")
    return 0


cdef int read_data(batch, Data* data) except -1:
    X, y, weight, _, order = batch
    read_matrix(X, &data.X)
    data.y, data.weight, data.order = doubles(y), doubles(weight), positions(order)
    data.n_orders = 1 if order is None else len(order)
    return 0


cdef int read_inner(learner, Inner* inner) except -1:
    loss = learner.loss
    inner.loss = loss.code
    if inner.loss > MODIFIED_HUBER:
        raise ValueError(f"the kernel knows no loss of code {inner.loss}")
    inner.parameter = loss.parameter
    inner.update = INNER_UPDATES[learner.update]
    inner.radius = learner.radius
    inner.min_slack = MIN_SLACK
    inner.bias = learner.bias
    inner.max_iter = learner.max_iter
    return 0


cdef int read_meta(algorithm, Meta* meta) except -1:
    cdef double a, b, c
    step_size, meta_update = algorithm.step_size, algorithm.meta_update
    meta.step_size = step_size.code
    a, b, c = step_size.kernel_parameters
    meta.step_size_parameters[0] = a
    meta.step_size_parameters[1] = b
    meta.step_size_parameters[2] = c
    meta.meta_update = meta_update.code
    a, b = meta_update.kernel_parameters
    meta.meta_update_parameters[0] = a
    meta.meta_update_parameters[1] = b
    meta.meta_eta0 = algorithm.meta_eta0
    meta.phi_given = algorithm.phi_given
    meta.average = algorithm.task_parameter.needs_average
    meta.divide_by_root = algorithm.learner.divide_by_root
    return 0


# ---- the functions of `_loops_py`

def run_task(batch, Py_ssize_t t, learner, theta, eta, losses, average, grad_sq):
    """Train `theta` on the rows of task t; see `_loops_py.run_task`."""
    cdef Data data
    cdef Inner inner
    cdef OneTask one
    cdef const Py_ssize_t* starts = positions(batch.starts)
    cdef int result
    read_data(batch, &data)
    read_inner(learner, &inner)
    inner.n_outputs = len(theta)
    one.eta, one.n_etas = doubles(eta), eta.size
    one.theta, one.losses = writable(theta), writable(losses)
    one.average, one.grad_sq = writable(average), writable(grad_sq)
    with nogil:
        result = kernel.run_task(&data, &inner, starts[t], starts[t + 1], &one)
    if result < 0:
        raise MemoryError
    return result == 1


def learn_tasks(
    batch, Py_ssize_t first, Py_ssize_t last, algorithm, phi, rule, clock, own,
    own_index, history, parameters, grad_sq,
):
    """Learn from tasks `first` to `last` - 1; see `_loops_py.learn_tasks`."""
    cdef Data data
    cdef Inner inner
    cdef Meta meta
    cdef ManyTasks tasks
    cdef Py_ssize_t done
    learner = algorithm.learner
    read_data(batch, &data)
    read_inner(learner, &inner)
    read_meta(algorithm, &meta)
    inner.n_outputs = len(phi)
    tasks.starts, tasks.first, tasks.last = positions(batch.starts), first, last
    eta0 = learner.eta0
    tasks.eta0 = doubles(eta0)
    if meta.step_size == FIXED:
        tasks.n_etas = eta0.size
    elif meta.step_size == DOUBLING:
        tasks.n_etas = 1
    else:
        tasks.n_etas = rule.size // 2
    tasks.phi, tasks.rule, tasks.clock = writable(phi), writable(rule), writable(clock)
    tasks.own, tasks.own_index = NULL, positions(own_index)
    if own_index is not None:
        tasks.own = doubles(own)
    tasks.history = records(history)
    tasks.parameters, tasks.grad_sq = writable(parameters), writable(grad_sq)
    with nogil:
        done = kernel.learn_tasks(&data, &inner, &meta, &tasks)
    if done < 0:
        raise MemoryError
    return done


def score_rows(X, index, parameters):
    """Scores of every row under its own parameter; see `_loops_py.score_rows`."""
    cdef Matrix matrix
    cdef Py_ssize_t n_outputs = parameters.shape[1]
    cdef const Py_ssize_t* index_ = positions(index)
    cdef const double* parameters_ = doubles(parameters)
    cdef int result
    read_matrix(X, &matrix)
    scores = np.empty((matrix.n_rows, n_outputs))
    cdef double* scores_ = writable(scores)
    with nogil:
        result = kernel.score_rows(&matrix, index_, parameters_, n_outputs, scores_)
    if result < 0:
        raise MemoryError
    return scores


def encode_labels(y, classes):
    """Targets of integer labels, 64 bits wide; see `_loops_py.encode_labels`."""
    cdef Py_ssize_t i, k, n = len(y), n_classes = len(classes)
    cdef const long long* labels = integers(y)
    cdef const long long* known = integers(classes)
    result = np.empty(n)
    cdef double* codes = writable(result)
    cdef Py_ssize_t low, high
    # Classes are often consecutive; a search would then take longer than the learning.
    # Unsigned differences do not overflow.
    cdef size_t first = <size_t> known[0]
    cdef bint consecutive = (
        <size_t> known[n_classes - 1] - first == <size_t> (n_classes - 1)
    )
    with nogil:
        for i in range(n):
            if consecutive:
                low = min(<size_t> labels[i] - first, <size_t> n_classes)
            else:
                low, high = 0, n_classes
                while low < high:
                    k = (low + high) // 2
                    if known[k] < labels[i]:
                        low = k + 1
                    else:
                        high = k
                if low < n_classes and known[low] != labels[i]:
                    low = n_classes
            if low == n_classes:
                codes[i] = NAN
            else:
                codes[i] = 2.0 * low - 1.0 if n_classes == 2 else low
    return result
