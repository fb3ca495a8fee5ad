"""The store of task statistics: views that an interrupted writer does not disturb."""

import pickle
from itertools import count

import numpy as np
import pytest
from fuzz import Interrupt

from skmeta._mixed._store import Store

WIDTH = 3


def write(store, labels, value):
    """Append tasks whose factors hold one value."""
    out = store.reserve(len(labels), 1)
    out[:] = value
    numbers = store.numbered(labels)
    return store.appended(labels, numbers, np.ones(len(labels), np.int64), value)


def write_one(store, labels, value):
    """The same, one task after the other."""
    for label in labels:
        store.reserve(1, 1)[:] = value
        number = store.number(label)
        number = store.n_known if number < 0 else number
        store = store.appended_one(label, number, 1, value)
    return store


def content(store):
    """The value of every task, by label."""
    factors = store.factors(store.records())
    assert len(set(store.numbers(store.labels()).tolist())) == store.n_known
    return dict(zip(store.labels(), factors[:, 0, 0].tolist(), strict=True))


def start(writes):
    store = writes(Store.empty(WIDTH - 1), ["a", "b", "e"], 1)
    store.reserve(10, 1)  # memory that the next writers share
    return store


@pytest.mark.parametrize("writes", [write, write_one])
def test_an_interrupt_at_any_instruction_is_not_seen(writes):
    """Neither by the view that it started from nor by what is written afterwards."""
    for n in count(1):
        store = start(writes)
        try:
            with Interrupt(n, KeyboardInterrupt()):
                writes(store, ["b", "new", "a"], 7)
        except KeyboardInterrupt:
            pass
        else:
            break
        before = {"a": 1, "b": 1, "e": 1}
        assert content(store) == before
        later = writes(store, ["e", "other"], 9)
        assert content(later) == before | {"e": 9, "other": 9}
        assert later.number("new") == -1
        last = writes(later, ["new", "b"], 11)
        assert content(last) == before | {"e": 9, "other": 9, "new": 11, "b": 11}
        assert content(later) == before | {"e": 9, "other": 9}
        assert content(store) == before
        assert content(pickle.loads(pickle.dumps(last))) == content(last)
    assert n > 100


def test_a_pickle_holds_no_memory_that_was_never_written():
    store = start(write)
    store.reserve(2, 1)[:] = 2.0
    store = store.appended(None, None, np.ones(2, np.int64), 5)  # without labels
    memory = store.__getstate__()["memory"]
    assert memory["latest"].tolist() == [0, 1, 2, -1, -1]
    assert memory["number"].tolist() == [0, 1, 2, -1, -1]
    assert pickle.dumps(store) == pickle.dumps(store)
