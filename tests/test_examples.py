"""The quick examples of the gallery run, and show what they say."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    """Run an example in an empty folder without a display; return its variables."""
    pytest.importorskip("matplotlib").use("agg")
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)

    def run(name: str) -> dict[str, Any]:
        variables = runpy.run_path(str(EXAMPLES / name))
        plt.close("all")
        return variables

    return run


def test_quickstart_prints_where_its_picture_is(run_example, tmp_path, capsys):
    errors = run_example("plot_quickstart.py")["rmse"]
    picture = tmp_path / "quickstart.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"The picture is in {picture}" in capsys.readouterr().out
    mixed, fmrl = errors["MixedEffectsRegressor"], errors["FMRLRegressor"]
    assert (mixed[1:] < errors["random intercept"][1:]).all()
    assert (fmrl[1:] < errors["one model each"][1:]).all()


def test_every_candidate_of_the_grid_search_differs(run_example, capsys):
    variables = run_example("plot_grid_search.py")
    scores = variables["search"].cv_results_["mean_test_score"]
    meta_step_sizes, step_sizes = variables["grid"].values()
    assert len(scores) == len(meta_step_sizes) * len(step_sizes)
    assert len(np.unique(scores.round(6))) == len(scores)
    printed = capsys.readouterr().out
    for value in (*meta_step_sizes, *step_sizes):
        assert str(value) in printed
    for score in -scores:
        assert f"{score:.2f}" in printed


def test_streams_of_both_families_beat_single_devices(run_example, capsys):
    variables = run_example("plot_streaming_tasks.py")
    late = {name: errors[-200:].mean() for name, errors in variables["errors"].items()}
    mixed, fmrl, alone = late.values()
    assert mixed < fmrl < alone
    assert "device 7" not in variables["mixed"].task_labels_
    printed = capsys.readouterr().out
    assert "Task 'device 301': X contains NaN" in printed
    assert "unchanged: True" in printed
