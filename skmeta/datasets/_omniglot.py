"""Omniglot: handwritten characters of many alphabets, for few-shot classification."""

from __future__ import annotations

import os
import re
from io import BytesIO
from numbers import Integral
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from sklearn.utils import Bunch

from skmeta._sklearn import Interval, StrOptions, validate_params
from skmeta.datasets._download import RemoteFile, fetch_file
from skmeta.datasets._loaders import pack

_SIDE = 105  # pixels
_CHECKSUMS = {
    "background": "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
    "background_small1": (
        "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4"
    ),
    "background_small2": (
        "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f"
    ),
    "evaluation": "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
}
_FILES = {
    subset: RemoteFile(
        name=f"omniglot_images_{subset}.zip",
        url=f"https://github.com/brendenlake/omniglot/raw/master/python/images_{subset}.zip",
        sha256=checksum,
    )
    for subset, checksum in _CHECKSUMS.items()
}
_IMAGE = re.compile(r"images_\w+/([^/]+)/character(\d+)/\d+_(\d+)\.png")


@validate_params(
    {
        "subset": [StrOptions(set(_FILES))],
        "block_size": [Interval(Integral, 1, _SIDE, closed="both")],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
        "data_home": [str, os.PathLike, None],
        "download_if_missing": ["boolean"],
        "path": [str, os.PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def fetch_omniglot(
    *,
    subset: str = "background_small1",
    block_size: int = 5,
    return_X_y: bool = False,
    as_frame: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    path: str | os.PathLike[str] | None = None,
) -> Bunch | tuple[Any, Any, Any]:
    """Load handwritten characters, each drawn by 20 people; download them once.

    ===================  =========  ==========  ========
    Subset               Alphabets  Characters  Download
    ===================  =========  ==========  ========
    background           30         964         9.5 MB
    background_small1    5          136         1.3 MB
    background_small2    5          156         1.6 MB
    evaluation           20         659         6.5 MB
    ===================  =========  ==========  ========

    An image has 105 x 105 pixels, black or white. It is made smaller by averaging
    square blocks of pixels. The rows of a character are adjacent, as are the
    characters of an alphabet. Images are read by Pillow (`pip install pillow`).

    Parameters
    ----------
    subset : str, default='background_small1'
        A name of the table. The characters of 'background_small1' and
        'background_small2' are also in 'background'; those of 'evaluation' are not.
    block_size : int, default=5
        Side of the blocks, a divisor of 105: 1, 3, 5, 7, 15, 21, 35 or 105. The side of
        an image is then 105 / `block_size` pixels, 21 by default.
    return_X_y : bool, default=False
        If True, return `(data, target, tasks)` instead of a Bunch.
    as_frame : bool, default=False
        If True, data is a pandas DataFrame, and target and tasks are Series.
    data_home : str or path-like, default=None
        Folder of downloaded data sets; None is that of
        :func:`sklearn.datasets.get_data_home`. The archive is kept in its subfolder
        `skmeta`.
    download_if_missing : bool, default=True
        If False, an archive that is not in the folder is an error.
    path : str or path-like, default=None
        A copy of the archive, such as `images_background_small1.zip`. It is read where
        it is, and nothing is downloaded.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or tuple
        `(data, target, tasks)` if `return_X_y` is True, else a Bunch with fields

        - data : {ndarray, DataFrame} of shape (n_images, n_pixels), float32, from 0
          (paper) to 1 (ink);
        - images : ndarray of shape (n_images, side, side), the same numbers;
        - target : {ndarray, Series} of shape (n_images,), int64, the character;
        - target_names : list of str, such as 'Greek/character01', by character;
        - tasks : {ndarray, Series} of shape (n_images,), str, the alphabet;
        - feature_names : list of str, the columns of data;
        - target_name, task_name : str, the columns of target and tasks;
        - frame : DataFrame with the columns of data, target and tasks; None unless
          `as_frame` is True;
        - DESCR : str, the description of the data set.

    Raises
    ------
    ImportError
        If Pillow is not installed; or pandas, with `as_frame=True`.
    OSError
        If the archive is missing and must not or cannot be downloaded.
    ValueError
        If `block_size` does not divide 105, or if the archive is not the expected one.

    References
    ----------
    .. [1] B. M. Lake, R. Salakhutdinov and J. B. Tenenbaum, "Human-level concept
       learning through probabilistic program induction", Science 350, 2015, 1332-1338.

    Examples
    --------
    >>> from skmeta.datasets import fetch_omniglot
    >>> omniglot = fetch_omniglot()  # doctest: +SKIP
    >>> omniglot.images.shape, omniglot.target_names[0]  # doctest: +SKIP
    ((2720, 21, 21), 'Balinese/character01')
    """
    if _SIDE % block_size:
        raise ValueError(
            f"The 'block_size' parameter of fetch_omniglot must divide {_SIDE}. Got "
            f"{block_size} instead."
        )
    archive = fetch_file(
        _FILES[subset],
        data_home=data_home,
        download_if_missing=download_if_missing,
        path=path,
    )
    images, target, target_names = read_images(archive, int(block_size))
    alphabets = np.array([name.rpartition("/")[0] for name in target_names])
    side = images.shape[1]
    names = [f"pixel_{i}_{j}" for i in range(side) for j in range(side)]
    pixels = images.reshape(len(images), side * side)
    columns = dict(zip(names, pixels.T, strict=True))
    found = pack(
        {**columns, "character": target, "alphabet": alphabets[target]},
        name="omniglot",
        feature_names=names,
        target_name="character",
        task_name="alphabet",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
    if not return_X_y:
        found.images, found.target_names = images, target_names
    return found


def read_images(
    archive: Path, block_size: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read an archive of images, in order of alphabet, character and drawer.

    Parameters
    ----------
    archive : path
        A zip file with images `images_<subset>/<alphabet>/character<n>/<id>_<n>.png`.
    block_size : int
        Side of the blocks that are averaged.

    Returns
    -------
    images : ndarray of shape (n_images, side, side), float32
        From 0 (white) to 1 (black).
    target : ndarray of shape (n_images,), int64
        Numbers of the characters.
    target_names : list of str
        Names of the characters, by number.

    Raises
    ------
    ValueError
        If the file is no such archive, or if an image is not of 105 x 105 pixels.
    """
    try:
        with ZipFile(archive) as file:
            found = filter(None, map(_IMAGE.fullmatch, file.namelist()))
            matches = sorted(found, key=lambda m: (m[1], int(m[2]), int(m[3])))
            blocks = [_read_image(file, m[0], block_size) for m in matches]
    except BadZipFile as error:
        raise ValueError(f"{archive} is not a zip file: {error}.") from error
    if not blocks:
        raise ValueError(
            f"{archive} is not an archive of Omniglot: it has no file such as "
            "images_background/Greek/character01/0394_01.png."
        )
    names = [f"{m[1]}/character{m[2]}" for m in matches]
    target_names = list(dict.fromkeys(names))
    number = {name: i for i, name in enumerate(target_names)}
    target = np.array([number[name] for name in names], dtype=np.int64)
    return np.array(blocks, dtype=np.float32), target, target_names


def _read_image(file: ZipFile, name: str, block_size: int) -> np.ndarray:
    """The share of black pixels in every block of an image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "fetch_omniglot requires Pillow, which is not installed: "
            "`pip install pillow`."
        ) from error
    try:
        with Image.open(BytesIO(file.read(name))) as image:
            is_white = np.asarray(image.convert("1"))
    except OSError as error:
        raise ValueError(f"{file.filename}: {name} is not an image.") from error
    if is_white.shape != (_SIDE, _SIDE):
        height, width = is_white.shape
        raise ValueError(
            f"{file.filename}: {name} has {width} x {height} pixels, expected "
            f"{_SIDE} x {_SIDE}."
        )
    side = _SIDE // block_size
    blocks = is_white.reshape(side, block_size, side, block_size)
    return 1.0 - blocks.mean(axis=(1, 3))
