"""Statistics of tasks in an append-only store that published values share.

A record is the factor of a task: R'R is the cross product of its weighted rows
(features, 1, target), counted from the origin. A task that returns appends a record of
all its rows. A view is a number of records: what is appended later, it does not see.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

Array = np.ndarray

__all__ = ["Store"]

FEW = 0.1  # share of the known tasks, below which they are looked up individually
LOOSE = -1  # number of a task without a label; also "no earlier record"


class _Memory:
    """Arrays with room for more records, the numbers of known tasks, and their records.

    Attributes
    ----------
    factors : ndarray of shape (capacity, k, p + 1)
        k is the longest factor so far, at most p + 1; shorter ones have rows of zeros.
    n_rows, visited, number, previous : int64 ndarrays of shape (capacity,)
        Rows of the task, the visit that brought the last of them, the number of the
        known task, and its record before.
    index : dict
        From labels to numbers of known tasks.
    latest : int64 ndarray of shape (capacity,)
        The last record of every known task.
    n_used : int
        Records of the longest view, or of one whose making was interrupted. Only a view
        of this length appends here; others copy.
    """

    def __init__(self, capacity: int, k: int, width: int):
        self.factors = np.empty((capacity, k, width))
        self.n_rows, self.visited, self.number, self.previous, self.latest = (
            np.empty(capacity, np.int64) for _ in range(5)
        )
        self.index: dict[Hashable, int] = {}
        self.n_used = 0

    @property
    def capacity(self) -> int:
        """Largest number of records."""
        return len(self.n_rows)

    def copy(self, capacity: int, k: int, n_records: int, n_known: int) -> _Memory:
        """The first records and known tasks, with other room."""
        new = _Memory(capacity, k, self.factors.shape[2])
        new.factors[:n_records, : self.factors.shape[1]] = self.factors[:n_records]
        new.factors[:n_records, self.factors.shape[1] :] = 0.0
        for name in ("n_rows", "visited", "number", "previous"):
            getattr(new, name)[:n_records] = getattr(self, name)[:n_records]
        new.index = {label: i for label, i in self.index.items() if i < n_known}
        new.latest[:n_known] = self.records_before(n_records, n_known)
        new.n_used = n_records
        return new

    def record_before(self, number: int, n_records: int) -> int:
        """The last record of a known task that a view of this length sees."""
        record = int(self.latest[number])
        while record >= n_records:
            record = int(self.previous[record])
        return record

    def records_before(self, n_records: int, n_known: int) -> Array:
        """The same for all known tasks of the view."""
        records = self.latest[:n_known].copy()
        later = records >= n_records
        while later.any():
            records[later] = self.previous[records[later]]
            later = records >= n_records
        return records


class Store:
    """A view of the first records of a memory.

    Attributes
    ----------
    n_records, n_known, n_loose : int
        Records, known tasks, and tasks without a label that are held.
    first_loose : int
        Records of tasks without a label before this one are no longer held.
    """

    __slots__ = ("_memory", "n_records", "n_known", "n_loose", "first_loose")

    def __init__(self, memory: _Memory):
        self._memory = memory
        self.n_records = self.n_known = self.n_loose = self.first_loose = 0

    @classmethod
    def empty(cls, n_coefficients: int) -> Store:
        """A store without tasks."""
        return cls(_Memory(0, 1, n_coefficients + 1))

    @property
    def n_held(self) -> int:
        """Number of tasks whose statistics are stored."""
        return self.n_known + self.n_loose

    @property
    def width(self) -> int:
        """Columns of a factor: p + 1."""
        return self._memory.factors.shape[2]

    @property
    def memory(self) -> _Memory:
        """What the records are in; values that share it number them alike."""
        return self._memory

    @property
    def is_full(self) -> bool:
        """Whether most records are outdated."""
        return self.n_records > 2 * self.n_held + 64

    # ---- reading

    def number(self, label: Hashable) -> int:
        """Number of a known task, -1 if it is unknown."""
        number = self._memory.index.get(label, LOOSE)
        return number if number < self.n_known else LOOSE

    def numbers(self, labels: Sequence[Hashable]) -> Array:
        """The same for many."""
        get = self._memory.index.get
        numbers = np.array([get(label, LOOSE) for label in labels], np.int64)
        numbers[numbers >= self.n_known] = LOOSE
        return numbers

    @property
    def index(self) -> Mapping[Hashable, int]:
        """Its keys are the labels, and those of later views of the memory."""
        return self._memory.index

    def labels(self) -> list[Hashable]:
        """Labels of the known tasks, in order of first appearance."""
        return list(self._memory.index)[: self.n_known]

    def record(self, number: int) -> int:
        """The record of a known task."""
        return self._memory.record_before(number, self.n_records)

    def records(self, numbers: Array | None = None) -> Array:
        """The records of known tasks; None: of all, in order of their numbers."""
        if numbers is not None and len(numbers) < FEW * self.n_known:
            record = self._memory.record_before
            n = self.n_records
            return np.array([record(i, n) for i in numbers.tolist()], np.int64)
        records = self._memory.records_before(self.n_records, self.n_known)
        return records if numbers is None else records[numbers]

    def held(self) -> Array:
        """The records of all tasks held: known ones first."""
        if not self.n_loose:
            return self.records()
        return np.concatenate([self.records(), self.loose()])

    def loose(self) -> Array:
        """The records of the tasks without a label that are held."""
        numbers = self._memory.number[self.first_loose : self.n_records]
        return np.flatnonzero(numbers == LOOSE) + self.first_loose

    def factor(self, record: int) -> Array:
        """The factor of a task, rows of zeros included."""
        return self._memory.factors[record]

    def factors(self, records: Array) -> Array:
        """The factors of these records; no copy where they are all there are."""
        factors = self._memory.factors
        if len(records) == self.n_records and _is_range(records):
            return factors[: self.n_records]
        return factors[records]

    def n_rows(self, records: Array) -> Array:
        """Rows of these tasks."""
        return self._memory.n_rows[records]

    def visited(self, records: Array) -> Array:
        """Visits at which rows of these tasks came last."""
        return self._memory.visited[records]

    def n_rows_of(self, record: int) -> int:
        """Rows of one task."""
        return int(self._memory.n_rows[record])

    # ---- appending

    def reserve(self, n_more: int, k: int) -> Array:
        """Memory for more factors, of at least k rows, after the current ones."""
        memory, n = self._memory, self.n_records + n_more
        capacity, k_now, _ = memory.factors.shape
        if memory.n_used != self.n_records or n > capacity or k > k_now:
            new_capacity = n if not capacity else max(n, 2 * self.n_records)
            k = max(k, k_now)
            memory = memory.copy(new_capacity, k, self.n_records, self.n_known)
            self._memory = memory
        return memory.factors[self.n_records : n]

    def numbered(self, labels: Sequence[Hashable]) -> Array:
        """Numbers of these tasks; those never seen get the next ones."""
        n = self.n_known
        if n == 0:
            return np.arange(len(labels))
        numbers = self.numbers(labels)
        new = numbers < 0
        numbers[new] = np.arange(n, n + np.count_nonzero(new))
        return numbers

    def appended(
        self,
        labels: Sequence[Hashable] | None,
        numbers: Array | None,
        n_rows: Array,
        visit: int,
    ) -> Store:
        """With the records that were written to `reserve`.

        Parameters
        ----------
        labels : sequence of distinct labels, or None
            None: tasks without a label.
        numbers : ndarray of int, or None
            What `numbered` says of them.
        n_rows : ndarray of int
        visit : int
            Number of the first of these visits.
        """
        memory, first, last = self._memory, self.n_records, self.n_records + len(n_rows)
        memory.n_used = last  # before the first write: whatever stops it
        memory.n_rows[first:last] = n_rows
        memory.visited[first:last] = np.arange(visit, visit + len(n_rows))
        memory.previous[first:last] = LOOSE
        view = self.copy()
        view.n_records = last
        if labels is None or numbers is None:
            memory.number[first:last] = LOOSE
            view.n_loose += len(n_rows)
        else:
            memory.number[first:last] = numbers
            returning = numbers < self.n_known
            latest = memory.latest
            for i in np.flatnonzero(returning).tolist():
                memory.previous[first + i] = latest[numbers[i]]
                latest[numbers[i]] = first + i
            new = np.flatnonzero(~returning)
            view.n_known += len(new)
            latest[self.n_known : view.n_known] = first + new
            memory.index.update(zip(labels, numbers.tolist(), strict=True))
        return view

    def appended_one(
        self, label: Hashable, number: int | None, n_rows: int, visit: int
    ) -> Store:
        """`appended` for one task, without arrays; number None: it has no label."""
        memory, record = self._memory, self.n_records
        memory.n_used = record + 1  # see `appended`
        memory.n_rows[record] = n_rows
        memory.visited[record] = visit
        view = self.copy()
        view.n_records = record + 1
        if number is None:
            memory.number[record] = LOOSE
            view.n_loose += 1
        else:
            memory.number[record] = number
            if number < self.n_known:
                memory.previous[record] = memory.latest[number]
                memory.latest[number] = record
            else:
                memory.previous[record] = LOOSE
                memory.latest[number] = record
                memory.index[label] = number
                view.n_known += 1
        return view

    # ---- shrinking

    def without_first_loose(self, n_gone: int) -> Store:
        """Without the oldest tasks that have no label."""
        view = self.copy()
        view.first_loose = int(self.loose()[n_gone - 1]) + 1
        view.n_loose -= n_gone
        return view

    def without(self, labels: Sequence[Hashable]) -> Store:
        """Without these known tasks, in a separate memory."""
        gone = {self.number(label) for label in labels}
        others = [label for label in self.labels() if self.number(label) not in gone]
        return self._rebuilt(others)

    def rewritten(self, factors: Array) -> Store:
        """The tasks held, in the order of `held`, with other factors."""
        records, old = self.held(), self._memory
        memory = _Memory(len(records), factors.shape[1], self.width)
        memory.factors[:] = factors
        memory.n_rows[:], memory.visited[:] = old.n_rows[records], old.visited[records]
        memory.previous[:] = memory.number[:] = LOOSE
        memory.number[: self.n_known] = np.arange(self.n_known)
        memory.index = {label: i for i, label in enumerate(self.labels())}
        memory.latest[: self.n_known] = np.arange(self.n_known)
        memory.n_used = len(records)
        view = self.copy()
        view._memory, view.n_records, view.first_loose = memory, len(records), 0
        return view

    def compacted(self) -> Store:
        """With the current records only, in a separate memory."""
        return self._rebuilt(self.labels())

    def _rebuilt(self, labels: Sequence[Hashable]) -> Store:
        known = self.records(self.numbers(labels))
        records = np.concatenate([known, self.loose()])
        old = self._memory
        order = np.argsort(old.visited[records], kind="stable")
        records = records[order]
        memory = _Memory(len(records), old.factors.shape[1], self.width)
        memory.factors[:] = old.factors[records]
        memory.n_rows[:], memory.visited[:] = old.n_rows[records], old.visited[records]
        memory.previous[:] = LOOSE
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        memory.number[:] = LOOSE
        memory.number[place[: len(known)]] = np.arange(len(known))
        memory.index = {label: i for i, label in enumerate(labels)}
        memory.latest[:] = LOOSE
        memory.latest[: len(known)] = place[: len(known)]
        memory.n_used = len(records)
        view = self.copy()
        view._memory, view.n_records, view.first_loose = memory, len(records), 0
        view.n_known = len(known)
        return view

    def copy(self) -> Store:
        """The same view, as another object."""
        view = Store.__new__(Store)
        view._memory, view.n_records = self._memory, self.n_records
        view.n_known, view.n_loose = self.n_known, self.n_loose
        view.first_loose = self.first_loose
        return view

    def __getstate__(self) -> dict:
        packed = self.compacted()
        memory = packed._memory.__dict__.copy()
        memory["index"] = list(memory["index"])  # skops keeps keys of few types only
        return {"memory": memory, "counts": packed._counts()}

    def __setstate__(self, state: dict) -> None:
        self._memory = _Memory.__new__(_Memory)
        self._memory.__dict__.update(state["memory"])
        labels = state["memory"]["index"]
        self._memory.index = {label: number for number, label in enumerate(labels)}
        for name in ("factors", "n_rows", "visited", "number", "previous", "latest"):
            array = np.array(getattr(self._memory, name))  # writable, in memory
            setattr(self._memory, name, array)
        for name, value in state["counts"].items():
            setattr(self, name, value)

    def _counts(self) -> dict:
        names = ("n_records", "n_known", "n_loose", "first_loose")
        return {name: getattr(self, name) for name in names}


def _is_range(records: Array) -> bool:
    """Whether these are the records 0, 1, 2, ..."""
    return bool((records == np.arange(len(records))).all())
