# cython: language_level=3, boundscheck=False, wraparound=False
"""The sums of `_mixed.h`, which run without the GIL, as specified in `_mixed_py`."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.math cimport sqrt
from libc.string cimport memset

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skmeta._kernels._mixed_py import First, Second, check_shape, covariance_root

__all__ = [
    "Tasks", "add_factors", "line_losses", "solve_tasks", "sum_factors", "task_factors",
]

cdef const MixedKernel* KERNEL = skmeta_mixed_kernel()

# Sums are taken over chunks of so many tasks, in order, whatever the number of threads.
cdef Py_ssize_t CHUNK = 512
# A joblib call takes about 10 ms: fewer multiplications are done before it would start.
cdef double BREAK_EVEN = 1e8

# ---- arrays


cdef struct Views:
    Py_buffer buffer[12]
    int n


cdef int release(Views* views) except -1:
    while views.n:
        views.n -= 1
        PyBuffer_Release(&views.buffer[views.n])
    return 0


cdef Py_buffer* view(Views* views, object array, str name, int n_axes, str formats,
                     int flags=0) except NULL:
    """The buffer of a C-contiguous array with so many axes."""
    cdef Py_buffer* buffer = &views.buffer[views.n]
    try:
        PyObject_GetBuffer(array, buffer, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags)
    except (BufferError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be a C-contiguous array that can be read or written: {error}."
        ) from error
    views.n += 1
    if buffer.ndim != n_axes or chr(buffer.format[0]) not in formats:
        raise ValueError(
            f"{name} must have {n_axes} axes and a type of "
            f"{' or '.join(formats)}. Got {array.ndim} axes of {array.dtype.char}."
        )
    return buffer


cdef const double* doubles(Views* views, object array, str name, Py_ssize_t a,
                           Py_ssize_t b=-1, Py_ssize_t c=-1, int flags=0) except? NULL:
    """The numbers of an array of shape (a,), (a, b) or (a, b, c)."""
    cdef int n_axes = 1 if b < 0 else 2 if c < 0 else 3
    cdef Py_buffer* buffer = view(views, array, name, n_axes, "d", flags)
    if (
        buffer.shape[0] != a
        or (n_axes > 1 and buffer.shape[1] != b)
        or (n_axes > 2 and buffer.shape[2] != c)
    ):
        check_shape(name, array, (a, b, c)[:n_axes])
    return <const double*>buffer.buf


cdef const double* read_factors(Views* views, object factors, Py_ssize_t* shape,
                                int flags=0) except? NULL:
    cdef Py_buffer* buffer = view(views, factors, "factors", 3, "d", flags)
    shape[0], shape[1], shape[2] = buffer.shape[0], buffer.shape[1], buffer.shape[2]
    if shape[2] < 3:
        raise ValueError(f"factors must have 3 columns or more. Got {shape[2]}.")
    if shape[1] > shape[2]:
        check_shape("factors", factors, (shape[0], shape[2], shape[2]))
    return <const double*>buffer.buf


cdef int read_units(Views* views, MixedUnits* units, Py_ssize_t d, object mean,
                    object scale, double target_mean, double target_scale,
                    double bias) except -1:
    units.mean = doubles(views, mean, "mean", d)
    units.scale = doubles(views, scale, "scale", d)
    units.target_mean, units.target_scale = target_mean, target_scale
    units.bias = bias
    return 0


cdef object read_prior(Views* views, MixedPrior* prior, object S, double v,
                       Py_ssize_t p):
    """The root of S, which `prior` points to."""
    cdef const double* s = doubles(views, S, "S", p, p)
    cdef Py_ssize_t i, j
    cdef double[:, ::1] root
    prior.diagonal, prior.v = 1, v
    for i in range(p):
        for j in range(p):
            if i != j and s[i * p + j] != 0.0:
                prior.diagonal = 0
    if prior.diagonal:
        R = np.zeros((p, p))
        root = R
        for i in range(p):
            root[i, i] = sqrt(s[i * p + i])
    else:
        R = np.ascontiguousarray(covariance_root(S))
        root = R
    prior.R = &root[0, 0]
    return R

# ---- threads


cdef class Sweep:
    """A kernel over chunks of groups, and what it reads and writes."""

    cdef int kind
    cdef Py_ssize_t n_groups, n_tasks, k, width, size
    cdef int diagonal
    cdef const MixedRows* rows
    cdef const Py_ssize_t* sorted
    cdef const MixedTasks* tasks
    cdef const MixedUnits* units
    cdef const MixedPrior* prior
    cdef const MixedPosteriors* posteriors
    cdef const double* a
    cdef const double* b
    cdef const double* c
    cdef double* out
    cdef double* more_out
    cdef int* status

    def __call__(self, Py_ssize_t begin, Py_ssize_t end):
        cdef Py_ssize_t i
        with nogil:
            for i in range(begin, end):
                self.status[i] = self.chunk(i)

    cdef int chunk(self, Py_ssize_t i) noexcept nogil:
        cdef Py_ssize_t step = CHUNK // KERNEL.n_lanes, first = i * step
        cdef Py_ssize_t last = min(first + step, self.n_groups)
        cdef double* out = self.out + i * self.size
        if self.kind == FACTOR:
            return KERNEL.factor(
                self.rows, self.sorted, self.n_tasks, first, last, self.k, self.out
            )
        if self.kind == SUM:
            return KERNEL.sum(
                self.a, self.b, self.n_tasks, self.k, self.width, first, last, out,
                self.more_out,
            )
        if self.kind == LOAD:
            return KERNEL.load(
                self.tasks, self.a, self.b, self.c, self.units, first, last
            )
        if self.kind == FIRST:
            return KERNEL.first(self.tasks, self.prior, first, last, out)
        if self.kind == SECOND:
            return KERNEL.second(
                self.tasks, self.a, self.b, self.diagonal, first, last, out
            )
        if self.kind == STATES:
            return KERNEL.states(self.tasks, first, last, self.out, self.more_out)
        return KERNEL.solve(self.posteriors, self.units, self.prior, first, last)

    cdef bint run(self, double work, object n_jobs) except -1:
        """Run all chunks; True if one has failed. `work`: multiplications of a task."""
        cdef Py_ssize_t n_chunks = count_chunks(self.n_tasks), i
        cdef int one = 0
        self.n_groups = count_groups(self.n_tasks)
        status = None
        if n_chunks == 1:
            self.status = &one
        else:
            status = np.zeros(n_chunks, dtype=np.intc)
            self.status = <int*><Py_ssize_t>status.ctypes.data
        n_threads = 1
        if n_chunks > 1 and n_jobs != 1 and work * self.n_tasks > BREAK_EVEN:
            n_threads = min(effective_n_jobs(n_jobs), n_chunks)
        if n_threads > 1:
            n_pieces = min(4 * n_threads, n_chunks)
            edges = np.linspace(0, n_chunks, n_pieces + 1).astype(int)
            calls = []
            for i in range(n_pieces):
                calls.append(delayed(self)(int(edges[i]), int(edges[i + 1])))
            Parallel(n_threads, prefer="threads", require="sharedmem")(calls)
        else:
            self(0, n_chunks)
        failed = False
        for i in range(n_chunks):
            if self.status[i] < 0:
                raise MemoryError
            failed = failed or self.status[i] > 0
        return failed


cdef enum:
    FACTOR, SUM, LOAD, FIRST, SECOND, STATES, SOLVE


cdef inline Py_ssize_t count_groups(Py_ssize_t n_tasks) noexcept nogil:
    return (n_tasks + KERNEL.n_lanes - 1) // KERNEL.n_lanes


cdef inline Py_ssize_t count_chunks(Py_ssize_t n_tasks) noexcept nogil:
    return (n_tasks + CHUNK - 1) // CHUNK


cdef object sort_by_length(const Py_ssize_t[::1] lengths, Py_ssize_t longest):
    """Tasks from the longest to the shortest; those as long, as they stand."""
    cdef Py_ssize_t n_tasks = lengths.shape[0], t, size, top = min(longest, 1 << 14)
    cdef Py_ssize_t[::1] at = np.zeros(top + 2, dtype=np.intp)
    order = np.empty(n_tasks, dtype=np.intp)
    cdef Py_ssize_t[::1] places = order
    for t in range(n_tasks):
        at[top - min(lengths[t], top) + 1] += 1
    for size in range(top + 1):
        at[size + 1] += at[size]
    for t in range(n_tasks):
        size = top - min(lengths[t], top)
        places[at[size]] = t
        at[size] += 1
    return order

# ---- factors


cdef Py_ssize_t check_starts(const Py_ssize_t* starts, Py_ssize_t n_tasks,
                             Py_ssize_t n_rows, Py_ssize_t* shortest) except -1:
    """The length of the longest task."""
    cdef Py_ssize_t t, length, longest = 0
    shortest[0] = n_rows
    for t in range(n_tasks):
        length = starts[t + 1] - starts[t]
        if length < 0 or starts[t] < 0 or starts[t + 1] > n_rows:
            raise ValueError("starts must be increasing row numbers of X.")
        longest = max(longest, length)
        shortest[0] = min(shortest[0], length)
    return longest


cdef int read_rows(Views* views, object batch, object origin, MixedRows* rows,
                   Py_ssize_t* n_rows, Py_ssize_t* n_tasks) except -1:
    X, y, weight, starts, order = batch
    cdef Py_buffer* matrix = view(views, X, "X", 2, "df")
    cdef Py_buffer* buffer
    cdef Py_ssize_t i
    memset(rows, 0, sizeof(MixedRows))
    n_rows[0], rows.n_features = matrix.shape[0], matrix.shape[1]
    if matrix.format[0] == b"d":
        rows.doubles = <const double*>matrix.buf
    else:
        rows.floats = <const float*>matrix.buf
    rows.y = doubles(views, y, "y", n_rows[0])
    if weight is not None:
        rows.weight = doubles(views, weight, "sample_weight", n_rows[0])
    buffer = view(views, starts, "starts", 1, "lqn")
    rows.starts = <const Py_ssize_t*>buffer.buf
    n_tasks[0] = buffer.shape[0] - 1
    if order is not None:
        buffer = view(views, order, "order", 2, "lqn")
        rows.order = <const Py_ssize_t*>buffer.buf
        for i in range(buffer.shape[1]):
            if not 0 <= rows.order[i] < n_rows[0]:
                raise ValueError("order must hold row numbers of X.")
        n_rows[0] = buffer.shape[1]
    rows.origin = doubles(views, origin, "origin", rows.n_features + 1)
    return 0


def task_factors(batch, origin, factors, n_jobs=None):
    """See `_mixed_py.task_factors`."""
    cdef Views views
    cdef MixedRows rows
    cdef Py_ssize_t n_rows, n_tasks, longest, shortest, n
    cdef Sweep sweep = Sweep.__new__(Sweep)
    views.n = 0
    try:
        read_rows(&views, batch, origin, &rows, &n_rows, &n_tasks)
        longest = check_starts(rows.starts, n_tasks, n_rows, &shortest)
        n = rows.n_features + 2
        sweep.kind, sweep.n_tasks, sweep.k = FACTOR, n_tasks, min(longest, n)
        sweep.out = <double*>doubles(
            &views, factors, "factors", n_tasks, sweep.k, n, PyBUF_WRITABLE
        )
        if n_tasks == 0:
            return True
        sweep.rows, sweep.sorted = &rows, NULL
        if shortest < longest:
            order = sort_by_length(np.diff(batch[3]), longest)
            sweep.sorted = <const Py_ssize_t*><Py_ssize_t>order.ctypes.data
        return not sweep.run(<double>n * n * n_rows / n_tasks, n_jobs)
    finally:
        release(&views)


def line_losses(factors, line):
    """See `_mixed_py.line_losses`."""
    cdef Views views
    cdef Py_ssize_t shape[3]
    cdef const double* rows
    cdef const double* numbers
    cdef double* out
    views.n = 0
    try:
        rows = read_factors(&views, factors, shape)
        numbers = doubles(&views, line, "line", shape[2])
        losses = np.empty(shape[0])
        out = <double*>doubles(&views, losses, "losses", shape[0])
        with nogil:
            KERNEL.losses(rows, numbers, shape[0], shape[1], shape[2], out)
    finally:
        release(&views)
    return losses


def add_factors(factors, more):
    """See `_mixed_py.add_factors`."""
    cdef Views views
    cdef Py_ssize_t shape[3]
    cdef Py_ssize_t n_more
    cdef double* out
    cdef const double* rows
    cdef int status
    views.n = 0
    try:
        out = <double*>read_factors(&views, factors, shape, PyBUF_WRITABLE)
        if shape[1] != shape[2]:
            check_shape("factors", factors, (shape[0], shape[2], shape[2]))
        n_more = view(&views, more, "more", 3, "d").shape[1]
        rows = doubles(&views, more, "more", shape[0], n_more, shape[2])
        with nogil:
            status = KERNEL.add(shape[0], n_more, shape[2], out, rows)
        if status < 0:
            raise MemoryError
    finally:
        release(&views)


def sum_factors(factors, weights=None, n_jobs=None, sums=None):
    """See `_mixed_py.sum_factors`."""
    cdef Views views
    cdef Py_ssize_t shape[3]
    cdef Py_ssize_t n
    cdef double[:, :, ::1] parts
    cdef Sweep sweep = Sweep.__new__(Sweep)
    views.n = 0
    try:
        sweep.a = read_factors(&views, factors, shape)
        sweep.b = NULL
        if weights is not None:
            sweep.b = doubles(&views, weights, "weights", shape[0])
        n = shape[2]
        sweep.more_out = NULL
        if sums is not None:
            sweep.more_out = <double*>doubles(
                &views, sums, "sums", shape[0], n, -1, PyBUF_WRITABLE
            )
        total = np.zeros((1, n, n))
        if shape[0] == 0:
            return total[0]
        sweep.kind, sweep.n_tasks, sweep.k, sweep.width = SUM, shape[0], shape[1], n
        sweep.size = n * n
        pieces = np.empty((count_chunks(shape[0]), n, n))
        parts = pieces
        sweep.out = &parts[0, 0, 0]
        sweep.run(<double>n * n * shape[1], n_jobs)
    finally:
        release(&views)
    if len(pieces) > 1:
        add_factors(total, pieces.reshape(1, -1, n))
        return total[0]
    return pieces[0]

# ---- iterations


cdef Py_ssize_t matrix_size(bint dense, Py_ssize_t rows, Py_ssize_t p) noexcept:
    """As in `_mixed_lanes.h`."""
    cdef Py_ssize_t last = (p + 3) // 4 - 1
    return rows * p if dense else 8 * last * (last + 1) + (p - 4 * last) * p


cdef Py_ssize_t rows_in_use(const double* factor, Py_ssize_t k,
                            Py_ssize_t width) noexcept nogil:
    """Rows up to the last one that is not zero."""
    cdef Py_ssize_t i
    for i in range(k * width - 1, -1, -1):
        if factor[i] != 0.0:
            return i // width + 1
    return 0


cdef double* first_aligned(object numbers) except NULL:
    """The first of 8 numbers that begins a line of the cache."""
    return <double*><Py_ssize_t>((numbers.ctypes.data + 63) // 64 * 64)


cdef class Tasks:
    """See `_mixed_py.Tasks`."""

    cdef MixedTasks c
    cdef double work
    cdef int stage  # 0: no state, 1: after first, 2: after second
    cdef object n_jobs, index, information, data, kept
    cdef readonly object n_rows, weights, level
    cdef readonly Py_ssize_t n_coefficients, n_levels

    def __init__(self, factors, n_rows, weights, level, mean, scale, double target_mean,
                 double target_scale, double bias=1.0, n_jobs=None):
        cdef Views views
        cdef Py_ssize_t shape[3]
        cdef MixedUnits units
        cdef Sweep sweep = Sweep.__new__(Sweep)
        views.n = 0
        if self.c.data != NULL:
            raise ValueError("Tasks are made once.")
        try:
            sweep.a = read_factors(&views, factors, shape)
            self.c.n_tasks, self.c.k, self.c.p = shape[0], shape[1], shape[2] - 1
            check_shape("n_rows", n_rows, (shape[0],))
            self.c.q = view(&views, level, "level", 2, "d").shape[1]
            sweep.b = doubles(&views, weights, "weights", shape[0])
            sweep.c = doubles(&views, level, "level", shape[0], self.c.q)
            read_units(
                &views, &units, self.c.p - 1, mean, scale, target_mean, target_scale,
                bias,
            )
            self.n_rows, self.weights, self.level = n_rows, weights, level
            self.n_coefficients, self.n_levels = self.c.p, self.c.q
            self.n_jobs = n_jobs
            self.arrange(sweep.a)
            sweep.kind, sweep.tasks, sweep.units = LOAD, &self.c, &units
            sweep.n_tasks = shape[0]
            if shape[0]:
                sweep.run(self.work, n_jobs)
        finally:
            release(&views)

    cdef int arrange(self, const double* factors) except -1:
        """Put tasks of like length into groups and find room for them."""
        cdef Py_ssize_t n_tasks = self.c.n_tasks, p = self.c.p, q = self.c.q, t, g, k
        cdef Py_ssize_t lanes = KERNEL.n_lanes, n_groups = count_groups(n_tasks)
        cdef Py_ssize_t data = 0, kept = 0, size, rows, longest = 0, shortest = p + 1
        lengths = np.empty(n_tasks, dtype=np.intp)
        cdef Py_ssize_t[::1] length = lengths
        for t in range(n_tasks):
            length[t] = rows_in_use(factors + t * self.c.k * (p + 1), self.c.k, p + 1)
            longest, shortest = max(longest, length[t]), min(shortest, length[t])
        self.index = np.full((4, max(n_groups, 1) * lanes), -1, dtype=np.intp)
        cdef Py_ssize_t[:, ::1] index = self.index
        self.index[0, :n_tasks] = (
            sort_by_length(lengths, longest) if shortest < longest
            else np.arange(n_tasks)
        )
        for g in range(n_groups):
            k = max(length[index[0, g * lanes]], 1)
            rows = k if 2 * k <= p else p
            size = matrix_size(2 * k <= p, k, p)
            index[1, g], index[2, g], index[3, g] = k if 2 * k <= p else 0, data, kept
            data += size + rows + 2 + q
            kept += size + rows + p
            self.work += 1.0 * p * p * rows * lanes / n_tasks
        self.c.n_groups = n_groups
        self.c.task, self.c.rows = &index[0, 0], &index[1, 0]
        self.c.data_at, self.c.kept_at = &index[2, 0], &index[3, 0]
        # NumPy asks for large pages, which the first touch of aligned_alloc's lacks.
        self.data, self.kept = np.empty(data * lanes + 8), np.empty(kept * lanes + 8)
        self.c.data, self.c.kept = first_aligned(self.data), first_aligned(self.kept)
        return 0

    def first(self, S, double v, beta):
        """See `_mixed_py.Tasks.first`."""
        cdef Py_ssize_t p = self.c.p, q = self.c.q, at = p * p + p * q + q * q
        cdef Views views
        cdef MixedPrior prior
        cdef Sweep sweep = Sweep.__new__(Sweep)
        cdef double[:, ::1] parts
        parts_array = np.zeros((max(count_chunks(self.c.n_tasks), 1), at + p + q + 1))
        parts = parts_array
        views.n = 0
        self.stage = 0
        try:
            root = read_prior(&views, &prior, S, v, p)
            prior.beta = doubles(&views, beta, "beta", p + q)
            self.c.v = v
            sweep.kind, sweep.tasks, sweep.prior = FIRST, &self.c, &prior
            sweep.n_tasks, sweep.out = self.c.n_tasks, &parts[0, 0]
            sweep.size = at + p + q + 1
            if self.c.n_tasks and sweep.run(self.work, self.n_jobs):
                return None
        finally:
            release(&views)
        del root
        total = parts_array.sum(axis=0)
        information = np.empty((p + q, p + q))
        information[:p, :p] = self.information = total[: p * p].reshape(p, p)
        information[:p, p:] = total[p * p : p * p + p * q].reshape(p, q)
        information[p:, :p] = information[:p, p:].T
        information[p:, p:] = total[p * p + p * q : at].reshape(q, q)
        self.stage = 1
        return First(information, total[at : at + p + q], float(total[at + p + q]))

    def second(self, V, step, bint diagonal=False):
        """See `_mixed_py.Tasks.second`."""
        cdef Py_ssize_t p = self.c.p, q = self.c.q, square = p * p
        cdef Views views
        cdef Sweep sweep = Sweep.__new__(Sweep)
        cdef double[:, ::1] parts, root
        self.check_state()
        views.n = 0
        try:
            doubles(&views, V, "V", p + q, p + q)
            E = np.ascontiguousarray(covariance_root(V))
            root = E
            sweep.b = doubles(&views, step, "step", p + q)
            parts_array = np.zeros(
                (max(count_chunks(self.c.n_tasks), 1), 4 * square + 1)
            )
            parts = parts_array
            sweep.kind, sweep.tasks, sweep.a = SECOND, &self.c, &root[0, 0]
            sweep.n_tasks, sweep.out = self.c.n_tasks, &parts[0, 0]
            sweep.size, sweep.diagonal = 4 * square + 1, diagonal
            if self.c.n_tasks:
                sweep.run(self.work, self.n_jobs)
        finally:
            release(&views)
        total = parts_array.sum(axis=0)
        scores, squares, products, spread = total[: 4 * square].reshape(4, p, p)
        return Second(
            float(total[4 * square]), scores, self.information.copy(), squares,
            products, spread,
        )

    def pair_products(self, live):
        """See `_mixed_py.Tasks.pair_products`."""
        cdef Py_ssize_t n_live = len(live), m = n_live * (n_live + 1) // 2
        cdef Py_ssize_t step = CHUNK // KERNEL.n_lanes, i, n_real, j
        cdef int status
        cdef const Py_ssize_t[::1] coordinates = np.ascontiguousarray(live, np.intp)
        total = np.zeros((m, m))
        self.check_state()
        for j in range(n_live):
            if not 0 <= coordinates[j] < self.c.p:
                raise ValueError("live must hold numbers of coefficients.")
        if m == 0:
            return total
        scores, information = np.empty((CHUNK, m)), np.empty((CHUNK, m))
        cdef double[:, ::1] a = scores, b = information
        for i in range(count_chunks(self.c.n_tasks)):
            with nogil:
                status = KERNEL.pairs(
                    &self.c, &coordinates[0], n_live, i * step,
                    min((i + 1) * step, self.c.n_groups), &a[0, 0], &b[0, 0],
                )
            if status < 0:
                raise MemoryError
            n_real = min(self.c.n_tasks - i * CHUNK, CHUNK)
            total += scores[:n_real].T @ information[:n_real]
        return total

    def states(self):
        """See `_mixed_py.Tasks.states`."""
        cdef Py_ssize_t n_tasks = self.c.n_tasks, p = self.c.p
        cdef Sweep sweep = Sweep.__new__(Sweep)
        self.check_state()
        s, H = np.empty((n_tasks, p)), np.empty((n_tasks, p, p))
        if n_tasks == 0:
            return s, H
        cdef double[:, ::1] scores = s
        cdef double[:, :, ::1] information = H
        sweep.kind, sweep.tasks, sweep.n_tasks = STATES, &self.c, n_tasks
        sweep.out, sweep.more_out = &scores[0, 0], &information[0, 0, 0]
        sweep.run(self.work, self.n_jobs)
        return s, H

    cdef int check_state(self) except -1:
        if self.stage == 0:
            raise ValueError("There is no state: call first() before, at a valid S, v.")
        return 0


def solve_tasks(factors, lines, S, double v, mean, scale, double target_mean,
                double target_scale, double bias=1.0, bint covariance=False,
                line_covariance=None, n_jobs=None):
    """See `_mixed_py.solve_tasks`."""
    cdef Views views
    cdef Py_ssize_t shape[3]
    cdef Py_ssize_t p, n_lines
    cdef MixedUnits units
    cdef MixedPrior prior
    cdef MixedPosteriors to
    cdef Sweep sweep = Sweep.__new__(Sweep)
    cdef bint failed = False
    views.n = 0
    try:
        to.factors = read_factors(&views, factors, shape)
        p = shape[2] - 1
        to.n_tasks, to.k, to.n_features = shape[0], shape[1], p - 1
        n_lines = 1 if len(lines) == 1 else shape[0]
        to.lines = doubles(&views, lines, "lines", n_lines, p)
        to.line_stride = 0 if n_lines == 1 else p
        to.line_covariance, to.covariances = NULL, NULL
        if line_covariance is not None:
            n_lines = 1 if len(line_covariance) == 1 else shape[0]
            to.line_covariance = doubles(
                &views, line_covariance, "line_covariance", n_lines, p, p
            )
            to.spread_stride = 0 if n_lines == 1 else p * p
        read_units(&views, &units, p - 1, mean, scale, target_mean, target_scale, bias)
        root = read_prior(&views, &prior, S, v, p)
        to.S = doubles(&views, S, "S", p, p)
        means, covariances = np.empty((shape[0], p)), None
        to.means = <double*>doubles(&views, means, "means", shape[0], p)
        if covariance:
            covariances = np.empty((shape[0], p, p))
            to.covariances = <double*>doubles(
                &views, covariances, "covariances", shape[0], p, p
            )
        sweep.kind, sweep.n_tasks, sweep.posteriors = SOLVE, shape[0], &to
        sweep.units, sweep.prior = &units, &prior
        if shape[0]:
            failed = sweep.run(<double>p * p * shape[1], n_jobs)
    finally:
        release(&views)
    del root
    if failed:
        raise ValueError(f"v I + L S L' is not positive definite at v = {v}.")
    return means, covariances
