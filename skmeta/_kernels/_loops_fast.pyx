# cython: language_level=3, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False, nonecheck=False
"""The loops over samples and over tasks, without the GIL; specified in `_loops_py`."""

from cython cimport floating
from libc.math cimport exp, fabs, isfinite, log, log1p, pow, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np
import scipy.sparse as sp

from skmeta._kernels import _loops_py

cdef double MIN_SLACK = _loops_py.MIN_SLACK

# The order of `skmeta._losses.LOSSES`.
cdef enum LossCode:
    SQUARED_ERROR
    HUBER
    ABSOLUTE_ERROR
    EPSILON_INSENSITIVE
    PINBALL
    LOG_LOSS
    HINGE
    SQUARED_HINGE
    MODIFIED_HUBER

# Names in `INNER_UPDATES`.
cdef enum InnerUpdate:
    OGD
    IMPLICIT
    FTRL
    EG

INNER_UPDATES = {"ogd": OGD, "implicit": IMPLICIT, "ftrl": FTRL, "eg": EG}

# The `code` of the classes in `skmeta.step_size`.
cdef enum StepSizeCode:
    FIXED
    DOUBLING
    ARUBA

# The `code` of the classes in `skmeta.meta_update`.
cdef enum MetaUpdateCode:
    FOLLOW_THE_LEADER
    ADAPTIVE_OGD
    CONSTANT
    LINEAR_DECAY

cdef packed struct HistoryRow:
    long long n_samples
    double loss
    double distance
    double grad_sq_norm
    double step_size

cdef struct Matrix:
    # One stacked matrix; `indices` is NULL when it is dense.
    const int* indices
    const int* indptr
    Py_ssize_t n_features

cdef struct Targets:
    const double* y
    const double* weight  # NULL: every weight is 1
    const Py_ssize_t* order  # NULL: rows as they stand
    Py_ssize_t n_rows
    Py_ssize_t n_orders

cdef struct Inner:
    int loss
    double parameter
    bint is_margin
    int update
    double radius  # infinite: no ball
    double bias
    Py_ssize_t max_iter
    Py_ssize_t n_outputs

cdef struct Step:
    const double* eta
    bint per_coordinate


# ---- losses: f(s), f'(s), and f' at the end of a proximal step

cdef inline double clip(double s, double low, double high) noexcept nogil:
    return low if s < low else high if s > high else s


cdef inline double positive(double s) noexcept nogil:
    return s if s > 0 else 0.0


cdef inline double sigmoid(double s) noexcept nogil:
    cdef double e
    if s >= 0:
        return 1.0 / (1.0 + exp(-s))
    e = exp(s)
    return e / (1.0 + e)


cdef inline double loss_value(int code, double p, double s) noexcept nogil:
    if code == SQUARED_ERROR:
        return 0.5 * s * s
    if code == HUBER:
        return 0.5 * s * s if fabs(s) <= p else p * (fabs(s) - 0.5 * p)
    if code == ABSOLUTE_ERROR:
        return fabs(s)
    if code == EPSILON_INSENSITIVE:
        return positive(fabs(s) - p)
    if code == PINBALL:
        return (1.0 - p) * s if s > 0 else -p * s
    if code == LOG_LOSS:
        return positive(-s) + log1p(exp(-fabs(s)))
    if code == HINGE:
        return positive(1.0 - s)
    if code == SQUARED_HINGE or s >= -1.0:
        return positive(1.0 - s) * positive(1.0 - s)
    return -4.0 * s


cdef inline double loss_slope(int code, double p, double s) noexcept nogil:
    if code == SQUARED_ERROR:
        return s
    if code == HUBER:
        return clip(s, -p, p)
    if code == ABSOLUTE_ERROR:
        return 1.0 if s > 0 else -1.0
    if code == EPSILON_INSENSITIVE:
        return 1.0 if s > p else -1.0 if s < -p else 0.0
    if code == PINBALL:
        return 1.0 - p if s > 0 else -p
    if code == LOG_LOSS:
        return -sigmoid(-s)
    if code == HINGE:
        return -1.0 if s <= 1.0 else 0.0
    if code == SQUARED_HINGE or s >= -1.0:
        return -2.0 * positive(1.0 - s)
    return -4.0


