"""Everything a mixed-effects classifier has learned: one value per row of weights.

Two classes have one row of weights, for the second class against the first. More
classes have one row each, against all others. `_logistic` and its kernel approximate
the rows of every task by a factor; a row of weights is then learned like a regression.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from skmeta._kernels import mixed
from skmeta._kernels.logistic import logistic_factors
from skmeta._meta._history import History
from skmeta._mixed._adapt import NewTask, joined, new_task
from skmeta._mixed._logistic import covariance_root, learn_from_rows
from skmeta._mixed._options import Options
from skmeta._mixed._posterior import Gaussian, Predictor
from skmeta._mixed._prior import Prior, improve
from skmeta._mixed._statistics import summarize
from skmeta._mixed._store import LOOSE, Store
from skmeta._mixed._stream import (
    EVALUATIONS,
    FEW,
    HISTORY,
    BadTask,
    Learned,
    with_visits,
)
from skmeta._targets import probabilities

Array = np.ndarray

__all__ = ["LearnedClasses", "moderated"]

EARLY_TASKS, EARLY_BYTES = FEW, 16e6  # tasks and features whose rows are kept


def moderated(mean: Array, variance: Array) -> Array:
    """Probabilities of uncertain scores (MacKay 1992)."""
    return expit(mean / np.sqrt(1.0 + np.pi / 8 * variance))


class LearnedRow(Learned):
    """One row of weights, of outcomes 0.0 and 1.0.

    The rows of the first tasks are stored, and the prior is learned from them: factors
    computed under the prior of a few tasks would bias it for long. Later rows become a
    factor immediately, under the current prior (assumed-density filtering).
    """

    def __init__(self, n_features: int):
        super().__init__(n_features)
        self._rows: list[_Rows] | None = []  # None: factors are all there is

    def taken(
        self, batch: Any, names: Sequence[Hashable] | None, options: Options
    ) -> tuple[LearnedRow, list[BadTask]]:
        """With the tasks of a batch added; y holds 0.0 and 1.0."""
        new, bad = super().taken(batch, names, options)
        assert isinstance(new, LearnedRow)
        if new is self or self._rows is None:
            return new, bad
        good = np.ones(len(batch.starts) - 1, bool)
        good[[task.number for task in bad]] = False
        labels = None
        if names is not None and options.store_tasks:
            pairs = zip(names, good, strict=True)
            labels = [name for name, is_good in pairs if is_good]
        refreshes = self.predictor is None  # in this call, which reads the rows
        new._rows = [*self._rows, _gathered(batch, good, labels, refreshes)]
        return new, bad

    def refreshed(self, options: Options, *, fully: bool) -> LearnedRow:
        """With the prior learned from the rows, or from the factors of all tasks."""
        if not self._rows:
            if options.between == "auto" and self.predictor is not None:
                # Curvatures weigh the rows of a factor, and they depend on the level:
                # means of features under them say too much about it to choose by.
                options = replace(options, between=self.prior.has_levels)
            new = super().refreshed(options, fully=fully)
            assert isinstance(new, LearnedRow)
            return new
        assert self.origin is not None
        rows = _joined(self._rows)
        fit = learn_from_rows(rows.batch, self.origin, options, self._ages(options))
        new = copy(self)
        few = self.store.n_held < EARLY_TASKS and rows.batch.X.nbytes < EARLY_BYTES
        new._rows = [rows] if few else None
        new.store = self.store.rewritten(fit.factors)
        new._publish_factors(fit.prior, options)
        if new.group is not None:
            new._rows = None
        return new

    def forgot(self, names: Sequence[Hashable]) -> LearnedRow:
        """Without these known tasks; the prior forgets them at its next refresh."""
        new = super().forgot(names)
        assert isinstance(new, LearnedRow)
        new._rows = None
        return new

    def _ages(self, options: Options) -> Array | None:
        if options.half_life is None:
            return None
        age = self._visits - self.store.visited(self.store.held())
        return 0.5 ** (age / options.half_life)

    def _publish_factors(self, prior: Prior, options: Options) -> None:
        """Bring the prior to the factors, whose rows weigh what they tell."""
        store = self.store
        records = store.held()
        weights = self._ages(options)
        table = summarize(
            store.factors(records),
            store.n_rows(records),
            np.ones(len(records)) if weights is None else weights,
            None,
            options,
        )
        fit = improve(table, options, prior, EVALUATIONS)
        kept = replace(
            fit.prior,
            log_likelihood=prior.log_likelihood,
            n_iter=prior.n_iter,
            converged=prior.converged,
            notes=prior.notes,
        )
        assert self.origin is not None
        self.predictor = Predictor(kept, self.origin)
        self._chosen_tasks, self._chosen_visits = table.n_tasks, self._visits
        self._due = 0
        self._solved = type(self._solved)()
        self._freeze(replace(fit, prior=kept), options)

    # ---- factors of new rows

    def _write_factors(
        self,
        batch: Any,
        factors: Array,
        records: Sequence[int] | Array | None,
        n_jobs: int | None = None,
    ) -> bool:
        assert self.origin is not None
        unknown = np.isnan(batch.y)
        if unknown.any():
            known = batch._replace(y=np.where(unknown, 0.0, batch.y))
            self._write_factors(known, factors, records, n_jobs)
            factors[_any_by_task(unknown, batch)] = np.nan
            return False
        if self.predictor is None:
            # the quadratic at theta = 0
            weight = np.full(len(batch.y), 0.25)
            if batch.sample_weight is not None:
                weight *= batch.sample_weight
            at_zero = batch._replace(y=4 * batch.y - 2, sample_weight=weight)
            return mixed.task_factors(at_zero, self.origin, factors, n_jobs)
        prior, n_tasks = self.predictor.prior, len(batch.starts) - 1
        held = None
        if records is not None:
            held = np.zeros((n_tasks, *self.store.factor(0).shape))
            for t, record in enumerate(records):
                if record != LOOSE:
                    held[t] = self.store.factor(record)
        with np.errstate(over="ignore", invalid="ignore"):  # of bad tasks
            lines = self._lines(batch, held)
        logistic_factors(
            batch,
            held,
            self.origin,
            prior.units.mean,
            prior.units.scale,
            prior.bias,
            covariance_root(prior.S),
            lines,
            lines.copy(),
            np.zeros(len(batch.y)),
            factors,
        )
        return isfinite(np.add.reduce(factors, axis=None))

    def _lines(self, batch: Any, held: Array | None) -> Array:
        """Prior means of tasks, given the features of their rows and held factors."""
        predictor = self._predictor
        prior, n_tasks = predictor.prior, len(batch.starts) - 1
        lines = np.tile(prior.phi, (n_tasks, 1))
        if prior.has_levels:
            for t in range(n_tasks):
                sums = prior.mean_weight * _sums(batch, t, self.origin)
                if held is not None:
                    ones = held[t][:, -2]
                    sums += ones @ held[t][:, :-1]
                lines[t, -1] += predictor.expected_level(sums)
        return lines

    def _losses_of(self, factors: Array) -> Array:
        # of the probabilities of all classes: see LearnedClasses
        return np.full(len(factors), np.nan)

    # ---- new tasks

    def prior_of(self, batch: Any) -> NewTask:
        """What is known of a new task, the batch, before its targets are."""
        return new_task(self._predictor, self._factor_of_means(batch))

    def adapted(self, batch: Any) -> Gaussian:
        """The prior of a new task with these rows (one task): raw."""
        return self._predictor.adapted(self._factor_of_means(batch))

    def adapted_posterior(self, batch: Any) -> Gaussian:
        """The posterior of a new task with these rows (one task): raw."""
        prior, p = self.adapted(batch), self.n_features + 1
        n = int(batch.starts[1] - batch.starts[0])
        factor = np.empty((1, min(n, p + 1), p + 1))
        line, scale = prior.mean[np.newaxis].copy(), np.ones(p - 1)
        origin, zeros = np.zeros(p), np.zeros(p - 1)
        bias = self.prior.bias
        logistic_factors(
            batch,
            None,
            origin,
            zeros,
            scale,
            bias,
            covariance_root(prior.covariance),
            line,
            line.copy(),
            np.zeros(len(batch.y)),
            factor,
        )
        mean, covariance = mixed.solve_tasks(
            factor,
            line,
            prior.covariance,
            1.0,
            zeros,
            scale,
            0.0,
            1.0,
            bias,
            covariance=True,
        )
        assert covariance is not None
        return Gaussian(mean[0], covariance[0], 1.0)

    def _factor_of_means(self, batch: Any) -> Array:
        """One row that has the weight and the sums of the rows: enough for means."""
        sums = self.prior.mean_weight * _sums(batch, 0, self.origin)
        return np.append(sums / np.sqrt(sums[-1]), 0.0)[np.newaxis]

    def scores(self, X: Array, numbers: Array | None) -> tuple[Array, Array]:
        """Means and variances of b'theta for rows of known and unknown tasks."""
        line = self.shared[0]
        mean = X @ line[:-1] + line[-1]
        if numbers is not None and (numbers >= 0).any():
            known = numbers >= 0
            asked, codes = np.unique(numbers[known], return_inverse=True)
            theta = self.known_parameters(asked)[codes, 0]
            own = np.einsum("ij,ij->i", X[known], theta[:, :-1])
            mean[known] = own + theta[:, -1]
        return mean, np.maximum(self.std(X, numbers) ** 2 - 1.0, 0.0)


