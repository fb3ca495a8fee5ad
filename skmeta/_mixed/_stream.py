"""Everything a mixed-effects model has learned, as one value.

A call makes a new value; the shared memory that an older value reads does not change.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from skmeta._kernels import mixed
from skmeta._meta._glitches import SetAside
from skmeta._meta._history import History
from skmeta._mixed._adapt import NewTask, new_task
from skmeta._mixed._freeze import freeze
from skmeta._mixed._glitches import most_squares, screen_of
from skmeta._mixed._group import Group
from skmeta._mixed._options import Options
from skmeta._mixed._posterior import Gaussian, Predictor, Solved
from skmeta._mixed._prior import Fit, Prior, choose, improve
from skmeta._mixed._statistics import summarize
from skmeta._mixed._store import LOOSE, Store

Array = np.ndarray

__all__ = ["HISTORY", "BadTask", "Learned", "with_visits"]

DUE = 0.1  # calls since the last refresh per held task, above which one is due
WEIGHT = 1.44  # of all tasks together, if the weight of one is halved after one visit
DUE_IF_MANY = 0.02  # calls per held task, if few of them have weight
HALF_LIVES = 10  # for which tasks without a label are stored individually
GROWTH = 1.5  # growth of n_tasks, above which the shape of the prior is chosen again
FEW, FEWER = 60, 20  # tasks below which a refresh does more
FEW_VISITS = 200
EVALUATIONS, EVALUATIONS_OF_FEW = 2, 10
WINDOW_BYTES, LEAST_WINDOW = 16e6, 64


HISTORY = np.dtype([("n_samples", np.int64), ("loss", np.float64)])


def with_visits(
    history: History,
    n_rows: Array,
    losses: Array,
    labels: Sequence[Hashable] | None,
    keeps_all: bool,
) -> History:
    """The history with more tasks."""
    numbers = np.empty(len(n_rows), HISTORY)
    numbers["n_samples"], numbers["loss"] = n_rows, losses
    return history.appended(numbers, labels, keeps_all=keeps_all)


class BadTask(NamedTuple):
    """A task that could not be learned from: its number in the batch, and why."""

    number: int
    reason: str


class Learned:
    """Everything learned, from held tasks and from frozen ones, which form a group.

    Attributes
    ----------
    n_features : int
    origin : ndarray of shape (p,) or None
        The first row seen: features and, last, the target.
    store : Store
        Statistics of the tasks held.
    group : Group or None
        Of the frozen ones.
    predictor : Predictor or None
        The prior, once there is one.
    n_tasks_seen : int
        Number of different tasks so far.
    history : History
        Of dtype `HISTORY`. The loss is the mean of half the squared error of the rows,
        predicted before they were learned from as those of a task never seen; for the
        tasks of the first fit, predicted by that fit.
    set_aside : SetAside
        Rows that were left out.
    screen : ndarray of shape (p + 1,) or None
        See `screen_of`. None: rows are not compared.
    is_suspect : bool
        Whether the rows taken last must be compared with the others.
    """

    def __init__(self, n_features: int):
        self.n_features = n_features
        self.origin: Array | None = None
        self.store = Store.empty(n_features + 1)
        self.group: Group | None = None
        self.predictor: Predictor | None = None
        self.history = History(HISTORY)
        self.n_tasks_seen = self._visits = self._due = 0
        self._chosen_tasks, self._chosen_visits = 0.0, 0
        self._solved = Solved()
        self.set_aside = SetAside()
        self.screen: Array | None = None
        self.is_suspect = False

    def _draft(self) -> Learned:
        draft = type(self).__new__(type(self))
        draft.__dict__.update(self.__dict__)
        return draft

    # ---- taking tasks

    def taken(
        self, batch: Any, names: Sequence[Hashable] | None, options: Options
    ) -> tuple[Learned, list[BadTask]]:
        """With the tasks of a batch added; and the tasks that could not be added.

        Parameters
        ----------
        batch : Batch
            Dense rows of positive weight.
        names : sequence of distinct labels, or None
            One label per task; None: tasks without a label.
        options : Options
        """
        labels = names
        if not options.store_tasks:
            names = None
        new = self._draft()
        new.store = self.store.copy()  # `reserve` may replace its memory
        new.is_suspect = self.predictor is None and options.learn_noise
        if new.origin is None:
            new.origin = _first_row(batch, options)
        starts = batch.starts
        if len(starts) == 2:
            name = None if names is None else names[0]
            label = None if labels is None else labels[0]
            bad = new._take_one(batch, int(starts[1] - starts[0]), name, label)
        else:
            bad = new._take_many(batch, np.diff(starts), names, labels, options.n_jobs)
        return (self if len(bad) == len(starts) - 1 else new), bad

    def _take_one(
        self, batch: Any, n_rows: int, name: Hashable | None, label: Hashable | None
    ) -> list[BadTask]:
        store, width = self.store, self.store.width
        k, number = min(n_rows, width), None
        if name is not None:
            number = store.number(name)
            if number < 0:
                number = store.n_known
        if number is not None and number < store.n_known:
            record = store.record(number)
            n_before, before = store.n_rows_of(record), store.factor(record)
            n_rows += n_before
            factor = np.empty((1, k, width))
            self._write_factors(batch, factor, (record,))
            out = store.reserve(1, min(n_rows, width))
            _join(before, n_before, factor[0], out, n_rows)
            finite = isfinite(np.add.reduce(out, axis=None))
        else:
            out = store.reserve(1, k)
            factor = out[:, :k]
            finite = self._write_factors(batch, factor, None)
            out[0, k:] = 0.0
        if not (finite and _has_finite_squares(out)):
            return [BadTask(0, _reason(batch, 0))]
        if self.screen is not None:
            scaled = factor * self.screen
            self.is_suspect = np.vdot(scaled, scaled) > most_squares(scaled, n_rows)
        loss = float(self._losses_of(factor)[0])
        self._count(1, number is None or number == store.n_known)
        self.store = store.appended_one(name, number, n_rows, self._visits)
        self.history = self.history.appended_one(
            (len(batch.y), loss), label, keeps_all=name is not None
        )
        return []

    def _take_many(
        self,
        batch: Any,
        n_rows: Array,
        names: Sequence[Hashable] | None,
        labels: Sequence[Hashable] | None,
        n_jobs: int | None,
    ) -> list[BadTask]:
        store, n = self.store, len(n_rows)
        k = min(int(n_rows.max(initial=1)), store.width)
        out = store.reserve(n, k)
        in_place = out.shape[1] == k
        factors = out if in_place else np.empty((n, k, store.width))
        before = self._records_before(names)
        finite = self._write_factors(batch, factors, before, n_jobs)
        bad = []
        if not (finite and _has_finite_squares(factors)):
            bad = _bad_tasks(batch, factors)
        if bad:
            good = np.ones(n, bool)
            good[[task.number for task in bad]] = False
            factors, n_rows, in_place = factors[good], n_rows[good], False
            names, labels = _chosen(names, good), _chosen(labels, good)
        if not len(n_rows):
            return bad
        if self.screen is not None:
            scaled = factors * self.screen
            squares = np.einsum("tij,tij->t", scaled, scaled)
            self.is_suspect = bool((squares > most_squares(scaled, n_rows)).any())
        numbers = None if names is None else store.numbered(names)
        total, n_new = n_rows, len(n_rows)
        if numbers is not None and (numbers < store.n_known).any():
            factors = factors.copy() if in_place else factors
            total = _join_known(store, factors, n_rows, numbers)
            n_new = int(np.count_nonzero(numbers >= store.n_known))
        elif not in_place:
            out = store.reserve(len(n_rows), k)
            out[:, :k], out[:, k:] = factors, 0.0
        first = self._visits + 1
        self._count(len(n_rows), n_new)
        losses, keeps_all = self._losses_of(factors), names is not None
        self.history = with_visits(self.history, n_rows, losses, labels, keeps_all)
        self.store = store.appended(names, numbers, total, first)
        return bad

    def _records_before(self, names: Sequence[Hashable] | None) -> Array | None:
        """Records of earlier rows of these tasks, or LOOSE; None: all are new."""
        if names is None:
            return None
        numbers, store = self.store.numbered(names), self.store
        returning = numbers < store.n_known
        if not returning.any():
            return None
        records = np.full(len(numbers), LOOSE)
        records[returning] = store.records()[numbers[returning]]
        return records

    def _write_factors(
        self,
        batch: Any,
        factors: Array,
        records: Sequence[int] | Array | None,
        n_jobs: int | None = None,
    ) -> bool:
        """Write the factors of the tasks of a batch; whether all are finite.

        `records` are those of earlier rows of the same tasks, or LOOSE; None: all are
        new.
        """
        return mixed.task_factors(batch, self.origin, factors, n_jobs)

    def _count(self, n_visits: int, n_new: int) -> None:
        self._visits += n_visits
        self._due += n_visits
        self.n_tasks_seen += n_new

    def _losses_of(self, factors: Array) -> Array:
        """Mean losses of the rows of tasks before they were learned from."""
        if self.predictor is None:
            return np.full(len(factors), np.nan)
        return self.predictor.losses(factors)

    # ---- learning the prior

    def is_due(self, options: Options) -> bool:
        """Whether there were enough calls since the last refresh for another one."""
        due = DUE * (n_held := self.store.n_held)
        if options.half_life is not None:
            due = min(due, max(DUE * WEIGHT * options.half_life, DUE_IF_MANY * n_held))
        return self.predictor is None or self._due > due

    def refreshed(self, options: Options, *, fully: bool) -> Learned:
        """With the prior learned from all that is held.

        Parameters
        ----------
        options : Options
        fully : bool
            Whether the shape is chosen again and every fit runs to convergence, so that
            the result does not depend on what was learned before. Otherwise the last
            fit continues for a few evaluations, and the shape is chosen again when the
            number of tasks has grown enough.
        """
        new = self._draft()
        records, store = self.store.held(), self.store
        if not len(records) and self.group is None:
            raise ValueError("Nothing to learn from: all tasks were forgotten.")
        if self.group is not None:
            new.group = self.group.aged(self._visits, options.half_life)
        weights = np.ones(len(records))
        if options.half_life is not None:
            age = self._visits - store.visited(records)
            weights = 0.5 ** (age / options.half_life)
        factors, n_rows = store.factors(records), store.n_rows(records)
        table = summarize(factors, n_rows, weights, new.group, options)
        if fully or self.predictor is None or self._has_grown(table.n_tasks):
            fit = choose(table, options)
            new._chosen_tasks, new._chosen_visits = table.n_tasks, self._visits
        else:
            n = EVALUATIONS_OF_FEW if table.n_tasks < FEW else EVALUATIONS
            fit = improve(table, options, self.predictor.prior, n)
        assert self.origin is not None
        new.predictor = Predictor(fit.prior, self.origin)
        if self.predictor is None and len(self.history) == len(records):
            losses = new.predictor.losses(factors)
            numbers = self.history.numbers.copy()
            numbers["loss"] = losses[np.argsort(records)]
            new.history = self.history.with_numbers(numbers)
        new.screen = screen_of(fit.prior.units) if options.learn_noise else None
        new._due = 0
        new._freeze(fit, options)
        if new.store.is_full:
            new.store = new.store.compacted()
        new._solved = Solved()
        return new

    def _has_grown(self, n_tasks: float) -> bool:
        if n_tasks >= GROWTH * self._chosen_tasks:
            return True
        is_young = self._visits < FEW_VISITS
        return n_tasks < FEWER and (
            is_young or self._visits >= GROWTH * self._chosen_visits
        )

    def _freeze(self, fit: Fit, options: Options) -> None:
        window = options.window
        if window is None:
            size = 8 * self.store.width**2
            window = int(WINDOW_BYTES / size)
            if options.half_life is not None:
                window = min(window, int(HALF_LIVES * options.half_life))
            window = max(LEAST_WINDOW, window)
        extra = self.store.n_loose - window
        if extra > 0:
            first = self.store.n_known
            places = slice(first, first + extra)
            self.group = freeze(fit, places, self.group, self._visits)
            self.store = self.store.without_first_loose(extra)

    def forgot(self, names: Sequence[Hashable]) -> Learned:
        """Without these known tasks; the prior changes at its next refresh."""
        new = self._draft()
        new.store = self.store.without(names)
        new._solved = Solved()
        return new

    def with_set_aside(self, names: Sequence[Hashable]) -> Learned:
        """With a record of rows of these tasks that were left out."""
        new = self._draft()
        new.set_aside = self.set_aside.with_rows(self._visits, names)
        return new

    @property
    def n_visits(self) -> int:
        """Number of tasks learned from, each as often as it came."""
        return self._visits

    @property
    def has_prior(self) -> bool:
        """Whether there is a prior to predict with."""
        return self.predictor is not None

    def prior_of(self, batch: Any) -> NewTask:
        """The prior of a new task (the batch), given its features."""
        factor = self.factor_of(batch) if self.prior.has_levels else _NO_FACTOR
        return new_task(self._predictor, factor)

    # ---- reading

    @property
    def prior(self) -> Prior:
        """The estimates, in units."""
        return self._predictor.prior

    @property
    def _predictor(self) -> Predictor:
        if self.predictor is None:
            raise ValueError("No task has been learned from.")
        return self.predictor

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the data do not identify, one text for each warning."""
        return self.prior.notes

    @property
    def within(self) -> Array:
        """Slopes within tasks and the level at mean features, shape (1, p)."""
        return self._predictor.within[np.newaxis]

    @property
    def shared(self) -> Array:
        """Coefficients for unknown tasks, shape (1, p)."""
        return self._predictor.new_line[np.newaxis]

    @property
    def std_errors(self) -> Array:
        """Of `within`, shape (1, p)."""
        return self._predictor.std_errors[np.newaxis]

    @property
    def feature_means(self) -> Array:
        """Weighted mean features of the rows, raw, shape (n_features,)."""
        return self._predictor.origin[:-1] + self.prior.units.mean

    @property
    def covariance(self) -> Array:
        """S, raw, shape (p, p)."""
        return self._predictor.covariance

    @property
    def noise_variance(self) -> float:
        """v, raw."""
        return self._predictor.noise_variance

    @property
    def log_likelihood(self) -> float:
        """Restricted log-likelihood of the tasks held."""
        return self.prior.log_likelihood

    @property
    def n_iter(self) -> int:
        """Evaluations of the likelihood by the last fit."""
        return self.prior.n_iter

    def labels(self) -> list[Hashable]:
        """Labels of the known tasks, in order of first appearance."""
        return self.store.labels()

    @property
    def index(self) -> Mapping[Hashable, int]:
        """The known labels are keys of it."""
        return self.store.index

    def numbers(self, names: Sequence[Hashable]) -> Array:
        """Numbers of known tasks, -1 for those that are not known."""
        return self.store.numbers(names)

    def known_parameters(self, numbers: Array | None = None) -> Array:
        """Coefficients of known tasks, raw, shape (n, 1, p); None: of all."""
        store = self.store
        records = store.records(numbers)
        return self._solved.of(records, store, self._predictor)[:, np.newaxis]

    def n_samples(self, numbers: Array | None = None) -> Array:
        """Rows of known tasks, shape (n,); None: of all."""
        return self.store.n_rows(self.store.records(numbers))

    def n_rows(self, numbers: Array) -> Array:
        """Rows of known tasks."""
        return self.store.n_rows(self.store.records()[numbers])

    def known_covariances(self, numbers: Array) -> Array:
        """Covariances of the coefficients of known tasks, raw, shape (n, p, p)."""
        factors = self.store.factors(self.store.records(numbers))
        predictor = self._predictor
        C = predictor.covariances(np.ascontiguousarray(factors))
        return predictor.to_raw @ C @ predictor.to_raw.T

    def difference_covariances(self, numbers: Array) -> Array:
        """Of the coefficients of known tasks minus `within`, raw, (n, p, p)."""
        factors = self.store.factors(self.store.records(numbers))
        predictor = self._predictor
        C = predictor.difference_covariances(np.ascontiguousarray(factors))
        return predictor.to_raw @ C @ predictor.to_raw.T

    def std(self, X: Array, numbers: Array | None = None) -> Array:
        """Standard deviations of the targets of rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        numbers : ndarray of int of shape (n_samples,) or None
            Of the known task that a row belongs to, -1 for an unknown task. None: all
            are unknown.
        """
        predictor = self._predictor
        if numbers is None:
            return predictor.new_std(X)
        result, unknown = np.empty(len(X)), numbers < 0
        if unknown.any():
            result[unknown] = predictor.new_std(X[unknown])
        if not unknown.all():
            asked, codes = np.unique(numbers[~unknown], return_inverse=True)
            records = self.store.records(asked)

            def factors_of(tasks: Array) -> Array:
                return np.ascontiguousarray(self.store.factors(records[tasks]))

            result[~unknown] = predictor.known_std(
                X[~unknown], codes, factors_of, len(asked)
            )
        return result

    def adapted(self, batch: Any) -> Gaussian:
        """The prior of a new task with these rows (one task): raw."""
        if not self.prior.has_levels:
            return self._predictor.adapted(_NO_FACTOR)
        return self._predictor.adapted(self.factor_of(batch))

    def adapted_posterior(self, batch: Any) -> Gaussian:
        """The posterior of a new task with these rows (one task): raw."""
        predictor = self._predictor
        factor = self.factor_of(batch)
        prior = predictor.adapted(factor)
        return prior.given(factor, predictor.origin, predictor.prior.bias)

    def surprise(self, batch: Any) -> float:
        """Minus the log density of the rows of a new task, per row."""
        predictor, n = self._predictor, len(batch.y)
        factor = self.factor_of(batch)
        prior = predictor.adapted(factor)
        total = prior.surprise(factor, predictor.origin, predictor.prior.bias, n)
        if batch.sample_weight is not None:
            total -= 0.5 * float(np.log(batch.sample_weight).sum())
        return total / n

    def factor_of(self, batch: Any) -> Array:
        """The factor of a batch of one task."""
        n = int(batch.starts[1] - batch.starts[0])
        if sp.issparse(batch.X):
            batch = batch._replace(X=batch.X.toarray())
        factor = np.empty((1, min(n, self.store.width), self.store.width))
        mixed.task_factors(batch, self.origin, factor)
        return factor[0]


