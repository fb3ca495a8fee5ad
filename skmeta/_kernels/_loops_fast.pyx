# cython: language_level=3
"""The loops of `_kernel.h`, which run without the GIL.

`run_task`, `score_rows` and `encode_labels` are specified in `_loops_py`. `learn_tasks`
is the loop over tasks for inner learners, step sizes and meta step sizes that are known
here by name. Every size is checked before a kernel reads or writes.
"""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release,
    PyObject_CheckBuffer, PyObject_GetBuffer,
)

from libc.math cimport NAN
from libc.stdlib cimport calloc, free

import numpy as np

from skmeta._kernels import _loops_py

cdef double MIN_SLACK = _loops_py.MIN_SLACK

cdef extern from "_kernel.h":
    enum LossCode:
        pass

    enum InnerUpdate:
        OGD, IMPLICIT, FTRL, EG, COIN, LTL

    enum Outcome:
        NOT_FINITE, FINITE, NO_MEMORY, NOT_IN_X

    ctypedef struct Matrix:
        const double* doubles
        const float* floats
        const int* indices
        const int* indptr
        Py_ssize_t n_rows, n_features, n_stored

    ctypedef struct Data:
        Matrix X
        const double* y
        const double* weight
        const Py_ssize_t* order
        Py_ssize_t n_orders

    ctypedef struct Inner:
        LossCode loss
        double parameter
        InnerUpdate update
        double radius, min_slack, bias
        Py_ssize_t max_iter, n_outputs

    ctypedef struct Rules:
        int step_size
        double step_size_parameters[5]
        Py_ssize_t n_etas
        const double* eta0
        int divide_by_root
        int meta_step_size
        double meta_parameters[3]
        int average

    ctypedef struct Units:
        int learned, centers, degree, scales_parameter

    ctypedef struct Algorithm:
        const Rules* candidates
        Py_ssize_t n_candidates, state_size
        Units units

    ctypedef struct RowsRule:
        LossCode loss
        double parameter, bias
        Py_ssize_t n_outputs, n_features, n_penalties
        const double* penalties
        double longest
        int is_scaled, is_quadratic, is_steep

    ctypedef struct StepSize:
        const char* name
        int one_for_all
        Py_ssize_t n_parameters
        Py_ssize_t (*state_size)(Py_ssize_t)

    ctypedef struct MetaStepSize:
        const char* name
        Py_ssize_t n_parameters, state_size

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
        Py_ssize_t first, last, n_tasks
        double* phi
        double* rule_state
        double* meta_state
        double* moments
        int phi_given
        double* moves
        const RowsRule* rows_rule
        double* leader
        const double* own
        const Py_ssize_t* own_index
        Py_ssize_t n_own
        HistoryRow* history
        double* parameters
        double* grad_sq

    ctypedef struct Kernel:
        Outcome (*run_task)(const Data*, const Inner*, const OneTask*) nogil
        Py_ssize_t (*learn_tasks)(
            const Data*, const Inner*, const Algorithm*, const ManyTasks*
        ) nogil
        Outcome (*score_rows)(
            const Matrix*, const Py_ssize_t*, const double*, Py_ssize_t, Py_ssize_t,
            double*
        ) nogil
        Py_ssize_t (*leader_size)(const RowsRule*)
        Outcome (*observe_rows)(const Data*, const RowsRule*, double*) nogil
        Outcome (*solve_leader)(const RowsRule*, double*) nogil
        const StepSize* step_sizes
        const MetaStepSize* meta_step_sizes

    const Kernel* skmeta_kernel()
    const char** skmeta_loss_names

cdef const Kernel* kernel = skmeta_kernel()


cdef dict code_losses():
    codes = {}
    while skmeta_loss_names[len(codes)] != NULL:
        codes[skmeta_loss_names[len(codes)].decode()] = len(codes)
    return codes


cdef dict code_step_sizes():
    codes = {}
    while kernel.step_sizes[len(codes)].name != NULL:
        codes[kernel.step_sizes[len(codes)].name.decode()] = len(codes)
    return codes


cdef dict code_meta_step_sizes():
    codes = {}
    while kernel.meta_step_sizes[len(codes)].name != NULL:
        codes[kernel.meta_step_sizes[len(codes)].name.decode()] = len(codes)
    return codes