def _any_by_task(flags: NDArray[np.bool_], batch: Any) -> NDArray[np.bool_]:
    """Whether any row of a task has the flag."""
    by_task = flags if batch.order is None else flags[batch.order[0]]
    return np.logical_or.reduceat(by_task[: batch.starts[-1]], batch.starts[:-1])


def _sums(batch: Any, t: int, origin: Array | None) -> Array:
    """Weighted sums of a task's rows (x - origin, 1)."""
    assert origin is not None
    rows = slice(batch.starts[t], batch.starts[t + 1])
    if batch.order is not None:
        rows = batch.order[0, rows]
    X = batch.X[rows] - origin[:-1]
    weight = (
        np.ones(len(X)) if batch.sample_weight is None else batch.sample_weight[rows]
    )
    return np.append(weight @ X, weight.sum())


class _Rows(NamedTuple):
    """Adjacent rows of tasks, and their labels, if they have any."""

    batch: Any
    names: list[Hashable] | None


def _gathered(
    batch: Any, good: Array, names: list[Hashable] | None, refreshes: bool
) -> _Rows:
    """A copy of the rows of these tasks, in order.

    The rows themselves if they are many and are not kept: a refresh in the same call
    makes factors of them.
    """
    if refreshes and good.all() and batch.X.nbytes >= EARLY_BYTES:
        return _Rows(batch, names)
    n_rows = np.diff(batch.starts)
    rows = np.flatnonzero(np.repeat(good, n_rows))
    if batch.order is not None:
        rows = batch.order[0, rows]
    weight = batch.sample_weight
    kept = batch._replace(
        X=batch.X[rows],
        y=batch.y[rows],
        sample_weight=None if weight is None else weight[rows],
        starts=np.append(0, np.cumsum(n_rows[good])).astype(np.intp),
        order=None,
    )
    return _Rows(kept, names)