cdef inline double log_loss_proximal_slope(double s, double c) noexcept nogil:
    # Newton's method, from where it converges; see `LogLoss.proximal_slope`.
    cdef double sigma, step, t = clip(0.0, s, s + c)
    cdef double start = log(c / (2.0 * (log1p(c) + fabs(s) + 1.0)))
    cdef int _n
    if start > t:
        t = start
    for _n in range(100):
        sigma = sigmoid(-t)
        step = t - (t - s - c * sigma) / (1.0 + c * sigma * (1.0 - sigma))
        if fabs(step - t) <= 1e-15 * (1.0 + fabs(t)):
            return -sigmoid(-step)
        t = step
    return -sigmoid(-t)


cdef inline double loss_proximal_slope(
    int code, double p, double s, double q, double weight
) noexcept nogil:
    if code == SQUARED_ERROR:
        return weight * s / (1.0 + weight * q)
    if code == HUBER:
        return clip(weight * s / (1.0 + weight * q), -weight * p, weight * p)
    if code == ABSOLUTE_ERROR:
        return clip(s / q, -weight, weight)
    if code == EPSILON_INSENSITIVE:
        return clip((s - clip(s, -p, p)) / q, -weight, weight)
    if code == PINBALL:
        return clip(s / q, -p * weight, (1.0 - p) * weight)
    if code == LOG_LOSS:
        return weight * log_loss_proximal_slope(s, q * weight)
    if code == HINGE:
        return -clip((1.0 - s) / q, 0.0, weight)
    s = 2.0 * weight * positive(1.0 - s) / (1.0 + 2.0 * weight * q)
    if code == SQUARED_HINGE or s <= 4.0 * weight:
        return -s
    return -4.0 * weight


# ---- one sample: a row is `n` values at `x`, in columns `column` (NULL: the first n)

cdef inline double dot(
    const floating* x, const int* column, Py_ssize_t n, const double* w
) noexcept nogil:
    cdef Py_ssize_t j
    cdef double z = 0.0
    if column == NULL:
        for j in range(n):
            z += x[j] * w[j]
    else:
        for j in range(n):
            z += x[j] * w[column[j]]
    return z


cdef inline double square_norm(
    const floating* x, const int* column, Py_ssize_t n, const double* scale
) noexcept nogil:
    # sum_j scale_j x_j**2; scale NULL: all ones
    cdef Py_ssize_t j
    cdef double z = 0.0, v
    for j in range(n):
        v = x[j]
        z += v * v * (
            1.0 if scale == NULL else scale[j if column == NULL else column[j]]
        )
    return z


cdef inline void add_row(
    double* w, double a, const double* scale, const floating* x,
    const int* column, Py_ssize_t n,
) noexcept nogil:
    # w_j += a scale_j x_j; scale NULL: all ones
    cdef Py_ssize_t j
    if column == NULL and scale == NULL:
        for j in range(n):
            w[j] += a * x[j]
    elif column == NULL:
        for j in range(n):
            w[j] += a * scale[j] * x[j]
    elif scale == NULL:
        for j in range(n):
            w[column[j]] += a * x[j]
    else:
        for j in range(n):
            w[column[j]] += a * scale[column[j]] * x[j]


