"""The house: who imports whom, how large a part may be, and what nobody asks of a part.

What is not named here is in no layer, and its module fails.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import skmeta
from skmeta import (
    FMRLClassifier,
    FMRLRegressor,
    MixedEffectsClassifier,
    MixedEffectsRegressor,
)
from skmeta.linear_model import OGDClassifier, OGDRegressor

ROOT = Path(skmeta.__file__).parent
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}
each_module = pytest.mark.parametrize("name", TREES)

# ---- layers

# A part of the package imports parts of lower layers only; `__init__` imports all.
LAYERS = [
    {
        "_interior",
        "_parallel",
        "_parameters",
        "_sklearn",
        "_sparse",
        "_step_matrices",
        "_version",
        "losses",
    },
    {
        "_frames",
        "_names",
        "_saving",
        "_solvers",
        "datasets",
        "meta_step_size",
        "step_size",
    },
    {"_kernels", "_l1_ball", "_label_columns"},
    {"_batch"},
    {"_labels"},
    {"_checks", "_show_versions", "_steps", "_units"},
    {"_learners", "_targets"},
    {"_meta", "linear_model"},
    {"_fmrl", "_mixed"},
    {"metrics"},
    {"checkpoint", "inspection", "model_selection", "pipeline"},
]
# They stand above the estimators and know public names of them only; the private
# modules that they may import know of no estimator.
ON_PUBLIC_NAMES = {"checkpoint", "inspection", "metrics", "model_selection", "pipeline"}
WITHOUT_ESTIMATORS = {
    "_checks",
    "_frames",
    "_labels",
    "_parallel",
    "_saving",
    "_sklearn",
    "_solvers",
    "_step_matrices",
    "_steps",
    "_version",
}


def part_of(name):
    """The part of the package that a file belongs to."""
    return Path(name).parts[0].removesuffix(".py")


def layer_of(part):
    found = [level for level, parts in enumerate(LAYERS) if part in parts]
    assert found, f"the part {part!r} is in no layer"
    return found[0]


def imported(nodes):
    """The full name of everything that the nodes import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from (f"{dots}{node.module}.{alias.name}" for alias in node.names)


def imports_of(name):
    return list(imported(ast.walk(TREES[name])))


def parts_used_by(name):
    """The other parts of the package that a file imports."""
    names = [one.split(".") for one in imports_of(name)]
    used = {one[1] for one in names if one[0] == "skmeta" and len(one) > 1}
    return used - {part_of(name)}


def test_no_part_is_in_two_layers():
    parts = [part for layer in LAYERS for part in layer]
    assert len(parts) == len(set(parts))


def test_every_part_is_in_a_layer():
    parts = {part_of(name) for name in TREES} - {"__init__"}
    assert parts <= {part for layer in LAYERS for part in layer}


@pytest.mark.parametrize("name", sorted(TREES.keys() - {"__init__.py"}))
def test_imports_point_down(name):
    layer = layer_of(part_of(name))
    wrong = [part for part in parts_used_by(name) if layer_of(part) >= layer]
    assert wrong == []


@each_module
def test_imports_are_absolute(name):
    assert [one for one in imports_of(name) if one.startswith(".")] == []


@each_module
def test_optional_packages_are_imported_where_they_are_used(name):
    optional = {"matplotlib", "narwhals", "pandas", "polars", "pyarrow"}
    optional |= {"PIL", "skorch", "torch"}
    found = {one.split(".")[0] for one in imported(TREES[name].body)}
    assert found.isdisjoint(optional)


@pytest.mark.parametrize("name", sorted(TREES.keys() - {"_sklearn.py"}))
def test_only_one_module_imports_private_names_of_scikit_learn(name):
    private = [x for x in imports_of(name) if x.startswith("sklearn.") and "._" in x]
    assert private == []


