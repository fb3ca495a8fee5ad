"""What users see: names, docstrings, signatures and files."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from enum import EnumType
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


def is_described_by_a_base(cls, name):
    """Whether a method without a docstring takes the place of one that has it."""
    if getattr(cls, name).__doc__ and name in vars(cls):
        return False
    return any(getattr(vars(base).get(name), "__doc__", "") for base in cls.__mro__[1:])


METHODS = {
    f"{path}.{name}": method
    for path, obj in OBJECTS.items()
    if inspect.isclass(obj)
    for name, method in inspect.getmembers(obj, inspect.isroutine)
    if not name.startswith("_")
    if (getattr(method, "__module__", "") or "").startswith("skmeta.")
    if not is_described_by_a_base(obj, name)
}
META = (FMRLClassifier, FMRLRegressor)
PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
CHECKS = tomllib.loads(PYPROJECT.read_text())["tool"]["numpydoc_validation"]["checks"]
NOT_DEMANDED = set(CHECKS) - {"all"}

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
    if path == "skmeta.linear_model.Capability":
        accepted = accepted | {"PR01"}  # the signature is that of Enum
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
    labels = {"tasks": [0, 1]} if isinstance(model, META) else {}
    model.fit(pd.DataFrame({"a": [0.0, 1.0]}), [0, 1], **labels)
    fitted = {name for name in dir(model) if name.endswith("_") and name[0] != "_"}
    documented = [attribute.name for attribute in ClassDoc(type(model))["Attributes"]]
    assert sorted(documented) == sorted(fitted)
    for name in documented:
        getattr(model, name)


@pytest.mark.parametrize("path", [*OBJECTS, *METHODS])
def test_signature_is_annotated(path):
    obj = OBJECTS.get(path) or METHODS[path]
    function = obj.__init__ if inspect.isclass(obj) else obj
    if function is object.__init__ or isinstance(obj, EnumType):
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
        "datasets/data/omniglot.rst",
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
