"""The mixture of Gaussian tasks against its definition.

Statistical tolerances are five standard errors of the estimate, at a fixed seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmeta.datasets import make_gaussian_mixture_tasks


def test_defaults_are_those_of_the_paper():
    X, y, tasks, truth = make_gaussian_mixture_tasks(
        20, return_centers=True, random_state=0
    )
    assert X.shape == (20 * 32, 50) and X.dtype == np.float64
    assert y.dtype == tasks.dtype == np.int64
    assert_array_equal(tasks, np.repeat(np.arange(20), 32))
    assert truth.centers.shape == (4, 50)
    assert truth.task_centers.shape == (20, 4, 50)
    for x, label, task in zip(X, y, tasks, strict=True):
        distance = np.linalg.norm(x - truth.task_centers[task, label])
        assert distance == pytest.approx(1)
    counts = np.bincount(y, minlength=4)
    assert_allclose(counts, 160, atol=5 * np.sqrt(640 * 0.25 * 0.75))


@pytest.mark.parametrize("task_std", [0.0, 0.3, 1.0])
def test_centers_are_standard_normal_whatever_their_spread(task_std):
    *_, truth = make_gaussian_mixture_tasks(
        4000, 1, 2, n_classes=3, task_std=task_std, return_centers=True, random_state=0
    )
    spread = truth.task_centers - np.sqrt(1 - task_std**2) * truth.centers
    n = spread.size
    assert abs(spread.mean()) <= 5 * task_std / np.sqrt(n)
    assert abs(spread.std() - task_std) <= 5 * task_std / np.sqrt(2 * n)
    correlation = np.corrcoef(spread.reshape(4000, -1).T) if task_std else np.eye(6)
    assert_allclose(correlation, np.eye(6), atol=5 / np.sqrt(4000))


def test_directions_are_uniform():
    X, y, _, truth = make_gaussian_mixture_tasks(
        1, 8000, 3, task_std=0.0, radius=2.0, return_centers=True, random_state=0
    )
    direction = (X - truth.centers[y]) / 2
    assert_allclose(np.linalg.norm(direction, axis=1), 1)
    assert_allclose(direction.mean(axis=0), 0, atol=5 / np.sqrt(3 * 8000))
    assert_allclose(
        direction.T @ direction / 8000, np.eye(3) / 3, atol=5 * 0.3 / np.sqrt(8000)
    )


def test_a_seed_fixes_all_draws():
    options = {"n_tasks": 5, "n_samples": (2, 6), "return_centers": True}
    *first, truth = make_gaussian_mixture_tasks(**options, random_state=1)
    *again, same = make_gaussian_mixture_tasks(**options, random_state=1)
    for one, other in zip(
        [*first, *truth.values()], [*again, *same.values()], strict=True
    ):
        assert_array_equal(one, other)
    *_, other = make_gaussian_mixture_tasks(**options, random_state=2)
    assert not np.array_equal(truth.centers, other.centers)
    plain = make_gaussian_mixture_tasks(5, (2, 6), random_state=1)
    assert len(plain) == 3
    shuffled = make_gaussian_mixture_tasks(5, (2, 6), random_state=1, shuffle=True)
    order = np.lexsort(np.column_stack(shuffled).T)
    for one, other in zip(shuffled, plain, strict=True):
        assert_array_equal(one[order], other[np.lexsort(np.column_stack(plain).T)])
    assert not np.array_equal(shuffled[2], plain[2])


@pytest.mark.parametrize(
    "params, message",
    [
        ({"task_std": 1.1}, r"'task_std' parameter .* \[0.*1"),
        ({"n_classes": 1}, r"'n_classes' parameter"),
        ({"radius": -1.0}, r"'radius' parameter"),
        ({"n_samples": (3, 2)}, "low <= high"),
    ],
)
def test_errors(params, message):
    with pytest.raises(ValueError, match=message):
        make_gaussian_mixture_tasks(**params)