@pytest.mark.parametrize(
    "name", [name for name in TREES if part_of(name) in ON_PUBLIC_NAMES]
)
def test_parts_above_the_estimators_use_public_names(name):
    private = {part for part in parts_used_by(name) if part.startswith("_")}
    assert private <= WITHOUT_ESTIMATORS
    own = {"self", "cls", "super()"}
    called = [
        ast.unparse(node)
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Attribute)
        if node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) not in own
    ]
    assert called == []


def test_solvers_know_of_losses_alone():
    assert parts_used_by("_solvers.py") == {"_interior", "losses"}
    assert parts_used_by("_interior.py") == set()


@pytest.mark.parametrize("name", sorted(TREES.keys() - {"_version.py"}))
def test_annotations_are_not_evaluated(name):
    body = TREES[name].body[1:] if ast.get_docstring(TREES[name]) else TREES[name].body
    if body:  # a module that is a docstring has none
        assert "__future__.annotations" in list(imported(body[:1]))


# ---- sizes, of code: without docstrings, comments and blank lines

LARGEST = {"class": 350, "function": 45, "module": 600}
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def lines_of_code(name):
    """The numbers of the lines of a module that hold code."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(SOURCES[name]).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(TREES[name]):
        if isinstance(node, (*DEFINITIONS, ast.Module)) and ast.get_docstring(node):
            lines.difference_update(range(node.body[0].lineno, node.body[0].end_lineno))
            lines.discard(node.body[0].end_lineno)
    return lines


def sizes_of(name):
    """The lines of code of a module and of every class and function in it."""
    lines = lines_of_code(name)
    yield "module", name, len(lines)
    for node in ast.walk(TREES[name]):
        if isinstance(node, DEFINITIONS):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            inside = lines.intersection(range(node.lineno, node.end_lineno + 1))
            yield kind, f"{name}: {node.name}", len(inside)


@each_module
def test_nothing_is_too_large(name):
    large = [one for one in sizes_of(name) if one[2] > LARGEST[one[0]]]
    assert large == []


def test_lines_of_code_are_counted():
    source = (
        '"""A module."""\n\n# a comment\nimport os\n\n\n'
        'def f(\n    x,\n):\n    """Two\n    lines.\n    """\n'
        "    y = '''\n    text\n    '''  # not a docstring\n\n    return x\n"
    )
    SOURCES["example"], TREES["example"] = source, ast.parse(source)
    try:
        assert list(sizes_of("example")) == [
            ("module", "example", 8),
            ("function", "example: f", 7),
        ]
    finally:
        del SOURCES["example"], TREES["example"]


# ---- no dispatch on the parts of an algorithm

# Kinds of values that users pass in, by which a name, a number and an array differ.
KINDS = {"Integral", "Real", "bool", "list", "np.ndarray", "str", "tuple", "type"}
# What else is asked, and why.
ALLOWED = {
    "hasattr(value, '_parameter_constraints')",  # a user's part may have none
    "hasattr(inner, 'predict_proba')",  # of a network, which names no loss
    "getattr(inner, 'loss', None)",  # a foreign estimator may name no loss
    "getattr(inner, 'inner_learner', None)",  # the one entry of a third party
    "isinstance(learner, InnerLearner)",  # what a third party returned is checked
    "isinstance(value, base)",  # the parameter is of the base class that it names
}
ASKING = {"getattr", "hasattr", "isinstance", "issubclass"}


def questions(name):
    """Calls that ask what an object is or has, other than a kind of a user's value."""
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ASKING:
            continue
        asked = node.args[1]
        if ast.unparse(node.func) == "isinstance":
            kinds = asked.elts if isinstance(asked, ast.Tuple) else [asked]
            if KINDS.issuperset(map(ast.unparse, kinds)):
                continue
        if ast.unparse(node.func) == "getattr" and not isinstance(asked, ast.Constant):
            continue  # a loop over names, not a question
        yield ast.unparse(node)


@pytest.mark.parametrize("name", [name for name in TREES if part_of(name) == "_fmrl"])
def test_no_code_depends_on_the_class_of_a_part(name):
    assert set(questions(name)) - ALLOWED == set()


