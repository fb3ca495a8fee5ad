"""The benchmarks run and agree with scikit-learn, in a tiny size."""

import importlib
import os
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
if not FOLDER.is_dir():
    pytest.skip("there is no benchmarks folder here", allow_module_level=True)

with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ):
    patch.syspath_prepend(FOLDER)
    run = importlib.import_module("run")
    CLASSES = list(run.find_classes())
    parallel = importlib.import_module("parallel")
    rivals = importlib.import_module("benchmarks._rivals")
    workloads = importlib.import_module("benchmarks._workloads")

COMBINATIONS = [
    pytest.param(benchmark, params, id=f"{benchmark.__name__}({label})")
    for benchmark in CLASSES
    for params, label in run.find_combinations(benchmark)
]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Few small tasks, one call per sample, and no result of another test."""
    for name, spec in workloads.SPECS.items():
        small = replace(
            spec,
            n_tasks=3,
            n_samples=8,
            n_features=4,
            n_classes=min(spec.n_classes, 3),
            n_nonzero=min(spec.n_nonzero, 2),
        )
        monkeypatch.setitem(workloads.SPECS, name, small)
    monkeypatch.setattr(run, "SHORTEST_SAMPLE", 0.0)
    rivals.shared_initialization.cache_clear()
    yield
    rivals.shared_initialization.cache_clear()


def test_every_module_has_a_class():
    modules = {path.stem for path in (FOLDER / "benchmarks").glob("[!_]*.py")}
    assert {benchmark.__module__ for benchmark in CLASSES} == {
        f"benchmarks.{name}" for name in modules
    }


@pytest.mark.parametrize("benchmark_class, params", COMBINATIONS)
def test_runs_and_agrees(benchmark_class, params):
    params = [min(p, 5) if type(p) is int else p for p in params]
    row = run.make_row(benchmark_class, params, "tiny")
    row.take_turn()
    assert row.agrees
    assert "skmeta" in row.samples
    for (sample,) in row.samples.values():
        assert np.isfinite(sample) and sample > 0
    one = benchmark_class()
    if hasattr(one, "peakmem_skmeta"):
        one.setup(*params)
        one.peakmem_skmeta(*params)


def call_main(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["run.py", *arguments])
    run.main()


def test_table(monkeypatch, capsys):
    call_main(monkeypatch, "--only", "^Fit (tiny|regression)$", "--repeats", "2")
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if "us/task" in line]
    assert [row[0] for row in rows] == ["tiny", "regression"]
    for _, ours, theirs, ratio, difference, _ in rows:
        assert float(ratio) == pytest.approx(float(theirs) / float(ours), rel=0.02)
        assert float(difference) <= run.AGREEMENT


def test_a_wrong_result_ends_in_an_error(monkeypatch, capsys):
    monkeypatch.setattr(rivals, "META_STEP_SIZE", workloads.META_STEP_SIZE + 1e-6)
    with pytest.raises(SystemExit, match="1 rows differ"):
        call_main(monkeypatch, "--only", "^Fit tiny$", "--repeats", "1")
    assert "DIFFERS" in capsys.readouterr().out


@pytest.mark.parametrize("value", [np.nan, 2e-10])
def test_disagreement(value):
    assert not run.Row("", "", value, {}).agrees


def test_no_match_is_an_error(monkeypatch):
    with pytest.raises(SystemExit, match="no benchmark matches 'no such row'"):
        call_main(monkeypatch, "--only", "no such row")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_work_in_parallel_runs_and_does_not_depend_on_n_jobs():
    for name, call, data in parallel.rows(most=12):
        one, two = call(1, *data), call(2, *data)
        np.testing.assert_array_equal(one, two, err_msg=name)
