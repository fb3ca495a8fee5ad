"""MixedEffectsClassifier: its targets have neither a scale nor a noise variance."""

from __future__ import annotations

import numpy as np
import pytest

from skmeta import MixedEffectsClassifier
from skmeta.datasets import make_task_classification
from skmeta.metrics import regret_report


@pytest.fixture(scope="module", params=[2, 3])
def tasks(request):
    """Tasks of unequal shares of the classes."""
    return make_task_classification(
        n_tasks=30, n_samples=20, n_classes=request.param, random_state=0
    )


def test_a_new_task_is_predicted_as_a_known_one_of_the_same_rows(tasks):
    X, y, labels = tasks
    model = MixedEffectsClassifier().fit(X, y, tasks=labels)
    rows = labels == 3
    adapted = model.adapt(X[rows], y[rows]).predict_proba(X[rows])
    known = model.predict_proba(X[rows], tasks=labels[rows])
    np.testing.assert_allclose(adapted, known, atol=0.05)
    few = model.adapt(X[rows][:1], y[rows][:1]).predict_proba(X[rows])
    np.testing.assert_allclose(few, model.predict_proba(X[rows]), atol=0.08)


def test_the_report_knows_no_scale_of_classes():
    rng = np.random.default_rng(0)  # classes that no task separates
    X, y = rng.normal(size=(160, 2)), rng.integers(0, 2, size=160)
    report = regret_report(MixedEffectsClassifier(), X, y, np.repeat(np.arange(4), 40))
    assert (report.regret <= report.bound).all()