def _ordered(part: _Rows) -> _Rows:
    batch, names = part
    order, weight = batch.order[0], batch.sample_weight
    return _Rows(
        batch._replace(
            X=batch.X[order],
            y=batch.y[order],
            sample_weight=None if weight is None else weight[order],
            order=None,
        ),
        names,
    )


def _joined(parts: list[_Rows]) -> _Rows:
    """All rows by task: those with labels first, as a store holds them."""
    if len(parts) == 1:
        return parts[0]
    parts = [part if part.batch.order is None else _ordered(part) for part in parts]
    index: dict[Hashable, int] = {}
    labelled = [part.names or [] for part in parts]
    for name in (name for names in labelled for name in names):
        index.setdefault(name, len(index))
    codes, n_tasks = [], len(index)
    for batch, names in parts:
        n = len(batch.starts) - 1
        if names is None:
            numbers = np.arange(n_tasks, n_tasks + n)
            n_tasks += n
        else:
            n_loose = n - len(names)
            loose = np.arange(n_tasks, n_tasks + n_loose)
            n_tasks += n_loose
            numbers = np.append([index[name] for name in names], loose).astype(np.intp)
        codes.append(np.repeat(numbers, np.diff(batch.starts)))
    code = np.concatenate(codes)
    order = np.argsort(code, kind="stable")
    weights = [
        np.ones(len(b.y)) if b.sample_weight is None else b.sample_weight
        for b, _ in parts
    ]
    is_weighted = any(b.sample_weight is not None for b, _ in parts)
    counts = np.bincount(code, minlength=n_tasks)
    whole = parts[0].batch._replace(
        X=np.concatenate([b.X for b, _ in parts])[order],
        y=np.concatenate([b.y for b, _ in parts])[order],
        sample_weight=np.concatenate(weights)[order] if is_weighted else None,
        starts=np.append(0, np.cumsum(counts)).astype(np.intp),
    )
    return _Rows(whole, list(index) if index else None)


