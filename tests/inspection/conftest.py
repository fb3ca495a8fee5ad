"""Fixtures of the tests of the displays."""

import matplotlib
import matplotlib.pyplot as plt
import pytest
from display_tools import class_tasks, equal_tasks, interleaved_tasks

from skmeta import FMRLRegressor


@pytest.fixture(autouse=True)
def agg():
    """Draw without a window, and leave no figure open."""
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def regression():
    return interleaved_tasks()


@pytest.fixture(scope="module")
def long_tasks():
    return equal_tasks()


@pytest.fixture(scope="module")
def classification():
    return class_tasks()


@pytest.fixture(scope="module")
def model(long_tasks):
    X, y, tasks = long_tasks
    seen = tasks < 10
    return FMRLRegressor().fit(X[seen], y[seen], tasks=tasks[seen])