def test_every_exception_is_needed():
    asked = {
        one for name in TREES if part_of(name) == "_fmrl" for one in questions(name)
    }
    assert asked >= ALLOWED


# ---- twins

TWINS = [
    (FMRLClassifier, FMRLRegressor),
    (MixedEffectsClassifier, MixedEffectsRegressor),
    (OGDClassifier, OGDRegressor),
]
# A classifier has a row of weights for every class: other shapes.
OTHER_TYPES = {
    "average_coef_",
    "average_intercept_",
    "coef_",
    "coef_init",
    "coef_std_error_",
    "covariance_",
    "estimator",
    "eta0",
    "grad_sq_",
    "init",
    "init_",
    "init_draw_",
    "init_mean_",
    "intercept_",
    "intercept_init",
    "intercept_std_error_",
    "log_likelihood_",
    "loss",
    "new_task_coef_",
    "new_task_intercept_",
    "task_coef_",
    "task_intercept_",
}
OTHER_TEXTS = {
    "average_intercept_",  # intercepts, one for every class
    "estimator",  # another default
    "intercept_",
    "intercept_init",
    "loss",  # other names
    "on_bad_task",  # a classifier meets unknown classes
    "radius",  # of all rows of weights together
    "y",  # class labels
}
# Classes have the log loss, no noise, and a prior for every row of weights.
OTHER_TEXTS_OF_MIXED_EFFECTS = OTHER_TEXTS | {
    "covariance_",
    "history_",
    "intercept_std_error_",
    "log_likelihood_",
    "n_iter_",
    "new_task_intercept_",
    "sample_weight",
    "task_intercept_",
}
METHODS = ["adapt", "fit", "forget", "partial_fit", "predict", "refresh", "score"]
each_twin = pytest.mark.parametrize(
    "twins", TWINS, ids=lambda twins: f"{twins[0].__name__}-{twins[1].__name__}"
)


def described(doc, *sections):
    """Type and text of what is documented, by name.

    Line breaks do not count, nor numbers of references, of which one twin has more.
    """
    return {
        parameter.name: (
            parameter.type,
            re.sub(r"\[\d+\]_", "[]", " ".join(" ".join(parameter.desc).split())),
        )
        for section in sections
        for parameter in doc[section]
    }


def disagreements(twins, one, other):
    is_mixed = MixedEffectsRegressor in twins
    other_texts = OTHER_TEXTS_OF_MIXED_EFFECTS if is_mixed else OTHER_TEXTS
    shared = one.keys() & other.keys()
    assert shared
    types = {name for name in shared if one[name][0] != other[name][0]}
    texts = {name for name in shared if one[name][1] != other[name][1]}
    return {
        name: (one[name], other[name])
        for name in (types - OTHER_TYPES) | (texts - other_texts)
    }


@each_twin
def test_docstrings_of_twins_agree(twins):
    docs = [described(ClassDoc(one), "Parameters", "Attributes") for one in twins]
    assert disagreements(twins, *docs) == {}


@each_twin
@pytest.mark.parametrize("method", METHODS)
def test_docstrings_of_the_methods_of_twins_agree(twins, method):
    methods = [getattr(one, method, None) for one in twins]
    ours = [one for one in methods if getattr(one, "__module__", "")[:6] == "skmeta"]
    if ours:  # scikit-learn's own are not compared
        docs = [described(FunctionDoc(one), "Parameters") for one in methods]
        assert not any(docs) or disagreements(twins, *docs) == {}


@each_twin
def test_parameters_of_twins_are_in_the_same_order(twins):
    one, other = (list(twin().get_params(deep=False)) for twin in twins)
    names = [[p.name for p in ClassDoc(twin)["Parameters"]] for twin in twins]
    shared = set(one) & set(other)
    orders = [[name for name in part if name in shared] for part in names]
    assert orders[0] == orders[1]