cdef dict LOSS_CODES = code_losses()
cdef dict STEP_SIZES = code_step_sizes()
cdef dict META_STEP_SIZES = code_meta_step_sizes()
cdef dict UPDATES = {
    "ogd": OGD, "implicit": IMPLICIT, "ftrl": FTRL, "eg": EG, "coin": COIN, "ltl": LTL
}
LOSSES = frozenset(LOSS_CODES)

cdef enum:
    ANY_SIZE = -1


# ---- from Python objects to pointers

cdef void* address(
    name, array, Py_ssize_t size, size_t itemsize, char one, char other, int flags=0
) except? NULL:
    # Where the values of a contiguous array are, `size` of one of two types in the
    # codes of the struct module; NULL for None. Cheaper than a typed memoryview. The
    # caller holds a reference to the array.
    cdef Py_buffer view
    cdef void* where
    cdef char kind
    cdef Py_ssize_t n
    cdef bint fits
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags)
    where = view.buf
    kind = view.format[view.format[0] == b"="]  # which marks unaligned memory
    fits = <size_t> view.itemsize == itemsize and (kind == one or kind == other)
    n = view.len // view.itemsize
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"{name}: the kernel cannot read an array of {array.dtype}.")
    if size != ANY_SIZE and n != size:
        raise ValueError(
            f"{name} must have {size} entries. Got an array of shape {array.shape}."
        )
    return where


cdef const double* doubles(name, array, Py_ssize_t size) except? NULL:
    return <const double*> address(name, array, size, sizeof(double), b"d", b"d")


cdef double* writable(name, array, Py_ssize_t size) except? NULL:
    return <double*> address(
        name, array, size, sizeof(double), b"d", b"d", PyBUF_WRITABLE
    )


cdef double* row_per_task(
    name, array, Py_ssize_t n_tasks, Py_ssize_t size
) except? NULL:
    if array is None:
        return NULL
    if len(array) < n_tasks:
        raise ValueError(f"{name} must have {n_tasks} rows. Got {len(array)}.")
    return writable(name, array, len(array) * size)


cdef HistoryRow* records(array, Py_ssize_t n) except? NULL:
    # Their size tells them; to have their format spelled out takes longer than a task.
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    cdef void* where = view.buf
    cdef bint fits = <size_t> view.itemsize == sizeof(HistoryRow)
    cdef bint is_long = view.len >= n * <Py_ssize_t> sizeof(HistoryRow)
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"history: the kernel cannot write an array of {array.dtype}.")
    if not is_long:
        raise ValueError(f"history must have {n} rows. Got {len(array)}.")
    return <HistoryRow*> where


cdef const Py_ssize_t* positions(name, array, Py_ssize_t size) except? NULL:
    return <const Py_ssize_t*> address(
        name, array, size, sizeof(Py_ssize_t), b"l", b"q"
    )


cdef const long long* integers(name, array) except? NULL:
    return <const long long*> address(
        name, array, ANY_SIZE, sizeof(long long), b"l", b"q"
    )


cdef const int* columns(name, array, Py_ssize_t size) except? NULL:
    return <const int*> address(name, array, size, sizeof(int), b"i", b"l")


cdef int read_matrix(X, Matrix* matrix) except -1:
    cdef Py_ssize_t size
    matrix.indices = matrix.indptr = NULL
    matrix.doubles, matrix.floats = NULL, NULL
    matrix.n_rows, matrix.n_features = X.shape
    values = X
    if PyObject_CheckBuffer(X):
        matrix.n_stored = matrix.n_rows * matrix.n_features
    else:  # CSR
        values = X.data
        matrix.n_stored = values.size
        matrix.indices = columns("X.indices", X.indices, matrix.n_stored)
        matrix.indptr = columns("X.indptr", X.indptr, matrix.n_rows + 1)
    size = matrix.n_stored
    if values.itemsize == sizeof(double):
        matrix.doubles = doubles("X", values, size)
    else:
        matrix.floats = <const float*> address(
            "X", values, size, sizeof(float), b"f", b"f"
        )
    return 0


cdef int read_data(X, y, weight, order, Data* data) except -1:
    cdef Py_ssize_t n
    read_matrix(X, &data.X)
    n = data.X.n_rows
    data.y, data.weight = doubles("y", y, n), doubles("sample_weight", weight, n)
    data.n_orders = 1 if order is None else len(order)
    data.order = positions("order", order, data.n_orders * n)
    if data.y == NULL:
        raise ValueError("y is missing.")
    if n == 0 or data.n_orders == 0:
        raise ValueError("There are no rows to learn from.")
    return 0


