"""Golden numbers: what every combination of parts learned before the parts had seams.

The numbers are those of the loops that were one function per combination. A case names
the parts of a meta-estimator and the way in which its tasks arrive; see
`golden_reference`. The cases are a selection in which the values of any two choices
(loss, update, step size, meta step size, task parameter, container, weights, ...) meet
wherever they go together.
"""

import copy

import golden_reference
import pytest
from numpy.testing import assert_allclose
from sklearn import linear_model as sklearn_linear_model

import skmeta
from skmeta import linear_model, losses, meta_step_size, step_size
from skmeta.metrics import regret_report

GOLDEN = golden_reference.load()
# Numbers are stored with eleven digits.
TOLERANCE = 1e-9
# A minimiser is found by an iteration that ends at a gradient of 1e-9 or so: another
# order of the same sums ends it elsewhere. Its value is flat there and exact.
SOLVED_TOLERANCE = 1e-7
SOLVED_PARAMETERS = ("optimum", "regularized")


def make_part(description, module):
    """A name or a number unchanged; [class, keywords] as an object."""
    if isinstance(description, list) and isinstance(description[0], str):
        name, options = description
        return getattr(module, name)(**copy.deepcopy(options))
    return description


def make_estimator(description):
    name, options = description
    options = copy.deepcopy(options)
    if hasattr(sklearn_linear_model, name):
        return getattr(sklearn_linear_model, name)(**options)
    if "loss" in options:
        options["loss"] = make_part(options["loss"], losses)
    return getattr(linear_model, name)(**options)


def make_model(case):
    """The unfitted meta-estimator of a case."""
    params = dict(case["params"])
    params["step_size"] = make_part(params["step_size"], step_size)
    params["meta_step_size"] = make_part(params["meta_step_size"], meta_step_size)
    meta_estimator = getattr(skmeta, case["meta_estimator"])
    return meta_estimator(make_estimator(case["estimator"]), **params)


def is_solved(case):
    """Whether all of its numbers depend on a minimiser found by iteration."""
    return (
        case["params"]["task_parameter"] in SOLVED_PARAMETERS
        or case["params"]["init"] == "pooled"
        or case["estimator"][0] == "BiasedLogisticRegression"
    )


def test_file_is_small():
    assert golden_reference.PATH.stat().st_size < 300_000


def test_names_of_cases_differ():
    names = [case["id"] for case in GOLDEN["cases"]]
    assert len(set(names)) == len(names) > 350


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"])
def test_numbers_are_golden(case, kernel):
    found = golden_reference.run(make_model(case), GOLDEN["data"], case, regret_report)
    expected = golden_reference.unpack(case["expected"])
    assert found.keys() == expected.keys()
    for name, desired in expected.items():
        solved = is_solved(case) or name.startswith("report ")
        tolerance = SOLVED_TOLERANCE if solved else TOLERANCE
        # What cancelled is judged by the size of what it was computed from: an entry by
        # the largest of its array, the loss of an optimum by the loss of the learner.
        origin = "report loss" if name == "report optimal_loss" else name
        scale = golden_reference.largest(expected[origin])
        assert_allclose(
            found[name], desired, rtol=tolerance, atol=tolerance * scale, err_msg=name
        )
