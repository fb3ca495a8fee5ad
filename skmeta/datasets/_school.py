"""The exam scores of London pupils, downloaded."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from scipy.io import loadmat
from sklearn.utils import Bunch

from skmeta._sklearn import validate_params
from skmeta.datasets._download import PATH_CONSTRAINTS, RemoteFile, fetch_file
from skmeta.datasets._loaders import LOADER_CONSTRAINTS, pack

FILE = RemoteFile(
    "school.mat",
    "https://github.com/jiayuzhou/MALSAR/raw/master/data/school.mat",
    "57fb3238fdd03a9aa17276e2ce18d9bbb5d128c3261e794fe6233b58b6909068",
)
FEATURE_NAMES = [
    *(f"year_{code}" for code in (1, 2, 3)),
    "free_meals",
    "verbal_band_1",
    *(f"gender_{code}" for code in (1, 2)),
    *(f"verbal_{code}" for code in (1, 2, 3)),
    *(f"ethnic_{code}" for code in range(1, 12)),
    *(f"school_gender_{code}" for code in (1, 2, 3)),
    *(f"denomination_{code}" for code in (1, 2, 3)),
    "constant",
]


@validate_params(
    LOADER_CONSTRAINTS | PATH_CONSTRAINTS | {"path": [str, os.PathLike, None]},
    prefer_skip_nested_validation=True,
)
def fetch_school(
    *,
    data_home: Any = None,
    download_if_missing: bool = True,
    path: Any = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | tuple[Any, Any, Any]:
    """Load the exam scores of pupils of 139 schools, one regression task per school.

    =============  ==========================================
    Rows           15362
    Tasks          139 schools, 22 to 251 rows
    Features       28, most of them 0/1 indicators
    Target         score, the exam score, 1 to 70 points
    =============  ==========================================

    The file, 45 kB, is downloaded once. It comes with the Matlab package MALSAR [1]_;
    no terms of use are stated for the data, so skmeta does not contain them. The file
    is accepted only if it has the SHA-256 checksum of the file with which skmeta was
    developed, whether it is downloaded or a copy.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of all data sets, as in :func:`sklearn.datasets.get_data_home`. The file
        is kept in its subfolder `skmeta`.
    download_if_missing : bool, default=True
        If False, a file that is not in the folder is an error.
    path : path-like, default=None
        A copy of `school.mat`. Nothing is downloaded.
    return_X_y : bool, default=False
        If True, return `(data, target, tasks)` instead of a Bunch.
    as_frame : bool, default=False
        If True, data is a pandas DataFrame, and target and tasks are Series.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or tuple
        `(data, target, tasks)` if `return_X_y` is True, else a Bunch with fields

        - data : {ndarray, DataFrame} of shape (15362, 28), float64;
        - target : {ndarray, Series} of shape (15362,), float64, the exam score;
        - tasks : {ndarray, Series} of shape (15362,), int64, the school, 1 to 139;
        - feature_names : list of str, the columns of data;
        - target_name, task_name : str, the columns of target and tasks;
        - frame : DataFrame of shape (15362, 30); None unless `as_frame` is True;
        - DESCR : str, the description of the data set.

    Raises
    ------
    OSError
        If the file is missing and must not or cannot be downloaded.
    ValueError
        If the checksum of the file is another one.
    ImportError
        If `as_frame` is True and pandas is not installed.

    See Also
    --------
    load_wage_panel : Many small regression tasks that need no download.

    References
    ----------
    .. [1] J. Zhou, J. Chen and J. Ye, "MALSAR: Multi-tAsk Learning via StructurAl
       Regularization", Arizona State University, 2011.

    Examples
    --------
    >>> from skmeta.datasets import fetch_school
    >>> school = fetch_school()  # doctest: +SKIP
    >>> school.data.shape, school.target.max()  # doctest: +SKIP
    ((15362, 28), 70.0)
    """
    file = fetch_file(
        FILE, data_home=data_home, download_if_missing=download_if_missing, path=path
    )
    content = loadmat(file)
    rows, scores = content["X"].ravel(), content["Y"].ravel()
    columns = dict(zip(FEATURE_NAMES, np.vstack(rows).T.astype(float), strict=True))
    columns["score"] = np.vstack(scores).ravel().astype(float)
    columns["school"] = np.repeat(np.arange(1, len(rows) + 1), [len(x) for x in rows])
    return pack(
        columns,
        name="school",
        feature_names=list(FEATURE_NAMES),
        target_name="score",
        task_name="school",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
