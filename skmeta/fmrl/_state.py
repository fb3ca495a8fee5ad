"""Everything a meta-estimator has learned, as one value.

A call learns on a draft and publishes it in one assignment when it has succeeded; a
draft that is dropped has changed nothing.
"""

from copy import copy

import numpy as np

HISTORY = np.dtype(
    [
        ("n_samples", np.int64),
        ("loss", np.float64),
        ("distance", np.float64),
        ("grad_sq_norm", np.float64),
        ("step_size", np.float64),
    ]
)


class Rows:
    """A growing array of equal rows: appending costs amortised time per row.

    `room` gives memory for more rows, `grown` a new value that has them. The two share
    memory as long as the old one is the latest; each sees its own rows only.
    """

    def __init__(self, array):
        self._memory = [array, len(array)]  # shared between values: and rows in use
        self._n = len(array)

    def __len__(self):
        return self._n

    @property
    def array(self):
        return self._memory[0][: self._n]

    def room(self, n_more):
        """Rows behind the present ones, to be written before `grown` is called."""
        array, in_use = self._memory
        n = self._n + n_more
        if in_use != self._n or n > len(array):
            array = np.empty((max(n, 2 * self._n), *array.shape[1:]), array.dtype)
            array[: self._n] = self.array
            self._memory = [array, self._n]
        return array[self._n : n]

    def grown(self, n_more):
        """This value and the first `n_more` rows of its room."""
        rows = Rows.__new__(Rows)
        rows._memory, rows._n = self._memory, self._n + n_more
        rows._memory[1] = rows._n
        return rows

    def extend(self, block):
        """This value and the rows of a block."""
        self.room(len(block))[:] = block
        return self.grown(len(block))

    def __getstate__(self):
        return self.array.copy()

    def __setstate__(self, array):
        self.__init__(np.array(array))  # in memory, where joblib maps a file


class KnownTasks:
    """Parameters of the labelled tasks, in order of first appearance.

    `store` changes what the values before it share, so it comes last in a call.
    """

    def __init__(self, shape):
        self._index = {}
        self._parameters = Rows(np.empty((0, *shape)))

    def __len__(self):
        return len(self._parameters)

    @property
    def parameters(self):
        """Array of shape (n_known, n_outputs, n_features + 1)."""
        return self._parameters.array

    @property
    def labels(self):
        """Array of shape (n_known,)."""
        labels = list(self._index)
        if len({type(label) for label in labels}) == 1 and np.ndim(labels[0]) == 0:
            return np.array(labels)
        array = np.empty(len(labels), dtype=object)
        for row, label in enumerate(labels):
            array[row] = label
        return array

    def rows(self, names):
        """Row in `parameters` of every named task, -1 where it is unknown."""
        rows = np.array([self._index.get(name, -1) for name in names], dtype=np.intp)
        # Another thread may just be storing a label that this value does not hold yet.
        rows[rows >= len(self)] = -1
        return rows

    def store(self, names, parameters):
        """With the parameters of these tasks, instead of earlier ones."""
        rows = self.rows(names)
        new = rows < 0
        rows_of_new = enumerate(np.flatnonzero(new), start=len(self))
        fresh = {names[i]: row for row, i in rows_of_new}
        stored = copy(self)
        stored._parameters = self._parameters.extend(parameters[new])
        stored.parameters[rows[~new]] = parameters[~new]
        stored._index.update(fresh)
        return stored


class MetaState:
    """What has been learned.

    Attributes
    ----------
    algorithm : Algorithm
        Of the last call.
    phi : ndarray of shape (n_outputs, n_features + 1)
        The shared initialization, intercept last.
    rule : ndarray
        State of the step-size rule.
    clock : ndarray of shape (2,)
        Number of tasks so far, and the sum of the square roots of their lengths plus
        the weight of the first initialization.
    seed : int
        Task number t is shuffled by a generator made from (seed, t).
    history : Rows of HISTORY
    known : KnownTasks
    n_skipped : int
    watch : ParameterWatch or None
        The estimator's parameters in the last call.
    is_plain : bool
        Whether with these parameters, nothing but the compiled loop is needed to learn
        from one task without a label.
    """

    def __init__(self, algorithm, phi, rule, seed):
        self.algorithm, self.phi, self.rule, self.seed = algorithm, phi, rule, seed
        self.clock = np.zeros(2)
        self.history = Rows(np.empty(0, HISTORY))
        self.known = KnownTasks(phi.shape)
        self.n_skipped = 0
        self.watch, self.is_plain = None, False

    def draft(self):
        """A copy to learn on."""
        draft = MetaState.__new__(MetaState)
        draft.__dict__ = {
            **self.__dict__,
            "phi": self.phi.copy(),
            "rule": self.rule.copy(),
            "clock": self.clock.copy(),
        }
        return draft
