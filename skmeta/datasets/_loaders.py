"""Small real data sets of many tasks, shipped with the package."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skmeta._sklearn import validate_params

LOADER_CONSTRAINTS = {"return_X_y": ["boolean"], "as_frame": ["boolean"]}


@validate_params(LOADER_CONSTRAINTS, prefer_skip_nested_validation=True)
def load_chick_weights(
    *, return_X_y: bool = False, as_frame: bool = False
) -> Bunch | tuple[Any, Any, Any]:
    """Load the growth of 50 chicks, one regression task per chick.

    =============  ========================
    Rows           578
    Tasks          50 chicks, 2 to 12 rows
    Features       4: time, diet_2 to diet_4
    Target         weight, 35 to 373 grams
    =============  ========================

    The rows of a task are adjacent, in order of time. The diet, a category, is encoded
    as three 0/1 indicators; diet 1 is the reference.

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return `(data, target, tasks)` instead of a Bunch.
    as_frame : bool, default=False
        If True, data is a pandas DataFrame, and target and tasks are Series.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or tuple
        `(data, target, tasks)` if `return_X_y` is True, else a Bunch with fields

        - data : {ndarray, DataFrame} of shape (578, 4), float64;
        - target : {ndarray, Series} of shape (578,), float64, the weight in grams;
        - tasks : {ndarray, Series} of shape (578,), int64, the chick, 1 to 50;
        - feature_names : list of str, the columns of data;
        - target_name, task_name : str, the columns of target and tasks;
        - frame : DataFrame of shape (578, 7), the columns of the file and of data; None
          unless `as_frame` is True;
        - DESCR : str, the description of the data set.

    Raises
    ------
    ImportError
        If `as_frame` is True and pandas is not installed.

    See Also
    --------
    load_wage_panel : More tasks of equal size, with more features.

    References
    ----------
    .. [1] M. J. Crowder and D. J. Hand, "Analysis of Repeated Measures", Chapman and
       Hall, 1990, example 5.3.

    Examples
    --------
    >>> from skmeta.datasets import load_chick_weights
    >>> chicks = load_chick_weights()
    >>> chicks.data.shape, chicks.feature_names
    ((578, 4), ['time', 'diet_2', 'diet_3', 'diet_4'])
    >>> chicks.target[chicks.tasks == 1]
    array([ 42.,  51.,  59.,  64.,  76.,  93., 106., 125., 149., 171., 199., 205.])
    """
    columns = _read_columns("chick_weights", order=("chick", "time"), code="diet")
    for diet in (2, 3, 4):
        columns[f"diet_{diet}"] = (columns["diet"] == diet).astype(np.float64)
    return pack(
        columns,
        name="chick_weights",
        feature_names=["time", "diet_2", "diet_3", "diet_4"],
        target_name="weight",
        task_name="chick",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


@validate_params(LOADER_CONSTRAINTS, prefer_skip_nested_validation=True)
def load_wage_panel(
    *, return_X_y: bool = False, as_frame: bool = False
) -> Bunch | tuple[Any, Any, Any]:
    """Load the wages of 545 young men over 8 years, one regression task per man.

    =============  ===============================
    Rows           4360
    Tasks          545 men, 8 rows each
    Features       9, of very different scales
    Target         lwage, log wage, -3.58 to 4.05
    =============  ===============================

    The rows of a task are adjacent, in order of year. The occupation, a category code,
    is not in data; the frame has it.

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return `(data, target, tasks)` instead of a Bunch.
    as_frame : bool, default=False
        If True, data is a pandas DataFrame, and target and tasks are Series.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or tuple
        `(data, target, tasks)` if `return_X_y` is True, else a Bunch with fields

        - data : {ndarray, DataFrame} of shape (4360, 9), float64;
        - target : {ndarray, Series} of shape (4360,), float64, the log wage;
        - tasks : {ndarray, Series} of shape (4360,), int64, the number of the man;
        - feature_names : list of str, the columns of data;
        - target_name, task_name : str, the columns of target and tasks;
        - frame : DataFrame of shape (4360, 12), the columns of the file; None unless
          `as_frame` is True;
        - DESCR : str, the description of the data set.

    Raises
    ------
    ImportError
        If `as_frame` is True and pandas is not installed.

    See Also
    --------
    load_chick_weights : Fewer tasks of unequal size, with fewer features.

    References
    ----------
    .. [1] F. Vella and M. Verbeek, "Whose wages do unions raise? A dynamic model of
       unionism and wage rate determination for young men", Journal of Applied
       Econometrics 13(2), 1998, 163-183.

    Examples
    --------
    >>> from skmeta.datasets import load_wage_panel
    >>> X, y, tasks = load_wage_panel(return_X_y=True)
    >>> X.shape, tasks[:10]
    ((4360, 9), array([13, 13, 13, 13, 13, 13, 13, 13, 17, 17]))
    """
    return pack(
        _read_columns("wage_panel", order=("nr", "year"), code="occupation"),
        name="wage_panel",
        feature_names=[
            "year",
            "exper",
            "expersq",
            "hours",
            "married",
            "union",
            "educ",
            "black",
            "hisp",
        ],
        target_name="lwage",
        task_name="nr",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _data_file(name):
    return resources.files("skmeta.datasets").joinpath("data", name)


def _read_columns(name, *, order, code):
    """Read a CSV file as columns, its rows sorted by `order` = (task, time).

    Columns are float64; the task and the category `code` are int64.
    """
    with _data_file(f"{name}.csv").open(encoding="utf-8") as file:
        header = next(file).strip().split(",")
        columns = dict(zip(header, np.loadtxt(file, delimiter=",").T, strict=True))
    task, time = order
    rows = np.lexsort((columns[time], columns[task]))
    columns = {key: column[rows] for key, column in columns.items()}
    return columns | {key: columns[key].astype(np.int64) for key in (task, code)}


def pack(columns, *, name, feature_names, target_name, task_name, return_X_y, as_frame):
    """Return columns as a Bunch, or as a tuple with `return_X_y`."""
    if as_frame:
        columns = _to_frame(columns)
        data = columns[feature_names]
    else:
        data = np.column_stack([columns[feature] for feature in feature_names])
    target, tasks = columns[target_name], columns[task_name]
    if return_X_y:
        return data, target, tasks
    return Bunch(
        data=data,
        target=target,
        tasks=tasks,
        feature_names=feature_names,
        target_name=target_name,
        task_name=task_name,
        frame=columns if as_frame else None,
        DESCR=_data_file(f"{name}.rst").read_text(encoding="utf-8"),
    )


def _to_frame(columns):
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "as_frame=True requires pandas, which is not installed: "
            "`pip install pandas`, or use as_frame=False."
        ) from error
    return pd.DataFrame(columns)
