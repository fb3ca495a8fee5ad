"""A row per visit (a task that is learned from), in order: numbers and a label."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

__all__ = ["LAST_ROWS", "History"]

LAST_ROWS = 1000  # kept if tasks are not stored


class _Memory:
    """Rows that histories share; those that are in use have a label."""

    __slots__ = ("labels", "numbers")

    def __init__(self, numbers: np.ndarray, labels: list[Hashable]):
        self.numbers, self.labels = numbers, labels


class History:
    """The numbers and labels of visits; a task without a label has None.

    A value is a range of rows of a memory that later values share, and never changes.

    Parameters
    ----------
    dtype : dtype
        Of the numbers of a task, a structured one.
    n_reserved : int
        Tasks that a pickle has space for from the start, so that its size is constant.
    """

    __slots__ = ("_first", "_memory", "_n", "_n_gone", "_n_reserved")

    def __init__(self, dtype: np.dtype, n_reserved: int = 0):
        self._memory = _Memory(np.empty(n_reserved, dtype), [])
        self._first = self._n = self._n_gone = 0
        self._n_reserved = n_reserved

    def _of(self, memory: _Memory, first: int, n: int) -> History:
        """Rows `first` to `n` of a memory, which follow those that are gone."""
        history = History.__new__(History)
        history._memory, history._first, history._n = memory, first, n
        history._n_gone, history._n_reserved = self._n_gone, self._n_reserved
        return history

    def __len__(self) -> int:
        return self._n - self._first

    @property
    def numbers(self) -> np.ndarray:
        """A structured array, one row per task."""
        return self._memory.numbers[self._first : self._n]

    @property
    def labels(self) -> list[Hashable]:
        return self._memory.labels[self._first : self._n]

    def to_array(self) -> np.ndarray:
        """The labels, the numbers of the visits from 1 on, and the numbers."""
        numbers = self.numbers
        kinds = [("label", object), ("visit", np.int64), *numbers.dtype.descr]
        array = np.empty(len(numbers), dtype=kinds)
        array["visit"] = self._n_gone + 1 + np.arange(len(numbers))
        for row, label in enumerate(self.labels):
            array["label"][row] = label
        for name in numbers.dtype.names or ():
            array[name] = numbers[name]
        return array

    def with_capacity(self, n_more: int) -> History:
        """The same tasks, with space for more in `spare`."""
        memory, n = self._memory, self._n
        if len(memory.labels) == n and n + n_more <= len(memory.numbers):
            return self
        return self._of(self._enlarged(n_more), 0, len(self))

    def spare(self, n_more: int) -> np.ndarray:
        """Rows of numbers after the current ones, to be written before `grown`."""
        return self._memory.numbers[self._n : self._n + n_more]

    def grown(
        self, n_more: int, labels: Sequence[Hashable] | None, *, keeps_all: bool
    ) -> History:
        """With the tasks of the first spare rows.

        Without `keeps_all` only the last `LAST_ROWS` remain.
        """
        first, n = self._first, self._n + n_more
        new_labels = (None,) * n_more if labels is None else labels
        self._memory.labels.extend(new_labels)  # claims the rows
        if not keeps_all and n - first > LAST_ROWS:
            first = n - LAST_ROWS
        grown = self._of(self._memory, first, n)
        grown._n_gone += first - self._first
        return grown

    def appended_one(
        self, numbers: Any, label: Hashable | None, *, keeps_all: bool
    ) -> History:
        """With one more task, whose numbers are a tuple."""
        larger = self.with_capacity(1)
        larger._memory.numbers[larger._n] = numbers
        return larger.grown(1, (label,), keeps_all=keeps_all)

    def appended(
        self,
        numbers: np.ndarray,
        labels: Sequence[Hashable] | None,
        *,
        keeps_all: bool,
    ) -> History:
        """With more tasks; see `grown`."""
        larger = self.with_capacity(len(numbers))
        larger.spare(len(numbers))[:] = numbers
        return larger.grown(len(numbers), labels, keeps_all=keeps_all)

    def with_numbers(self, numbers: np.ndarray) -> History:
        """The same tasks with other numbers, in a separate memory."""
        return self._of(_Memory(numbers.copy(), self.labels), 0, len(self))

    def _enlarged(self, n_more: int) -> _Memory:
        """Another memory with these rows, and space for more."""
        n, numbers = len(self), self._memory.numbers
        enlarged = np.empty(max(n + n_more, 2 * n), numbers.dtype)
        enlarged[:n] = self.numbers
        return _Memory(enlarged, self.labels)

    def __getstate__(self) -> dict[str, Any]:
        numbers = np.zeros(max(len(self), self._n_reserved), self._memory.numbers.dtype)
        numbers[: len(self)] = self.numbers
        return {
            "numbers": numbers,
            "labels": self.labels,
            "n_gone": self._n_gone,
            "n_reserved": self._n_reserved,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        labels = list(state["labels"])
        numbers = np.array(state["numbers"])  # in memory, where joblib maps a file
        self._memory, self._first, self._n = _Memory(numbers, labels), 0, len(labels)
        self._n_gone, self._n_reserved = state["n_gone"], state["n_reserved"]