_NO_FACTOR = np.empty((0, 0))


def _chosen(labels: Sequence[Hashable] | None, good: Array) -> list[Hashable] | None:
    """The labels of the good tasks, if there are labels."""
    if labels is None:
        return None
    return [labels[t] for t in np.flatnonzero(good).tolist()]


def _join(before: Array, n_before: int, factor: Array, out: Array, n_rows: int) -> None:
    """Write the rows of two factors as one into out[0]."""
    k = out.shape[1]
    if n_rows <= k:  # both are rows as they came
        out[0, :n_before] = before[:n_before]
        out[0, n_before:n_rows] = factor[: n_rows - n_before]
        out[0, n_rows:] = 0.0
        return
    out[0, : len(before)] = before
    out[0, len(before) :] = 0.0
    mixed.add_factors(out, factor[np.newaxis])


def _join_known(store: Store, factors: Array, n_rows: Array, numbers: Array) -> Array:
    """Reserve records of tasks some of which return; their numbers of rows."""
    k, returning = factors.shape[1], np.flatnonzero(numbers < store.n_known)
    records = store.records(numbers[returning])
    before, n_before = store.factors(records), store.n_rows(records)
    total = n_rows.copy()
    total[returning] += n_before
    out = store.reserve(len(n_rows), min(int(total.max()), store.width))
    out[:, :k], out[:, k:] = factors, 0.0
    is_long = total[returning] > out.shape[1]
    for i in np.flatnonzero(~is_long).tolist():
        t = returning[i]
        _join(before[i], n_before[i], factors[t], out[t : t + 1], total[t])
    if is_long.any():
        long = returning[is_long]
        joined = np.zeros((len(long), store.width, store.width))
        joined[:, : before.shape[1]] = before[is_long]
        mixed.add_factors(joined, factors[long])
        out[long] = joined
    return total


