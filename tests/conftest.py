"""Fixtures: seeds, kernels, and the hypothesis profile. What CI demands of a run."""

import importlib
import os
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from skmeta import _kernels

settings.register_profile(
    "skmeta",
    deadline=None,
    max_examples=25,
    derandomize="CI" in os.environ,
    # a fixture may choose the kernel, the same one for all examples
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("skmeta")

ALL_SEEDS = "SKMETA_ALL_SEEDS" in os.environ


@pytest.fixture(params=range(100) if ALL_SEEDS else [42], ids=lambda n: f"seed{n}")
def global_random_seed(request):
    """42, or every seed from 0 to 99 where SKMETA_ALL_SEEDS is set.

    A test that uses it must hold for all of them.
    """
    return request.param


def load_kernel(name, part="loops"):
    """A module of a kernel, 'compiled' or 'numpy': of its 'loops' or its 'leaders'.

    If it was not built, the test is skipped; where SKMETA_REQUIRE_COMPILED is set, it
    fails.
    """
    suffix = {"compiled": "fast", "numpy": "py"}[name]
    try:
        return importlib.import_module(f"skmeta._kernels._{part}_{suffix}")
    except ModuleNotFoundError:
        if "SKMETA_REQUIRE_COMPILED" in os.environ:
            pytest.fail("SKMETA_REQUIRE_COMPILED is set, but the kernel is not built")
        pytest.skip("the compiled kernel is not built")


@pytest.fixture
def compiled():
    """The module of the compiled kernel."""
    return load_kernel("compiled")


@pytest.fixture(params=["compiled", "numpy"])
def kernel(request, monkeypatch):
    """Run the package on one of its two kernels; the module of the kernel's loops."""
    loops = load_kernel(request.param)
    suffix = {"compiled": "fast", "numpy": "py"}[request.param]
    for name, function in _kernels._load(suffix).items():
        monkeypatch.setattr(_kernels, name, function)
    monkeypatch.setattr(_kernels, "COMPILED", request.param == "compiled")
    return loops


# ---- what ran, and what may be skipped

OPTIONAL = ["dask", "matplotlib", "mypy", "narwhals", "pandas", "polars", "pyarrow"]
OPTIONAL += ["rich", "skops", "skorch", "statsmodels", "torch"]


def pytest_terminal_summary(terminalreporter):
    found = []
    for name in OPTIONAL:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    terminalreporter.write_line("with " + ", ".join(found))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """In a job of CI, skips fail that `skips.toml` does not accept for the job."""
    job = os.environ.get("SKMETA_CI_JOB")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if job is None or reporter is None:  # the latter in a worker of xdist
        return
    accepted = tomllib.loads(Path(__file__).with_name("skips.toml").read_text())
    accepted = accepted["every"] + accepted[job]
    unexpected = [
        f"{report.nodeid}: {report.longrepr[2]}"
        for report in reporter.stats.get("skipped", [])
        if not any(part in report.longrepr[2] for part in accepted)
    ]
    if unexpected:
        reporter.write_line(f"\nSkips that tests/skips.toml does not accept for {job}:")
        reporter.write_line("\n".join(unexpected))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