cdef int read_inner(ogd, Inner* inner) except -1:
    loss = ogd.loss
    code, update = LOSS_CODES.get(loss.compiled), UPDATES.get(ogd.update)
    if code is None:
        raise ValueError(f"{loss!r} has no compiled version.")
    if update is None:
        raise ValueError(f"There is no update {ogd.update!r}.")
    inner.loss, inner.update = <LossCode> <int> code, <InnerUpdate> <int> update
    inner.parameter, inner.radius = loss.parameter, ogd.radius
    inner.min_slack, inner.bias = MIN_SLACK, ogd.bias
    inner.max_iter = ogd.max_iter
    if inner.max_iter < 1:
        raise ValueError(f"max_iter must be at least 1. Got {ogd.max_iter}.")
    return 0


cdef Py_ssize_t size_of(name, theta, const Matrix* X) except -1:
    # Of a parameter, whose shape tells the number of outputs.
    if theta.ndim != 2 or theta.shape[1] != X.n_features + 1 or not len(theta):
        raise ValueError(
            f"{name} must have shape (n_outputs, {X.n_features + 1}). "
            f"Got {theta.shape}."
        )
    return len(theta) * (X.n_features + 1)


cdef object refusal(Py_ssize_t outcome):
    if outcome == NO_MEMORY:
        return MemoryError()
    return ValueError(
        "The kernel would read outside of X, or of known parameters: the column "
        "indices of a sparse X must be smaller than its number of columns and not "
        "negative, its indptr must not decrease, and tasks must be made of its rows."
    )


# ---- the functions of `_loops_py`

def run_task(X, y, weight, order, ogd, theta, eta, losses, average, grad_sq):
    """Train `theta` on all rows of X; see `_loops_py.run_task`."""
    cdef Data data
    cdef Inner inner
    cdef OneTask one
    cdef Outcome outcome
    cdef Py_ssize_t size
    read_data(X, y, weight, order, &data)
    read_inner(ogd, &inner)
    size = size_of("theta", theta, &data.X)
    inner.n_outputs = len(theta)
    one.n_etas = 1 if eta.size == 1 else size
    one.eta = doubles("eta", eta, one.n_etas)
    one.theta, one.losses = writable("theta", theta, size), NULL
    one.losses = writable("losses", losses, data.X.n_rows)
    one.average = writable("average", average, size)
    one.grad_sq = writable("grad_sq", grad_sq, one.n_etas)
    if one.grad_sq == NULL:
        raise ValueError("grad_sq is missing.")
    with nogil:
        outcome = kernel.run_task(&data, &inner, &one)
    if outcome < 0:
        raise refusal(outcome)
    return outcome == FINITE


def score_rows(X, index, parameters):
    """Scores of every row under its own parameter; see `_loops_py.score_rows`."""
    cdef Matrix matrix
    cdef Outcome outcome
    cdef Py_ssize_t n_parameters, n_outputs
    read_matrix(X, &matrix)
    n_parameters, n_outputs, width = parameters.shape
    if width != matrix.n_features + 1:
        raise ValueError(
            f"index and parameters of shapes {index.shape} and {parameters.shape} do "
            f"not fit X of shape {X.shape}."
        )
    cdef const Py_ssize_t* index_ = positions("index", index, matrix.n_rows)
    cdef const double* parameters_ = doubles("parameters", parameters, ANY_SIZE)
    scores = np.empty((matrix.n_rows, n_outputs))
    cdef double* scores_ = writable("scores", scores, ANY_SIZE)
    with nogil:
        outcome = kernel.score_rows(
            &matrix, index_, parameters_, n_parameters, n_outputs, scores_
        )
    if outcome < 0:
        raise refusal(outcome)
    return scores


def encode_labels(y, classes):
    """Targets of integer labels, 64 bits wide; see `_loops_py.encode_labels`."""
    cdef Py_ssize_t i, k, n = len(y), n_classes = len(classes)
    cdef const long long* labels = integers("y", y)
    cdef const long long* known = integers("classes", classes)
    result = np.empty(n)
    cdef double* codes = writable("codes", result, n)
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


# ---- the loop over tasks