class LearnedClasses:
    """What a classifier has learned: the same members as `Learned`, over classes.

    Parameters
    ----------
    n_features : int
    n_classes : int

    Attributes
    ----------
    rows : tuple of LearnedRow
        One for two classes, else one per class.
    history : History
        The loss is the mean log loss of the rows, predicted as for an unknown task.
    """

    def __init__(self, n_features: int, n_classes: int):
        self.n_classes = n_classes
        n_rows = 1 if n_classes == 2 else n_classes
        self.rows = tuple(LearnedRow(n_features) for _ in range(n_rows))
        self.history = History(HISTORY)

    def _outcomes(self, batch: Any) -> list[Any]:
        """The batch as every row of weights sees it; NaN where no class is known."""
        positive = [1] if self.n_classes == 2 else range(self.n_classes)
        unknown = np.isnan(batch.y)
        outcomes = [(batch.y == c).astype(np.float64) for c in positive]
        for outcome in outcomes:
            outcome[unknown] = np.nan
        return [batch._replace(y=outcome) for outcome in outcomes]

    def _with(self, rows: Sequence[LearnedRow]) -> LearnedClasses:
        new = copy(self)
        new.rows = tuple(rows)
        return new

    def taken(
        self, batch: Any, names: Sequence[Hashable] | None, options: Options
    ) -> tuple[LearnedClasses, list[BadTask]]:
        """With the tasks of a batch added; y holds numbers of classes."""
        pairs = [
            row.taken(outcomes, names, options)
            for row, outcomes in zip(self.rows, self._outcomes(batch), strict=True)
        ]
        bad = pairs[0][1]
        if len(bad) == len(batch.starts) - 1:
            return self, bad
        new = self._with([row for row, _ in pairs])
        good = np.ones(len(batch.starts) - 1, bool)
        good[[task.number for task in bad]] = False
        if names is not None:
            names = [name for name, ok in zip(names, good, strict=True) if ok]
        keeps_all = names is not None and options.store_tasks
        losses, n_rows = self._losses(batch)[good], np.diff(batch.starts)[good]
        new.history = with_visits(self.history, n_rows, losses, names, keeps_all)
        return new, bad

    def _losses(self, batch: Any) -> Array:
        """Mean log loss of every task, before it is learned from."""
        n_rows = np.diff(batch.starts)
        if self._first.predictor is None:
            return np.full(len(n_rows), np.nan)
        order = slice(None) if batch.order is None else batch.order[0]
        X, y = batch.X[order][: batch.starts[-1]], batch.y[order][: batch.starts[-1]]
        with np.errstate(over="ignore", invalid="ignore"):  # of bad tasks: not kept
            classes = np.nan_to_num(y).astype(np.intp)
            P = self.probabilities(X)[np.arange(len(y)), classes]
        losses = -np.log(np.maximum(P, np.finfo(float).tiny))
        weight = np.ones(len(y))
        if batch.sample_weight is not None:
            weight = batch.sample_weight[order][: batch.starts[-1]]
        starts = batch.starts[:-1]
        return np.add.reduceat(losses * weight, starts) / np.add.reduceat(
            weight, starts
        )

    def refreshed(self, options: Options, *, fully: bool) -> LearnedClasses:
        """With the priors learned from all that is held."""
        return self._with([row.refreshed(options, fully=fully) for row in self.rows])

    def forgot(self, names: Sequence[Hashable]) -> LearnedClasses:
        """Without these known tasks; the priors forget them at their next refresh."""
        return self._with([row.forgot(names) for row in self.rows])

    # ---- reading

    @property
    def _first(self) -> LearnedRow:
        return self.rows[0]

    def is_due(self, options: Options) -> bool:
        """Whether so many rows have come that the priors should be refreshed."""
        return self._first.is_due(options)

    @property
    def n_tasks_seen(self) -> int:
        """Different tasks so far."""
        return self._first.n_tasks_seen

    @property
    def store(self) -> Store:
        """Of the first row of weights: numbers of rows are the same in all."""
        return self._first.store

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the data do not identify, one text for each warning."""
        return tuple(dict.fromkeys(note for row in self.rows for note in row.warnings))

    @property
    def within(self) -> Array:
        """Slopes within tasks and the level at mean features, shape (n_rows, p)."""
        return np.vstack([row.within for row in self.rows])

    @property
    def shared(self) -> Array:
        """Coefficients for unknown tasks, shape (n_rows, p)."""
        return np.vstack([row.shared for row in self.rows])

    @property
    def std_errors(self) -> Array:
        """Of `within`, shape (n_rows, p)."""
        return np.vstack([row.std_errors for row in self.rows])

    @property
    def covariance(self) -> Array:
        """S, raw, shape (n_rows, p, p)."""
        return np.array([row.covariance for row in self.rows])

    @property
    def log_likelihood(self) -> Array:
        """Bound on the log-likelihood of the last fit, shape (n_rows,)."""
        return np.array([row.log_likelihood for row in self.rows])

    @property
    def n_iter(self) -> Array:
        """Evaluations by the last fit, shape (n_rows,)."""
        return np.array([row.n_iter for row in self.rows])

    def labels(self) -> list[Hashable]:
        """Labels of the known tasks, in order of first appearance."""
        return self._first.labels()

    @property
    def index(self) -> Mapping[Hashable, int]:
        """The known labels are keys of it."""
        return self._first.index

    def numbers(self, names: Sequence[Hashable]) -> Array:
        """Numbers of known tasks, -1 for those that are not known."""
        return self._first.numbers(names)

    def known_parameters(self, numbers: Array | None = None) -> Array:
        """Coefficients of known tasks, raw, shape (n, n_rows, p); None: of all."""
        return np.concatenate(
            [row.known_parameters(numbers) for row in self.rows], axis=1
        )

    def known_covariances(self, numbers: Array) -> Array:
        """Covariances of these, raw, shape (n, n_rows, p, p)."""
        return np.stack([row.known_covariances(numbers) for row in self.rows], axis=1)

    @property
    def has_prior(self) -> bool:
        """Whether there is anything to predict by."""
        return self._first.has_prior

    def prior_of(self, batch: Any) -> NewTask:
        """What is known of a new task, the batch, before its targets are."""
        return joined([row.prior_of(batch) for row in self.rows])

    def n_rows(self, numbers: Array) -> Array:
        """Rows of known tasks."""
        return self._first.n_rows(numbers)

    def adapted(self, batch: Any) -> list[Gaussian]:
        """The priors of a new task with these rows, one per row of weights: raw."""
        return [
            row.adapted(outcomes)
            for row, outcomes in zip(self.rows, self._outcomes(batch), strict=True)
        ]

    def adapted_posterior(self, batch: Any) -> list[Gaussian]:
        """The posteriors of a new task after these rows: raw."""
        return [
            row.adapted_posterior(outcomes)
            for row, outcomes in zip(self.rows, self._outcomes(batch), strict=True)
        ]

    def scores(self, X: Array, numbers: Array | None = None) -> tuple[Array, Array]:
        """Means and variances of scores, shapes (n_samples, n_rows).

        `numbers` are those of the known tasks of the rows, -1 for an unknown task.
        """
        pairs = [row.scores(X, numbers) for row in self.rows]
        means, variances = zip(*pairs, strict=True)
        return np.column_stack(means), np.column_stack(variances)

    def probabilities(self, X: Array, numbers: Array | None = None) -> Array:
        """Probabilities of the classes, shape (n_samples, n_classes)."""
        return probabilities(moderated(*self.scores(X, numbers)))
