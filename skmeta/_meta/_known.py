"""What is stored of known tasks, by label and in order.

Values share memory: a new value appends to the memory of an earlier one, and never
writes where an earlier one reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np


class Rows:
    """A growing array of equal rows: appending costs amortised time per row.

    `reserve` gives memory for more rows, `grown` a new value that has them. The two
    share memory as long as the old one is the latest; each sees its own rows only.
    """

    def __init__(self, array: np.ndarray):
        self._memory: list[Any] = [array, len(array)]  # shared: array, rows in use
        self._n = len(array)

    def __len__(self) -> int:
        return self._n

    @property
    def array(self) -> np.ndarray:
        return self._memory[0][: self._n]

    def reserve(self, n_more: int) -> np.ndarray:
        """Rows behind the present ones, to be written before `grown` is called."""
        array, in_use = self._memory
        n = self._n + n_more
        if in_use != self._n or n > len(array):
            array = np.empty((max(n, 2 * self._n), *array.shape[1:]), array.dtype)
            array[: self._n] = self.array
            self._memory = [array, self._n]
        return array[self._n : n]

    def grown(self, n_more: int) -> Rows:
        """This value and the first `n_more` reserved rows."""
        rows = Rows.__new__(Rows)
        memory = rows._memory = self._memory
        memory[1] = rows._n = self._n + n_more
        return rows

    def extended(self, block: np.ndarray) -> Rows:
        """This value and the rows of a block."""
        self.reserve(len(block))[:] = block
        return self.grown(len(block))

    def __getstate__(self) -> dict[str, Any]:
        return {"array": self.array.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Rows.__init__(self, np.array(state["array"]))  # in memory, as joblib maps files


class _Index:
    """Records by label, shared by values: `claimed` of them have a writer.

    A label that returned has the list of its records, in order.
    """

    def __init__(self) -> None:
        self.records: dict[Hashable, int | list[int]] = {}
        self.claimed = 0


class KnownTasks:
    """One record for each known task, the latest of those appended.

    Parameters
    ----------
    shape : tuple of int
        Of a record.
    """

    def __init__(self, shape: tuple[int, ...]):
        self._index = _Index()
        self._records = Rows(np.empty((0, *shape)))
        self._n_labels = 0

    def __len__(self) -> int:
        return self._n_labels

    def names(self) -> list[Hashable]:
        """The labels, in order of first appearance."""
        names: list[Hashable] = []
        for name in list(self._index.records):
            if len(names) == self._n_labels:
                break
            if self._latest(name) >= 0:
                names.append(name)
        return names

    @property
    def index(self) -> Mapping[Hashable, Any]:
        """Its keys are the labels, and those of later values that share the memory."""
        return self._index.records

    def _latest(self, name: Hashable) -> int:
        """The latest record of a label that this value holds, or -1."""
        found = self._index.records.get(name, -1)
        if isinstance(found, list):
            found = next(
                (one for one in reversed(found) if one < len(self._records)), -1
            )
        return found if found < len(self._records) else -1

    def rows(self, names: Sequence[Hashable]) -> np.ndarray:
        """The record of every named task, -1 where it is unknown."""
        return np.array([self._latest(name) for name in names], dtype=np.intp)

    @property
    def records(self) -> np.ndarray:
        """All records, those of `rows` among them."""
        return self._records.array

    def get(self, rows: np.ndarray) -> np.ndarray:
        """The records of these numbers."""
        return self._records.array[rows]

    def latest(self) -> np.ndarray:
        """The records of all tasks, in the order of `labels`."""
        return self.get(self.rows(self.names()))

    def stored(self, names: Sequence[Hashable], block: np.ndarray) -> KnownTasks:
        """With the records of these distinct tasks, instead of earlier ones."""
        if not len(names):
            return self
        base = self
        n_records, index = len(self._records), self._index
        if index.claimed != n_records or n_records > 2 * self._n_labels + 64:
            base = self._compacted()
            n_records, index = len(base._records), base._index
        index.claimed += len(names)  # before the first write: whatever stops it
        stored = KnownTasks.__new__(KnownTasks)
        stored._index = index
        stored._records = base._records.extended(block)
        stored._n_labels = base._n_labels
        for number, name in enumerate(names, start=n_records):
            before = index.records.get(name)
            if before is None:
                stored._n_labels += 1
                index.records[name] = number
            elif isinstance(before, list):
                before.append(number)
            else:
                index.records[name] = [before, number]
        return stored

    def _compacted(self) -> KnownTasks:
        """One record per task, in a separate memory."""
        names = self.names()
        fresh = KnownTasks(self._records.array.shape[1:])
        fresh._records = Rows(self.get(self.rows(names)))
        fresh._index.records = {name: row for row, name in enumerate(names)}
        fresh._index.claimed = fresh._n_labels = len(names)
        return fresh

    def __getstate__(self) -> dict[str, Any]:
        return {"names": self.names(), "records": self.latest()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._index = _Index()
        self._records = Rows(np.array(state["records"]))
        self._index.records = {name: row for row, name in enumerate(state["names"])}
        self._index.claimed = self._n_labels = len(state["names"])