cdef class Plan:
    """An algorithm that the compiled loop over tasks knows, read once.

    Parameters
    ----------
    ogd : inner learner with `loss`, `update`, `radius`, `bias` and `max_iter`
        Its loss has a compiled version.
    step_size : {'fixed', 'doubling', 'similarity_ftl', 'aruba'}
    step_size_parameters : floats
        Doubling: gamma, lipschitz. SimilarityFTL: eps, lipschitz. ARUBA: eps, zeta, p,
        the factor of squared gradients, and the share of the state that is kept.
    n_etas : int
        1, or the number of parameters for one step size each.
    eta0 : float64 ndarray of n_etas entries
        The step size of 'fixed'; read by no other.
    divide_by_root : bool
        Whether 'fixed' divides eta0 by the root of the number of samples.
    meta_step_size : {'ftl', 'discounted', 'constant', 'linear'}
    meta_parameters : floats
        Discounted: the half-life. Constant: the share. Linear: the first share, the
        final one and the number of tasks between them, at least 2.
    average : bool
        Whether a task's parameter is the mean iterate, or the last one.
    candidates : list of tuples of floats, or None
        The parameters of the candidates of a step size that has several. Their states
        follow one another, each with the sum of its losses behind it, n_etas times.
    units : tuple of (bool, int, bool), or None
        For tasks that are learned in units: whether there is an intercept; the degree
        of the loss in the unit of the target, 0 if the target is left as it is; whether
        the parameter of the loss is in that unit.
    """

    cdef Inner inner
    cdef Algorithm algorithm
    cdef Rules* rules
    cdef object eta0, arguments

    def __cinit__(
        self, ogd, *, step_size, step_size_parameters, Py_ssize_t n_etas, eta0,
        bint divide_by_root, meta_step_size, meta_parameters, bint average,
        candidates=None, units=None,
    ):
        cdef Py_ssize_t k
        self.arguments = (ogd, {
            "step_size": step_size, "step_size_parameters": step_size_parameters,
            "n_etas": n_etas, "eta0": eta0, "divide_by_root": divide_by_root,
            "meta_step_size": meta_step_size, "meta_parameters": meta_parameters,
            "average": average, "candidates": candidates, "units": units,
        })
        read_inner(ogd, &self.inner)
        each = [step_size_parameters] if candidates is None else candidates
        if not each:
            raise ValueError("A step size has at least one candidate.")
        self.rules = <Rules*> calloc(len(each), sizeof(Rules))
        if self.rules == NULL:
            raise MemoryError()
        self.read_rules(step_size, n_etas, eta0, meta_step_size, meta_parameters)
        self.rules.divide_by_root, self.rules.average = divide_by_root, average
        for k in range(len(each)):
            self.rules[k] = self.rules[0]
            self.read_parameters(&self.rules[k], step_size, each[k])
        self.algorithm.candidates = self.rules
        self.algorithm.n_candidates = len(each)
        self.algorithm.state_size = (
            kernel.step_sizes[self.rules.step_size].state_size(n_etas)
        )
        if candidates is not None:
            self.algorithm.state_size += n_etas
        if units is not None:
            self.read_units(units)

    cdef int read_rules(
        self, step_size, Py_ssize_t n_etas, eta0, meta_step_size, meta_parameters
    ) except -1:
        cdef Py_ssize_t k
        if step_size not in STEP_SIZES or meta_step_size not in META_STEP_SIZES:
            raise ValueError(
                f"There is no compiled version of step_size={step_size!r} with "
                f"meta_step_size={meta_step_size!r}."
            )
        self.rules.step_size = STEP_SIZES[step_size]
        self.rules.meta_step_size = META_STEP_SIZES[meta_step_size]
        if n_etas < 1 or (
            n_etas > 1 and kernel.step_sizes[self.rules.step_size].one_for_all
        ):
            raise ValueError(f"step_size={step_size!r} cannot have n_etas={n_etas}.")
        k = kernel.meta_step_sizes[self.rules.meta_step_size].n_parameters
        if len(meta_parameters) < k or len(meta_parameters) > 3:
            raise ValueError(
                f"meta_step_size={meta_step_size!r} has {k} parameters. "
                f"Got {meta_parameters!r}."
            )
        for k in range(len(meta_parameters)):
            self.rules.meta_parameters[k] = meta_parameters[k]
        self.rules.n_etas = n_etas
        if step_size == "fixed":
            self.eta0 = np.array(eta0, dtype=np.float64, order="C")
            self.rules.eta0 = doubles("eta0", self.eta0, n_etas)
        return 0

    cdef int read_parameters(self, Rules* rules, name, parameters) except -1:
        cdef Py_ssize_t k
        k = kernel.step_sizes[rules.step_size].n_parameters
        if len(parameters) != k:
            raise ValueError(
                f"step_size={name!r} has {k} parameters. Got {tuple(parameters)}."
            )
        for k in range(len(parameters)):
            rules.step_size_parameters[k] = parameters[k]
        return 0

    cdef int read_units(self, arguments) except -1:
        cdef Units* units = &self.algorithm.units
        units.learned = True
        units.centers, units.degree, units.scales_parameter = arguments
        if not 0 <= units.degree <= 2:
            raise ValueError(f"There is no loss of degree {units.degree}.")
        return 0

    def __dealloc__(self):
        free(self.rules)

    def __reduce__(self):
        return _remake, self.arguments


