"""Run the benchmarks by hand: one table of skmeta and scikit-learn side by side.

    python benchmarks/run.py
    python benchmarks/run.py --only 'PartialFit|tiny' --repeats 9

Figures are medians over rounds in which all rows of a class take turns: CPU time, but
elapsed time where the work is shared among threads or processes. The ratio is
scikit-learn's figure over skmeta's. `max diff` is the largest difference of what skmeta
has computed to the same algorithm in scikit-learn; where it exceeds 1e-10 the exit
status is 1.
"""

import argparse
import importlib
import inspect
import itertools
import pkgutil
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import benchmarks  # first: it sets the number of BLAS threads

# isort: split
import numpy as np
import sklearn

import skmeta
from benchmarks._workloads import SPECS
from skmeta._kernels import COMPILED

AGREEMENT = 1e-10
SHORTEST_SAMPLE = 0.05  # seconds; shorter calls are repeated within a sample
SIDES = ("skmeta", "sklearn")
COLUMNS = "{:>8}{:>13}{:>10}{:>9}"


@dataclass
class Row:
    """One combination of parameters of a benchmark class, and its samples."""

    label: str
    unit: str
    difference: float | None
    sample: dict[str, Callable[[], float]]
    samples: dict[str, list[float]] = field(default_factory=dict)

    def take_turn(self):
        for side, sample in self.sample.items():
            self.samples.setdefault(side, []).append(sample())

    def median(self, side):
        return float(np.median(self.samples[side])) if side in self.samples else None

    @property
    def agrees(self):
        # a difference of NaN does not agree
        return self.difference is None or self.difference <= AGREEMENT


def find_classes():
    """Every benchmark class of the modules next to this file."""
    for info in pkgutil.iter_modules(benchmarks.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"benchmarks.{info.name}")
        for name, value in vars(module).items():
            if not name.startswith("_") and inspect.isclass(value):
                if value.__module__ == module.__name__:
                    yield value


def find_combinations(benchmark):
    """Every combination of parameters with its label."""
    for params in itertools.product(*benchmark.params):
        words = [
            f"{name}={value}" if isinstance(value, int) else str(value)
            for name, value in zip(benchmark.param_names, params, strict=True)
        ] or ["-"]
        yield params, ", ".join(words)


def make_row(benchmark, params, label):
    """Set up, compare the results, and find out how to take a sample."""
    one = benchmark()
    if hasattr(one, "setup"):
        one.setup(*params)
    compare = getattr(one, "track_difference", None)
    difference = compare(*params) if compare else None
    if hasattr(one, "track_skmeta"):
        sample = {side: getattr(one, f"track_{side}") for side in SIDES}
        sample = {side: lambda f=f: f(*params) for side, f in sample.items()}
        return Row(label, benchmark.unit, difference, sample)
    sample = {
        side: make_timer(one, getattr(one, f"time_{side}"), params, one.n_units[side])
        for side in SIDES
        if hasattr(one, f"time_{side}")
    }
    return Row(label, f"us/{benchmark.per}", difference, sample)


def make_timer(one, call, params, n_units):
    """A function that returns the microseconds per unit of a call."""

    def seconds(number):
        start = one.timer()
        for _ in range(number):
            call(*params)
        return one.timer() - start

    number = max(1, round(SHORTEST_SAMPLE / max(seconds(1), 1e-6)))
    return lambda: 1e6 * seconds(number) / number / n_units


def measure(benchmark, pattern, repeats):
    """The rows of a class whose name or label matches, and what was skipped."""
    rows, skipped = [], []
    for params, label in find_combinations(benchmark):
        if not re.search(pattern, f"{benchmark.__name__} {label}"):
            continue
        try:
            rows.append(make_row(benchmark, params, label))
        except NotImplementedError as reason:
            skipped.append(f"{label}: skipped, {reason}")
    for _ in range(repeats if benchmark.varies else 1):
        for row in rows:
            row.take_turn()
    return rows, skipped


def three_digits(value):
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def describe(row):
    ours, theirs = map(row.median, SIDES)
    ratio = theirs / ours if theirs is not None else None
    difference = "" if row.difference is None else f"{row.difference:.0e}"
    figures = COLUMNS.format(*map(three_digits, (ours, theirs, ratio)), difference)
    return f"  {row.label:32}{figures}  {row.unit}{'' if row.agrees else ' DIFFERS'}"


def describe_workloads():
    """A line for the sizes of every workload."""
    for name, spec in SPECS.items():
        kind = f"{spec.n_classes} classes" if spec.n_classes else "regression"
        sparse = f", {spec.n_nonzero} values per row" if spec.n_nonzero else ""
        yield (
            f"  {name:12} {spec.n_tasks} tasks of {spec.n_samples} rows, "
            f"{spec.n_features} features, {kind}{sparse}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="regular expression for rows"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")

    kernel = "compiled" if COMPILED else "NumPy"
    print(
        f"skmeta {skmeta.__version__} ({kernel} kernel), "
        f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}"
    )
    print("\nWorkloads", *describe_workloads(), sep="\n")
    print(f"\n{'':34}{COLUMNS.format('skmeta', 'scikit-learn', 'ratio', 'max diff')}")
    n_rows = n_wrong = 0
    for benchmark in find_classes():
        rows, skipped = measure(benchmark, arguments.only, arguments.repeats)
        if rows or skipped:
            print(f"{benchmark.__name__}: {inspect.getdoc(benchmark).splitlines()[0]}")
            print(*map(describe, rows), *(f"  {s}" for s in skipped), sep="\n")
            sys.stdout.flush()
        n_rows += len(rows)
        n_wrong += sum(not row.agrees for row in rows)
    if not n_rows:
        sys.exit(f"no benchmark matches {arguments.only!r}")
    if n_wrong:
        sys.exit(f"{n_wrong} rows differ from scikit-learn by more than {AGREEMENT:g}")


if __name__ == "__main__":
    main()