def _first_row(batch: Any, options: Options) -> Array:
    """Features and target of the first row; zeros without an intercept."""
    origin = np.zeros(batch.X.shape[1] + 1)
    if options.fit_intercept and len(batch.y):
        row = (
            batch.starts[0] if batch.order is None else batch.order[0, batch.starts[0]]
        )
        origin[:-1], origin[-1] = batch.X[row], batch.y[row]
        if not options.learn_noise:
            origin[-1] = 0.0
    return origin if np.isfinite(origin).all() else np.zeros_like(origin)


def _has_finite_squares(factors: Array) -> bool:
    return isfinite(np.vdot(factors, factors))


def _bad_tasks(batch: Any, factors: Array) -> list[BadTask]:
    """Tasks whose factors have squares that are not finite."""
    good = np.array([_has_finite_squares(factor) for factor in factors])
    return [BadTask(t, _reason(batch, t)) for t in np.flatnonzero(~good).tolist()]


def _reason(batch: Any, t: int) -> str:
    rows = slice(batch.starts[t], batch.starts[t + 1])
    if batch.order is not None:
        rows = batch.order[0, rows]
    if np.isfinite(batch.X[rows]).all() and np.isfinite(batch.y[rows]).all():
        return "its squares overflow: scale the features or the target"
    return "it has values that are not finite"