def _remake(ogd, arguments):
    """The plan of these arguments; a module's function can be pickled by name."""
    return Plan(ogd, **arguments)


cdef class LeaderPlan:
    """The minimiser of the losses of all rows, as `_row_leader.py` specifies it.

    Its state is one array, the argument of its methods.

    Parameters
    ----------
    shape : tuple of int
        Of a parameter.
    penalties : float64 ndarray
    bias : float
    loss : Loss or None
        It has a compiled version. None: only `solve` will be called.
    longest : float
        The longest step of a response from its score,
    is_scaled : bool
        which is in deviations of the target.
    is_quadratic : bool
        Whether the loss is its own parabola.
    is_steep : bool
        Whether a response may be beyond the minimum of the loss.
    """

    cdef RowsRule rule
    cdef object penalties
    cdef Py_ssize_t size

    def __cinit__(
        self, shape, penalties, double bias, loss=None, double longest=1.0,
        bint is_scaled=False, bint is_quadratic=False, bint is_steep=False,
    ):
        cdef RowsRule* rule = &self.rule
        if loss is not None:
            if loss.compiled not in LOSS_CODES:
                raise ValueError(f"{loss!r} has no compiled version.")
            rule.loss = <LossCode> <int> LOSS_CODES[loss.compiled]
            rule.parameter = loss.parameter
        n_outputs, width = shape
        rule.n_outputs, rule.n_features, rule.bias = n_outputs, width - 1, bias
        self.penalties = np.array(penalties, dtype=np.float64)
        rule.n_penalties = len(self.penalties)
        if rule.n_outputs < 1 or rule.n_features < 0 or rule.n_penalties < 1:
            raise ValueError(f"There is no leader of {n_outputs} x {width} numbers.")
        rule.penalties = doubles("penalties", self.penalties, ANY_SIZE)
        rule.longest, rule.is_scaled = longest, is_scaled
        rule.is_quadratic, rule.is_steep = is_quadratic, is_steep
        self.size = kernel.leader_size(rule)

    cdef double* read_state(self, state) except? NULL:
        if state is None:
            raise ValueError("The state of the leader is None.")
        return writable("The state of the leader", state, self.size)

    def observe(self, X, y, weight, state):
        """Add rows, all of them finite and dense."""
        cdef Data data
        cdef Outcome outcome
        cdef double* leader = self.read_state(state)
        read_data(X, y, weight, None, &data)
        if data.X.indices != NULL or data.X.n_features != self.rule.n_features:
            raise ValueError(f"The leader cannot read X of shape {X.shape}.")
        with nogil:
            outcome = kernel.observe_rows(&data, &self.rule, leader)
        if outcome < 0:
            raise refusal(outcome)

    def solve(self, state):
        """Solve for the minimisers of all rows so far."""
        cdef Outcome outcome
        cdef double* leader = self.read_state(state)
        with nogil:
            outcome = kernel.solve_leader(&self.rule, leader)
        if outcome < 0:
            raise refusal(outcome)


