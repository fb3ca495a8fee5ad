"""What mypy says of a user's file: the right use passes, a mistake is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api")

CONFIGURATION = Path(__file__).parents[1] / "pyproject.toml"
MISTAKE = "# a mistake"

MODELS = """
from __future__ import annotations

from typing import assert_type

import numpy as np

from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.linear_model import BiasedRidge, OGDClassifier, OGDRegressor
from skmeta.losses import ResidualLoss
from skmeta.meta_step_size import MetaStepSize
from skmeta.step_size import StepSize

X, y, tasks = np.ones((4, 2)), np.ones(4), np.array([0, 0, 1, 1])
"""

RIGHT = """
FMRLRegressor().fit(X, y, tasks=tasks).predict(X).mean()
FMRLClassifier().fit(X, y, tasks=tasks).predict_proba(X).mean()
MixedEffectsClassifier().fit(X, y, tasks=tasks).predict(X).shape
FMRLRegressor().partial_fit(X, y).predict(X, tasks=tasks).mean()
OGDRegressor().fit(X, y).predict(X).mean()
OGDClassifier().fit(X, y).decision_function(X).mean()
assert_type(FMRLRegressor().score(X, y, tasks=tasks), float)

mixed = MixedEffectsRegressor().fit(X, y, tasks=tasks)
mixed.predict(X).mean()
mixed.predict(X, tasks=tasks, return_std=False).mean()
mean, std = mixed.predict(X, return_std=True)
mean.mean() + std.max()
mixed.predict_interval(X, coverage=0.8).shape

ridge = BiasedRidge(noise=1.0).fit(X, y)
ridge.predict(X).mean()
mean, std = ridge.predict(X, return_std=True)
mean.mean() + std.max()
"""

WRONG = """
FMRLRegressor().predict(X).average()  # a mistake
FMRLRegressor(step="fixed")  # a mistake
FMRLRegressor().predict(X, return_std=True)  # a mistake
mixed = MixedEffectsRegressor()
mixed.predict(X, return_std=True).mean()  # a mistake
mean, std, rest = mixed.predict(X, return_std=True)  # a mistake
BiasedRidge().predict(X, return_std=True).mean()  # a mistake
OGDRegressor(average="yes")  # a mistake
"""

THIRD_PARTY = """
class Halving(StepSize):
    def start(self, shape: tuple[int, int]) -> np.ndarray:
        return np.ones(1)

    def propose(
        self, state: np.ndarray, n_samples: int, eta0: np.ndarray
    ) -> float | np.ndarray:
        return float(state[0])

    def observe(
        self,
        state: np.ndarray,
        displacement: np.ndarray,
        grad_sq: np.ndarray,
        n_samples: int,
        n_tasks: int,
    ) -> None:
        state /= 2


class Half(MetaStepSize):
    def share(
        self, state: np.ndarray, n_tasks: int, weight: float, is_first: bool
    ) -> float:
        return 0.5


class LogCosh(ResidualLoss):
    def f_value(self, s: np.ndarray) -> np.ndarray:
        return np.log(np.cosh(s))

    def f_slope(self, s: np.ndarray) -> np.ndarray:
        return np.tanh(s)


FMRLRegressor(OGDRegressor(LogCosh()), step_size=Halving(), meta_step_size=Half())
FMRLRegressor(step_size=0.1, meta_step_size=0.3)
FMRLRegressor(step_size="per_coordinate", meta_step_size="ftl")
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """A function from source to the lines in which mypy finds errors."""
    folder = tmp_path_factory.mktemp("typing")

    def run(source):
        path = folder / "users_file.py"
        path.write_text(MODELS + source, encoding="utf-8")
        options = ["--config-file", str(CONFIGURATION), "--no-error-summary"]
        options += ["--cache-dir", str(folder / "cache"), "--hide-error-context"]
        output, crash, _ = api.run([*options, str(path)])
        assert crash == ""
        found = re.findall(r"users_file\.py:(\d+): error: (.*)", output)
        return {int(number): message for number, message in found}

    return run


def lines_with(mark, source):
    lines = (MODELS + source).splitlines()
    return {number for number, line in enumerate(lines, 1) if mark in line}


@pytest.mark.parametrize("source", [RIGHT, THIRD_PARTY], ids=["models", "third_party"])
def test_right_use_passes(check, source):
    assert check(source) == {}


def test_mistakes_are_found(check):
    assert check(WRONG).keys() == lines_with(MISTAKE, WRONG)


def test_package_is_marked_as_typed():
    # without the file mypy would take everything for Any
    import skmeta

    assert (Path(skmeta.__file__).parent / "py.typed").is_file()
