"""What is stored of known tasks: versions that share memory and are safe to read."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.testing import assert_array_equal

from skmeta._meta._history import LAST_ROWS, History
from skmeta._meta._known import KnownTasks, Rows

SHAPE = (2,)


def block(*numbers):
    """One record per number."""
    return np.array([[number, -number] for number in numbers], dtype=float)


def as_dict(known):
    """What a version holds, by label."""
    names = known.names()
    records = known.get(known.rows(names))
    return {name: record[0] for name, record in zip(names, records, strict=True)}


# ---- versions


def test_a_version_does_not_see_later_writes():
    first = KnownTasks(SHAPE).stored(["a", "b"], block(1, 2))
    second = first.stored(["b", "c"], block(20, 30))
    third = second.stored(["a"], block(100))
    assert as_dict(first) == {"a": 1, "b": 2}
    assert as_dict(second) == {"a": 1, "b": 20, "c": 30}
    assert as_dict(third) == {"a": 100, "b": 20, "c": 30}
    assert [len(one) for one in (first, second, third)] == [2, 3, 3]
    assert_array_equal(first.rows(["c", "b"]), [-1, 1])
    assert_array_equal(second.get(second.rows(["b"])), block(20))


def test_two_versions_of_one_past_do_not_meet():
    past = KnownTasks(SHAPE).stored(["a"], block(1))
    left = past.stored(["a", "l"], block(2, 3))
    right = past.stored(["a", "r"], block(4, 5))
    assert as_dict(past) == {"a": 1}
    assert as_dict(left) == {"a": 2, "l": 3}
    assert as_dict(right) == {"a": 4, "r": 5}
    assert as_dict(left.stored(["r"], block(6))) == {"a": 2, "l": 3, "r": 6}
    assert as_dict(right.stored(["l"], block(7))) == {"a": 4, "r": 5, "l": 7}


def test_names_stand_in_order_of_first_appearance():
    known = KnownTasks(SHAPE)
    for names in (["c", "a"], ["b", "c"], ["a", "d"]):
        known = known.stored(names, block(*range(len(names))))
    assert known.names() == ["c", "a", "b", "d"]
    assert_array_equal(known.latest(), known.get(known.rows(known.names())))


def test_nothing_to_store_is_the_same_version():
    known = KnownTasks(SHAPE).stored(["a"], block(1))
    assert known.stored([], np.empty((0, 2))) is known


class Interrupting:
    """A label whose n-th hash is interrupted."""

    left = 0

    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Interrupting) and other.name == self.name

    def __hash__(self):
        Interrupting.left -= 1
        if Interrupting.left == 0:
            raise KeyboardInterrupt
        return hash(self.name)


@pytest.mark.parametrize("n_hashes", range(1, 7))
def test_an_interrupted_write_is_not_seen(n_hashes):
    """Neither by the version that it started from nor by the next writer."""
    names = [Interrupting(name) for name in "abc"]
    known = KnownTasks(SHAPE).stored(names[:2], block(1, 2))
    known = known.stored(["plain"], block(3))
    before = as_dict(known)
    Interrupting.left = n_hashes
    with pytest.raises(KeyboardInterrupt):
        known.stored([names[1], names[2], names[0]], block(10, 20, 30))
        Interrupting.left = 1  # it got through: interrupt what comes after
        hash(names[0])
    Interrupting.left = 0
    assert as_dict(known) == before
    after = known.stored([names[2], "plain"], block(5, 6))
    assert as_dict(after) == before | {names[2]: 5, "plain": 6}
    assert as_dict(known) == before


def test_a_task_that_returns_for_ever_does_not_grow_the_memory():
    known = KnownTasks(SHAPE).stored(["a", "b"], block(1, 2))
    for n in range(1000):
        known = known.stored(["a"], block(n))
        assert len(known.records) < 100
    assert as_dict(known) == {"a": 999, "b": 2}


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda known: pickle.loads(pickle.dumps(known))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_holds_its_version_only(copied):
    known = KnownTasks(SHAPE).stored(["a", "b"], block(1, 2))
    known.stored(
        ["c", "a"], block(3, 4)
    )  # a later one, of which the copy knows nothing
    twin = copied(known)
    assert as_dict(twin) == {"a": 1, "b": 2}
    assert len(twin.records) == 2
    assert as_dict(twin.stored(["a"], block(9))) == {"a": 9, "b": 2}
    assert as_dict(known) == as_dict(twin) == {"a": 1, "b": 2}


# ---- against dictionaries


class Versions(RuleBasedStateMachine):
    """Any version may be written on, forgotten from, or copied; all must stay."""

    def __init__(self):
        super().__init__()
        self.versions = [(KnownTasks(SHAPE), {})]
        self.n = 0

    def pick(self, number):
        return self.versions[number % len(self.versions)]

    @rule(number=st.integers(0, 99), names=st.lists(st.integers(0, 9), unique=True))
    def store(self, number, names):
        known, expected = self.pick(number)
        numbers = list(range(self.n, self.n + len(names)))
        self.n += len(names)
        stored = known.stored(names, block(*numbers).reshape(-1, 2))
        latest = expected | dict(zip(names, map(float, numbers), strict=True))
        self.versions.append((stored, latest))

    @rule(number=st.integers(0, 99))
    def copy(self, number):
        known, expected = self.pick(number)
        self.versions.append((pickle.loads(pickle.dumps(known)), expected))

    @invariant()
    def every_version_is_its_dictionary(self):
        for known, expected in self.versions:
            assert as_dict(known) == expected
            assert known.names() == list(expected)
            assert len(known) == len(expected)
            assert_array_equal(known.rows([-1]), [-1])


TestVersions = Versions.TestCase


# ---- rows and history


@given(st.lists(st.integers(0, 5), max_size=20))
def test_rows_are_those_of_a_list(sizes):
    rows, expected, versions = Rows(np.empty(0)), [], []
    for size in sizes:
        more = np.arange(len(expected), len(expected) + size, dtype=float)
        rows = rows.extended(more)
        expected += more.tolist()
        versions.append((rows, len(expected)))
    for version, n in versions:
        assert version.array.tolist() == expected[:n]


def test_rows_reserved_and_not_taken_are_written_over():
    rows = Rows(np.arange(3.0))
    rows.reserve(2)[:] = -1.0
    left, right = rows.extended([3.0]), rows.extended([4.0, 5.0])
    assert left.array.tolist() == [0, 1, 2, 3]
    assert right.array.tolist() == [0, 1, 2, 4, 5]
    assert rows.array.tolist() == [0, 1, 2]


NUMBERS = np.dtype([("n", float)])


def more(history, numbers, keeps_all=True):
    """The history with the tasks of one call, whose labels are their numbers."""
    if len(numbers) == 1:
        return history.appended_one((numbers[0],), numbers[0], keeps_all=keeps_all)
    block = np.array(numbers, dtype=float).view(NUMBERS)
    return history.appended(block, list(numbers), keeps_all=keeps_all)


@pytest.mark.parametrize("keeps_all", [True, False])
@pytest.mark.parametrize("at_a_time", [1, 7, 2 * LAST_ROWS])
def test_history_keeps_all_or_the_last(keeps_all, at_a_time):
    history, n_tasks = History(NUMBERS), 0
    while n_tasks < 3 * LAST_ROWS:
        numbers = range(n_tasks, n_tasks + at_a_time)
        history, n_tasks = more(history, numbers, keeps_all), n_tasks + at_a_time
    array = history.to_array()
    assert len(history) == len(array) == (n_tasks if keeps_all else LAST_ROWS)
    last = np.arange(n_tasks)[-len(array) :]
    assert_array_equal(array["n"], last)
    assert array["label"].tolist() == last.tolist()
    assert_array_equal(array["visit"], last + 1)
    assert array.dtype.names == ("label", "visit", "n")
    restored = more(pickle.loads(pickle.dumps(history)), [0], keeps_all)
    assert restored.to_array()["visit"][-1] == n_tasks + 1


def test_the_size_of_a_pickle_with_space_is_constant():
    history = History(NUMBERS, LAST_ROWS)
    sizes = []
    for n in range(1, 3 * LAST_ROWS):
        history = more(history, [n], keeps_all=False)
        sizes.append(len(pickle.dumps(history)))
    assert sizes[-1] <= 1.5 * sizes[0]
    restored = pickle.loads(pickle.dumps(history))
    assert_array_equal(restored.to_array(), history.to_array())


def test_a_label_of_the_history_may_be_a_tuple():
    numbers, labels = np.zeros(2, NUMBERS), [("a", 1), ("b", 2)]
    history = History(NUMBERS).appended(numbers, labels, keeps_all=True)
    assert history.to_array()["label"].tolist() == [("a", 1), ("b", 2)]


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=30))
def test_a_longer_history_never_changes_a_shorter_one(calls):
    versions = [(History(NUMBERS), [])]
    for n, call in enumerate(calls):
        history, expected = versions[n // 2 if call[0] else -1]
        numbers = [float(10 * n + i) for i in range(len(call))]
        versions.append((more(history, numbers), expected + numbers))
    for history, expected in versions:
        assert history.numbers["n"].tolist() == history.labels == expected
        restored = pickle.loads(pickle.dumps(history))
        assert more(restored, [1.0]).labels == [*expected, 1.0]