cdef inline void add_squares(
    double* w, double a, const floating* x, const int* column, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t j
    cdef double v
    for j in range(n):
        v = x[j]
        w[j if column == NULL else column[j]] += a * v * v


cdef inline void project(double* theta, Py_ssize_t size, double radius) noexcept nogil:
    cdef Py_ssize_t j
    cdef double norm = 0.0
    for j in range(size):
        norm += theta[j] * theta[j]
    norm = sqrt(norm)
    if norm > radius:
        for j in range(size):
            theta[j] *= radius / norm


# ---- exponentiated gradient: theta is the difference of two positive parts

cdef void difference(
    double* theta, const double* logs, Py_ssize_t size, double radius
) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total = 0.0, largest = logs[0]
    for j in range(2 * size):
        if logs[j] > largest:
            largest = logs[j]
    for j in range(2 * size):
        total += exp(logs[j] - largest)
    for j in range(size):
        theta[j] = exp(logs[j] - largest) - exp(logs[size + j] - largest)
        theta[j] *= radius / total


cdef void split(
    double* theta, double* logs, Py_ssize_t size, double radius
) noexcept nogil:
    cdef Py_ssize_t j
    cdef double slack = radius
    for j in range(size):
        slack -= fabs(theta[j])
    if slack < MIN_SLACK * radius:
        slack = MIN_SLACK * radius
    for j in range(size):
        logs[j] = log(positive(theta[j]) + 0.5 * slack / size)
        logs[size + j] = log(positive(-theta[j]) + 0.5 * slack / size)
    difference(theta, logs, size, radius)


cdef void exponentiate(
    double* theta, double* logs, const double* change, Py_ssize_t size, double radius
) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(size):
        logs[j] += change[j]
        logs[size + j] -= change[j]
    difference(theta, logs, size, radius)


cdef bint all_finite(const double* theta, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(size):
        if not isfinite(theta[j]):
            return False
    return True


# ---- one task

cdef inline Py_ssize_t task_room(const Inner* inner, Py_ssize_t size) noexcept nogil:
    # Numbers that `learn_task` needs: slopes, what moves, logarithms of both parts.
    return 2 * inner.n_outputs + (3 * size if inner.update >= FTRL else 0)


cdef bint learn_task(
    const floating* data, const Matrix* X, const Targets* targets,
    Py_ssize_t begin, Py_ssize_t end, const Inner* inner, const Step* step,
    double* theta, double* losses, double* average, double* grad_sq,
    double* room, double* mean_loss,
) noexcept nogil:
    # `room`: see `task_room`. `losses` and `average` may be NULL.
    cdef Py_ssize_t d = X.n_features, K = inner.n_outputs, size = K * (d + 1)
    cdef Py_ssize_t n_pass, position, i, k, n, n_steps = 0
    cdef const floating* x
    cdef const int* column = NULL
    cdef const double* scale
    cdef double y, target, weight, s, q, value, norm, change, total_loss = 0.0
    cdef double bias = inner.bias
    cdef double* slopes = room
    # What moves by a step: theta, the point whose projection it is, or exponents.
    cdef double* moving = theta
    cdef double* logs = room + 2 * K + size
    cdef bint in_ball = isfinite(inner.radius)
    # The mean iterate is theta_end - sum_i i (theta_{i+1} - theta_i) / n_steps: one
    # update more per sample, on the features of the sample, while nothing is projected.
    cdef bint lazy = average != NULL and not in_ball
    if inner.update == EG:
        moving = room + 2 * K
        split(theta, logs, size, inner.radius)
    elif inner.update == FTRL and in_ball:
        moving = room + 2 * K
        memcpy(moving, theta, size * sizeof(double))
    if average != NULL:
        memset(average, 0, size * sizeof(double))
    for n_pass in range(inner.max_iter):
        for position in range(begin, end):
            i = position
            if targets.order != NULL:
                i = targets.order[
                    (n_pass % targets.n_orders) * targets.n_rows + position
                ]
            if X.indices == NULL:
                x, n = data + i * d, d
            else:
                x, n = data + X.indptr[i], X.indptr[i + 1] - X.indptr[i]
                column = X.indices + X.indptr[i]
            y = targets.y[i]
            weight = 1.0 if targets.weight == NULL else targets.weight[i]
            value = 0.0
            for k in range(K):
                target = y if K == 1 else (1.0 if y == k else -1.0)
                s = dot(x, column, n, theta + k * (d + 1))
                s += bias * theta[k * (d + 1) + d]
                s = target * s if inner.is_margin else s - target
                if not isfinite(s):
                    return False
                value += weight * loss_value(inner.loss, inner.parameter, s)
                slopes[k] = weight * loss_slope(inner.loss, inner.parameter, s)
                slopes[K + k] = s
            if not isfinite(value) or not isfinite(y):
                return False
            norm = square_norm(x, column, n, NULL) + bias * bias
            if n_pass == 0:
                total_loss += value
                if losses != NULL:
                    losses[i] = value
                for k in range(K):
                    if step.per_coordinate:
                        add_squares(
                            grad_sq + k * (d + 1), slopes[k] * slopes[k], x, column, n
                        )
                        grad_sq[k * (d + 1) + d] += slopes[k] * slopes[k] * bias * bias
                    else:
                        grad_sq[0] += slopes[k] * slopes[k] * norm
            if average != NULL and not lazy:
                for k in range(size):
                    average[k] += theta[k]
            n_steps += 1
            if inner.update == EG:
                memset(moving, 0, size * sizeof(double))
            for k in range(K):
                scale = step.eta + k * (d + 1) if step.per_coordinate else NULL
                if inner.update == IMPLICIT:
                    if scale == NULL:
                        q = step.eta[0] * norm
                    else:
                        q = square_norm(x, column, n, scale) + scale[d] * bias * bias
                    if q > 0:
                        slopes[k] = loss_proximal_slope(
                            inner.loss, inner.parameter, slopes[K + k], q, weight
                        )
                target = y if K == 1 else (1.0 if y == k else -1.0)
                change = -slopes[k] * target if inner.is_margin else -slopes[k]
                if scale == NULL:
                    change *= step.eta[0]
                add_row(moving + k * (d + 1), change, scale, x, column, n)
                if lazy:
                    add_row(
                        average + k * (d + 1), n_steps * change, scale, x, column, n
                    )
                change *= bias if scale == NULL else scale[d] * bias
                moving[k * (d + 1) + d] += change
                if lazy:
                    average[k * (d + 1) + d] += n_steps * change
            if inner.update == EG:
                exponentiate(theta, logs, moving, size, inner.radius)
            elif in_ball:
                if moving != theta:
                    memcpy(theta, moving, size * sizeof(double))
                project(theta, size, inner.radius)
    if average != NULL:
        for k in range(size):
            average[k] /= n_steps
            if lazy:
                average[k] = theta[k] - average[k]
    mean_loss[0] = total_loss / (end - begin)
    return all_finite(theta, size) and all_finite(
        grad_sq, size if step.per_coordinate else 1
    )


# ---- all tasks

cdef struct Meta:
    int step_size
    double step_size_parameters[3]
    int meta_update
    double meta_update_parameters[2]
    double meta_eta0
    bint phi_given
    bint average
    bint divide_by_root
    bint per_coordinate


cdef void propose(
    const Meta* meta, const double* rule, Py_ssize_t m, const double* eta0,
    double* eta, Py_ssize_t n_etas,
) noexcept nogil:
    cdef Py_ssize_t j
    if meta.step_size == FIXED:
        for j in range(n_etas):
            eta[j] = eta0[j]
            if meta.divide_by_root:
                eta[j] = eta0[j] / sqrt(m)
    elif meta.step_size == DOUBLING:
        eta[0] = rule[0] / (meta.step_size_parameters[1] * sqrt(m))
    else:
        for j in range(n_etas):
            eta[j] = sqrt(rule[j] / rule[n_etas + j])


cdef void observe(
    const Meta* meta, double* rule, const double* moved, double distance,
    const double* grad_sq, double t, Py_ssize_t n_etas,
) noexcept nogil:
    cdef Py_ssize_t j
    cdef double eps, zeta, decay
    if meta.step_size == DOUBLING:
        if distance > rule[0]:
            rule[0] *= meta.step_size_parameters[0]
    elif meta.step_size == ARUBA:
        eps, zeta = meta.step_size_parameters[0], meta.step_size_parameters[1]
        decay = pow(t + 1.0, meta.step_size_parameters[2])
        for j in range(n_etas):
            rule[j] += eps * eps / decay
            rule[j] += 0.5 * (
                moved[j] * moved[j] if meta.per_coordinate else distance * distance
            )
            rule[n_etas + j] += grad_sq[j] + zeta * zeta / decay


cdef double meta_step(
    const Meta* meta, double t, double weight_sum, Py_ssize_t m
) noexcept nogil:
    cdef double share
    if meta.meta_update == FOLLOW_THE_LEADER:
        return sqrt(m) / weight_sum
    if meta.meta_update == ADAPTIVE_OGD:
        return 1.0 if t == 1 and not meta.phi_given else 1.0 / weight_sum
    if meta.meta_update == CONSTANT:
        return meta.meta_eta0
    share = (t - 1.0) / (meta.meta_update_parameters[1] - 1.0)
    if share > 1.0:
        share = 1.0
    return meta.meta_eta0 + share * (meta.meta_update_parameters[0] - meta.meta_eta0)


cdef Py_ssize_t learn(
    const floating* data, const Matrix* X, const Targets* targets,
    const Py_ssize_t* starts, Py_ssize_t first, Py_ssize_t last,
    const Inner* inner, const Meta* meta, const double* eta0,
    double* phi, double* rule, double* clock,
    const double* own, const Py_ssize_t* own_index,
    HistoryRow* history, double* parameters, double* all_grad_sq, double* room,
) noexcept nogil:
    # `room` holds theta, average, moved, eta, grad_sq and the room of a task.
    cdef Py_ssize_t size = inner.n_outputs * (X.n_features + 1)
    cdef Py_ssize_t n_etas = size if meta.per_coordinate else 1
    cdef Py_ssize_t t, j, m
    cdef double a, distance, total, mean_eta, mean_loss = 0.0
    cdef double* theta = room
    cdef double* average = room + size if meta.average else NULL
    cdef double* moved = room + 2 * size
    cdef double* eta = room + 3 * size
    cdef double* grad_sq = room + 4 * size
    cdef double* task = room + 5 * size
    cdef const double* parameter = average if meta.average else theta
    cdef const double* start
    cdef Step step = Step(eta, meta.per_coordinate)
    for t in range(first, last):
        m = starts[t + 1] - starts[t]
        start = phi
        if own_index != NULL and own_index[t] >= 0:
            start = own + own_index[t] * size
        memcpy(theta, start, size * sizeof(double))
        propose(meta, rule, m, eta0, eta, n_etas)
        memset(grad_sq, 0, n_etas * sizeof(double))
        if not learn_task(
            data, X, targets, starts[t], starts[t + 1], inner, &step,
            theta, NULL, average, grad_sq, task, &mean_loss,
        ):
            return t
        distance = 0.0
        for j in range(size):
            moved[j] = parameter[j] - phi[j]
            distance += moved[j] * moved[j]
        distance = sqrt(distance)
        total = mean_eta = 0.0
        for j in range(n_etas):
            total += grad_sq[j]
            mean_eta += eta[j] / n_etas
        if not isfinite(distance):
            return t
        history[t].n_samples = m
        history[t].loss = mean_loss
        history[t].distance = distance
        history[t].grad_sq_norm = total
        history[t].step_size = mean_eta
        if parameters != NULL:
            memcpy(parameters + t * size, parameter, size * sizeof(double))
        if all_grad_sq != NULL:
            memcpy(all_grad_sq + t * n_etas, grad_sq, n_etas * sizeof(double))
            continue
        clock[0] += 1.0
        clock[1] += sqrt(m)
        observe(meta, rule, moved, distance, grad_sq, clock[0], n_etas)
        a = meta_step(meta, clock[0], clock[1], m)
        for j in range(size):
            phi[j] += a * moved[j]
    return last


# ---- from Python objects to pointers

cdef Inner as_inner(learner, Py_ssize_t n_outputs):
    cdef Inner inner
    inner.loss = learner.loss.code
    if inner.loss > MODIFIED_HUBER:
        raise ValueError(f"the kernel knows no loss of code {inner.loss}")
    inner.parameter = learner.loss.parameter
    inner.is_margin = learner.loss.is_margin
    inner.update = INNER_UPDATES[learner.update]
    inner.radius = learner.radius
    inner.bias = learner.bias
    inner.max_iter = learner.max_iter
    inner.n_outputs = n_outputs
    return inner


cdef Meta as_meta(algorithm):
    cdef Meta meta
    meta.step_size = algorithm.step_size.code
    meta.step_size_parameters = algorithm.step_size.kernel_parameters
    meta.meta_update = algorithm.meta_update.code
    meta.meta_update_parameters = algorithm.meta_update.kernel_parameters
    meta.meta_eta0 = algorithm.meta_eta0
    meta.phi_given = algorithm.phi_given
    meta.average = algorithm.task_parameter.needs_average
    meta.divide_by_root = algorithm.learner.divide_by_root
    meta.per_coordinate = False
    return meta


cdef Targets as_targets(
    const double[::1] y, const double[::1] weight, const Py_ssize_t[:, ::1] order
):
    cdef Targets targets
    targets.y = &y[0]
    targets.weight = NULL if weight is None else &weight[0]
    targets.order = NULL if order is None else &order[0, 0]
    targets.n_rows = y.shape[0]
    targets.n_orders = 1 if order is None else order.shape[0]
    return targets


cdef class Values:
    """The stored values of a matrix, and its shape; `_matrix` points into both."""

    cdef const double[::1] double_values
    cdef const float[::1] float_values
    cdef const int[::1] indices
    cdef const int[::1] indptr
    cdef bint is_double
    cdef Matrix matrix

    def __cinit__(self, X):
        if sp.issparse(X):
            values, self.indices, self.indptr = X.data, X.indices, X.indptr
            self.matrix.indices = &self.indices[0]
            self.matrix.indptr = &self.indptr[0]
        else:
            values = X.reshape(-1)
            self.matrix.indices = self.matrix.indptr = NULL
        self.matrix.n_features = X.shape[1]
        self.is_double = values.dtype == "f8"
        if self.is_double:
            self.double_values = values
        else:
            self.float_values = values


def run_task(
    batch, Py_ssize_t t, learner, double[:, ::1] theta, const double[:, ::1] eta,
    double[::1] losses, double[:, ::1] average, double[:, ::1] grad_sq,
):
    """Train `theta` on the rows of task t; see `_loops_py.run_task`."""
    cdef Values X = Values(batch.X)
    cdef Targets targets = as_targets(batch.y, batch.sample_weight, batch.order)
    cdef Inner inner = as_inner(learner, theta.shape[0])
    cdef Step step = Step(&eta[0, 0], eta.shape[1] > 1)
    cdef Py_ssize_t begin = batch.starts[t], end = batch.starts[t + 1]
    cdef double* losses_ = NULL if losses is None else &losses[0]
    cdef double* average_ = NULL if average is None else &average[0, 0]
    cdef double mean_loss
    cdef bint finite
    cdef Py_ssize_t size = theta.shape[0] * theta.shape[1]
    cdef double* room = <double*> malloc(task_room(&inner, size) * sizeof(double))
    if room == NULL:
        raise MemoryError
    with nogil:
        if X.is_double:
            finite = learn_task(
                &X.double_values[0], &X.matrix, &targets, begin, end, &inner, &step,
                &theta[0, 0], losses_, average_, &grad_sq[0, 0], room, &mean_loss,
            )
        else:
            finite = learn_task(
                &X.float_values[0], &X.matrix, &targets, begin, end, &inner, &step,
                &theta[0, 0], losses_, average_, &grad_sq[0, 0], room, &mean_loss,
            )
    free(room)
    return finite


def learn_tasks(
    batch, Py_ssize_t first, Py_ssize_t last, algorithm,
    double[:, ::1] phi, rule, double[::1] clock,
    const double[:, :, ::1] own, const Py_ssize_t[::1] own_index,
    HistoryRow[::1] history, double[:, :, ::1] parameters, double[:, :, ::1] grad_sq,
):
    """Learn from tasks `first` to `last` - 1; see `_loops_py.learn_tasks`."""
    cdef Values X = Values(batch.X)
    cdef Targets targets = as_targets(batch.y, batch.sample_weight, batch.order)
    cdef const Py_ssize_t[::1] starts = batch.starts
    cdef Inner inner = as_inner(algorithm.learner, phi.shape[0])
    cdef Meta meta = as_meta(algorithm)
    cdef const double[:, ::1] eta0 = algorithm.learner.eta0
    cdef double[::1] state = rule.reshape(-1)
    cdef const double* own_ = NULL if own_index is None else &own[0, 0, 0]
    cdef const Py_ssize_t* own_index_ = NULL if own_index is None else &own_index[0]
    cdef double* parameters_ = NULL if parameters is None else &parameters[0, 0, 0]
    cdef double* grad_sq_ = NULL if grad_sq is None else &grad_sq[0, 0, 0]
    cdef Py_ssize_t done
    cdef Py_ssize_t size = phi.shape[0] * phi.shape[1]
    cdef Py_ssize_t n_room = 5 * size + task_room(&inner, size)
    cdef double* room = <double*> malloc(n_room * sizeof(double))
    if room == NULL:
        raise MemoryError
    if meta.step_size == FIXED:
        meta.per_coordinate = eta0.shape[1] > 1
    elif meta.step_size == ARUBA:
        meta.per_coordinate = state.shape[0] > 2
    with nogil:
        if X.is_double:
            done = learn(
                &X.double_values[0], &X.matrix, &targets, &starts[0], first, last,
                &inner, &meta, &eta0[0, 0], &phi[0, 0], &state[0], &clock[0],
                own_, own_index_, &history[0], parameters_, grad_sq_, room,
            )
        else:
            done = learn(
                &X.float_values[0], &X.matrix, &targets, &starts[0], first, last,
                &inner, &meta, &eta0[0, 0], &phi[0, 0], &state[0], &clock[0],
                own_, own_index_, &history[0], parameters_, grad_sq_, room,
            )
    free(room)
    return done


cdef void score(
    const floating* data, const Matrix* X, const Py_ssize_t[::1] index,
    const double[:, :, ::1] parameters, double[:, ::1] scores,
) noexcept nogil:
    cdef Py_ssize_t d = X.n_features, i, k, n
    cdef const floating* x
    cdef const int* column = NULL
    cdef const double* theta
    for i in range(scores.shape[0]):
        if X.indices == NULL:
            x, n = data + i * d, d
        else:
            x, n = data + X.indptr[i], X.indptr[i + 1] - X.indptr[i]
            column = X.indices + X.indptr[i]
        for k in range(scores.shape[1]):
            theta = &parameters[index[i], k, 0]
            scores[i, k] = dot(x, column, n, theta) + theta[d]


def score_rows(X, const Py_ssize_t[::1] index, const double[:, :, ::1] parameters):
    """Scores of every row under its own parameter; see `_loops_py.score_rows`."""
    cdef Values values = Values(X)
    result = np.empty((X.shape[0], parameters.shape[1]))
    cdef double[:, ::1] scores = result
    with nogil:
        if values.is_double:
            score(&values.double_values[0], &values.matrix, index, parameters, scores)
        else:
            score(&values.float_values[0], &values.matrix, index, parameters, scores)
    return result
