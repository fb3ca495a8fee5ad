"""What users see: names, docstrings, signatures, files; and who imports whom."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

import skmeta
from skmeta import FMRLClassifier, FMRLRegressor, _kernels, _show_versions
from skmeta.linear_model import (
    BiasedLogisticRegression,
    BiasedRidge,
    OGDClassifier,
    OGDRegressor,
)

MODULES = ["skmeta"] + [
    module.name
    for module in pkgutil.walk_packages(skmeta.__path__, "skmeta.")
    if "._" not in module.name
]
OBJECTS = {
    f"{module}.{name}": getattr(importlib.import_module(module), name)
    for module in MODULES
    for name in importlib.import_module(module).__all__
    if name != "__version__"
}
# Called by the loops, not by users; described once, in the base class of the rules.
RULE_METHODS = {
    "start",
    "is_new",
    "propose",
    "propose_first",
    "observe",
    "observe_tasks",
    "noise",
    "candidates",
    "leader",
    "judge",
    "step",
}
METHODS = {
    f"{path}.{name}": method
    for path, obj in OBJECTS.items()
    if inspect.isclass(obj)
    for name, method in inspect.getmembers(obj, inspect.isroutine)
    if not name.startswith("_") and method.__module__.startswith("skmeta.")
    if name not in RULE_METHODS
}
NOT_DEMANDED = {
    "ES01",  # a summary that says all needs no second paragraph
    "SA01",  # what a method has to do with others is said by its class
    "RT02",  # results are named, as in scikit-learn
    "SS05",  # takes a plural noun for a verb: "Probabilities of ..."
}

# ---- names and docstrings


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_equals_what_is_public(name):
    module = importlib.import_module(name)
    # A package shows what its modules define; a module may use what others define.
    origin = "skmeta." if hasattr(module, "__path__") else name
    public = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and not inspect.ismodule(value)
        if getattr(value, "__module__", "").startswith(origin)
    ]
    if name == "skmeta":
        public.append("__version__")
    assert module.__all__ == sorted(public)


@pytest.mark.parametrize("name", MODULES)
def test_module_has_a_docstring(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("path", [*OBJECTS, *METHODS])
def test_docstring_is_valid_numpydoc(path):
    # EX01: a class or function shows an example, a method need not repeat it
    accepted = NOT_DEMANDED | ({"EX01"} if path in METHODS else set())
    errors = validate(path)["errors"]
    assert [error for error in errors if error[0] not in accepted] == []


@pytest.mark.parametrize(
    "model",
    [
        BiasedLogisticRegression(),
        BiasedRidge(),
        OGDClassifier(),
        OGDRegressor(),
        FMRLClassifier(),
        FMRLRegressor(),
    ],
    ids=repr,
)
def test_documented_attributes_are_those_of_a_fitted_model(model):
    model.fit(pd.DataFrame({"a": [0.0, 1.0]}), [0, 1])
    fitted = {name for name in dir(model) if name.endswith("_") and name[0] != "_"}
    documented = [attribute.name for attribute in ClassDoc(type(model))["Attributes"]]
    assert sorted(documented) == sorted(fitted)
    for name in documented:
        getattr(model, name)


@pytest.mark.parametrize("path", [*OBJECTS, *METHODS])
def test_signature_is_annotated(path):
    obj = OBJECTS.get(path) or METHODS[path]
    function = obj.__init__ if inspect.isclass(obj) else obj
    if function is object.__init__:
        return
    signature = inspect.signature(function)
    missing = [
        name
        for name, parameter in signature.parameters.items()
        if name != "self" and parameter.annotation is inspect.Parameter.empty
    ]
    assert missing == []
    if not inspect.isclass(obj):
        assert signature.return_annotation is not inspect.Signature.empty


# ---- what is installed, and what an import costs


def test_imports_without_the_optional_packages():
    code = (
        "import sys; sys.modules.update(matplotlib=None, pandas=None)\n"
        f"import {', '.join(MODULES)}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "path",
    [
        "py.typed",
        "datasets/data/chick_weights.csv",
        "datasets/data/chick_weights.rst",
        "datasets/data/wage_panel.csv",
        "datasets/data/wage_panel.rst",
    ],
)
def test_data_file_is_packaged(path):
    assert resources.files("skmeta").joinpath(path).is_file()


@pytest.mark.parametrize(
    "compiled, kernel",
    [(True, "compiled"), (False, "NumPy (no compiled module was built)")],
)
def test_show_versions_names_kernel_and_versions(compiled, kernel, monkeypatch, capsys):
    monkeypatch.setattr(_show_versions, "COMPILED", compiled)
    packages = (*_show_versions._PACKAGES, "no-such-package")
    monkeypatch.setattr(_show_versions, "_PACKAGES", packages)
    skmeta.show_versions()
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["skmeta"] == skmeta.__version__
    assert lines["kernel"] == kernel
    assert lines["python"] == sys.version.split()[0]
    assert lines["numpy"] == np.__version__
    assert lines["pandas"] == pd.__version__
    assert {"platform", "scipy", "scikit-learn", "joblib", "matplotlib"} < lines.keys()
    assert lines["no-such-package"] == "not installed"


def test_show_versions_tells_the_kernel_in_use():
    assert _show_versions.COMPILED is _kernels.COMPILED


# ---- who imports whom

ROOT = Path(skmeta.__file__).parent
TREES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.rglob("*.py"))
}
# A part of the package imports parts of lower floors only. What is not named stands on
# the top floor, whose parts may use each other.
FLOORS = [
    {"_matrices"},
    {"_losses", "_sklearn", "_tasks", "_version", "metrics"},
    {"_solvers"},
    {"_kernels"},
    {"_prior", "_validation"},
    {"datasets", "linear_model", "meta_update", "step_size"},
    {"fmrl"},
    {"inspection"},
]
TOP = len(FLOORS)


def imported(nodes):
    """The full name of everything that the nodes import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from (f"{dots}{node.module}.{alias.name}" for alias in node.names)


def floor(part):
    return next((level for level, parts in enumerate(FLOORS) if part in parts), TOP)


def parts_used_by(source):
    """The parts of the package that a file imports."""
    names = [name.split(".") for name in imported(ast.walk(TREES[source]))]
    return {name[1] for name in names if name[0] == "skmeta"}


@pytest.mark.parametrize("source", TREES)
def test_imports_are_absolute(source):
    names = imported(ast.walk(TREES[source]))
    assert [name for name in names if name.startswith(".")] == []


@pytest.mark.parametrize("source", TREES)
def test_optional_packages_are_imported_where_they_are_used(source):
    names = imported(TREES[source].body)
    assert {name.split(".")[0] for name in names}.isdisjoint({"matplotlib", "pandas"})


@pytest.mark.parametrize("source", sorted(TREES.keys() - {"_sklearn.py"}))
def test_only_one_module_imports_private_names_of_scikit_learn(source):
    names = imported(ast.walk(TREES[source]))
    assert [x for x in names if x.startswith("sklearn.") and "._" in x] == []


@pytest.mark.parametrize("source", sorted(TREES.keys() - {"__init__.py"}))
def test_imports_point_down(source):
    part = Path(source).parts[0].removesuffix(".py")
    if floor(part) < TOP:
        others = parts_used_by(source) - {part}
        assert [other for other in others if floor(other) >= floor(part)] == []


def test_solvers_know_of_losses_alone():
    assert parts_used_by("_solvers.py") == {"_losses"}