def learn_tasks(
    batch, Py_ssize_t first, Py_ssize_t last, Plan plan not None, phi, rule_state,
    meta_state, Py_ssize_t n_tasks, own, own_index, history, parameters, grad_sq,
    moments=None, bint phi_given=True, moves=None, LeaderPlan leader=None,
    leader_state=None,
):
    """Learn from tasks `first` to `last` - 1; return the first that failed, or `last`.

    Task t starts at `phi`, or at own[own_index[t]] where `own_index` (or None) is not
    negative, and fills row t of `history` and of `parameters` (or None). `n_tasks` is
    the number of tasks learned before this call. A task that ends in non-finite numbers
    changes nothing else.

    After every task `phi` and the states of the step size and of the meta step size
    move, and `moves` (or None) takes the move of `phi` times the number of the task,
    counted from 1. With `grad_sq` they stay: the tasks are a meta-batch, and row t of
    `grad_sq` takes the task's sums of squared gradients.

    `moments` are those that the units are learned from, the array of a
    `skmeta._units.Moments`; they move with `phi`. Unless `phi_given`, the first task of
    all starts at zero in its units.

    With a `leader`, whose state is `leader_state`, the rows of every task are added to
    it, and `phi` moves to its minimiser whenever that is solved for.

    Raises ValueError where arrays do not fit together or X is corrupt. `phi` has not
    changed then; the states may hold the tasks before the first corrupt row.
    """
    cdef Data data
    cdef Inner inner = plan.inner
    cdef ManyTasks tasks
    cdef Py_ssize_t done, size, n_all
    cdef Algorithm* algorithm = &plan.algorithm
    cdef const Rules* rules = algorithm.candidates
    cdef Py_ssize_t n_etas = rules.n_etas
    X, y, weight, starts, order = batch
    read_data(X, y, weight, order, &data)
    size = size_of("phi", phi, &data.X)
    inner.n_outputs = len(phi)
    if n_etas != 1 and n_etas != size:
        raise ValueError(f"phi of shape {phi.shape} cannot have {n_etas} step sizes.")
    n_all = len(starts) - 1
    if not 0 <= first <= last <= n_all:
        raise ValueError(f"There are {n_all} tasks, not those from {first} to {last}.")
    tasks.starts = positions("starts", starts, n_all + 1)
    tasks.first, tasks.last, tasks.n_tasks = first, last, n_tasks
    tasks.phi = writable("phi", phi, size)
    tasks.rule_state = writable(
        "The state of the step size", rule_state,
        algorithm.n_candidates * algorithm.state_size,
    )
    tasks.meta_state = writable(
        "The state of the meta step size", meta_state,
        kernel.meta_step_sizes[rules.meta_step_size].state_size,
    )
    tasks.moves = writable("moves", moves, size)
    tasks.own, tasks.own_index, tasks.n_own = NULL, NULL, 0
    if own_index is not None:
        tasks.n_own = len(own)
        tasks.own = doubles("own", own, tasks.n_own * size)
        tasks.own_index = positions("own_index", own_index, n_all)
    tasks.history = records(history, last)
    tasks.parameters = row_per_task("parameters", parameters, last, size)
    tasks.grad_sq = row_per_task("grad_sq", grad_sq, last, n_etas)
    tasks.moments, tasks.phi_given = NULL, phi_given
    if rule_state is None or meta_state is None:
        raise ValueError("The state of the step size or of the meta step size is None.")
    if algorithm.units.learned:
        tasks.moments = writable("moments", moments, 2 * data.X.n_features + 3)
        if tasks.moments == NULL or data.X.indices != NULL:
            raise ValueError("Units are learned from dense rows and from moments.")
    tasks.rows_rule, tasks.leader = NULL, NULL
    if leader is not None:
        tasks.rows_rule = &leader.rule
        tasks.leader = leader.read_state(leader_state)
        if data.X.indices != NULL or tasks.grad_sq != NULL or size != (
            leader.rule.n_outputs * (leader.rule.n_features + 1)
        ):
            raise ValueError("The leader does not fit X, phi or a meta-batch.")
    if tasks.grad_sq != NULL and (algorithm.n_candidates > 1 or tasks.moments != NULL):
        raise ValueError("A meta-batch has one candidate, and no units.")
    with nogil:
        done = kernel.learn_tasks(&data, &inner, algorithm, &tasks)
    if done < 0:
        raise refusal(done)
    return done


def add_products(
    const double[:, ::1] rows, const double[::1] weight, double[:, ::1] sums
):
    """sums += weight_i * outer(rows_i, rows_i), row by row."""
    cdef Py_ssize_t n = rows.shape[1], i, j, k
    cdef double w
    if len(weight) != len(rows) or len(sums) != n or sums.shape[1] != n:
        raise ValueError("The sums and the weights do not fit the rows.")
    if not n or not len(rows):
        return
    with nogil:
        for i in range(rows.shape[0]):
            for j in range(n):
                w = weight[i] * rows[i, j]
                for k in range(n):
                    sums[j, k] += w * rows[i, k]
