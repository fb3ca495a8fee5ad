"""Mini-Wikipedia, the sentences of the FMRL paper, downloaded."""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from sklearn.utils import Bunch

from skmeta._sklearn import validate_params
from skmeta.datasets._download import PATH_CONSTRAINTS, RemoteFile, fetch_file
from skmeta.datasets._loaders import LOADER_CONSTRAINTS
from skmeta.datasets._text import Sentences, pack_sentences, sum_of_vectors

ARCHIVE = RemoteFile(
    "miniwikinet.tar.gz",
    "https://github.com/mkhodak/FMRL/raw/master/data/miniwikinet.tar.gz",
    None,
    parameter="archive",
)
VECTORS = RemoteFile(
    "glove.6B.zip",
    "https://nlp.stanford.edu/data/glove.6B.zip",
    "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    parameter="vectors",
)
_MEMBER = "glove.6B.50d.txt"
_CONSTRAINTS = {
    **LOADER_CONSTRAINTS,
    **PATH_CONSTRAINTS,
    "subset": [str],
    "archive": [str, os.PathLike, None],
    "vectors": [str, os.PathLike, None],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_mini_wikipedia(
    *,
    subset: str = "bal/train/32",
    data_home: Any = None,
    download_if_missing: bool = True,
    archive: Any = None,
    vectors: Any = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | tuple[Any, Any, Any]:
    """Load Mini-Wikipedia: assign a sentence to one of four articles.

    =============  ===================================================
    Tasks          one per file of the subset, four articles each
    Features       50, the sum of the vectors of the words, of norm 1
    Target         label, the number of the article, 0 to 3
    =============  ===================================================

    This is the data set of the convex experiments of [1]_. Two files are downloaded
    once: the archive of the authors, and 822 MB of word vectors (GloVe [2]_, 6 billion
    tokens), of which the 50-dimensional ones are read.

    The word vectors are accepted only with their published SHA-256 checksum. No
    checksum of the archive is published; instead every line must be a label from 0 to
    3, a tab and a sentence. The name of the archive follows from the authors' scripts.
    If its address has changed, download it from their repository and pass `archive`.

    Parameters
    ----------
    subset : str, default='bal/train/32'
        Folder in the archive. 'bal/<part>/<m>' has m sentences for each article, with
        part one of train, dev and test, and m one of 1, 2, 4, 8, 16 and 32; the
        sentences to evaluate on are in 'bal/dev/test' and 'bal/test/test'. 'raw' has
        all sentences of all tasks.
    data_home : path-like, default=None
        Folder of all data sets, as in :func:`sklearn.datasets.get_data_home`. Files are
        kept in its subfolder `skmeta`.
    download_if_missing : bool, default=True
        If False, a file that is not in the folder is an error.
    archive : path-like, default=None
        A copy of the archive, a tar file. It is not downloaded.
    vectors : path-like, default=None
        A copy of `glove.6B.zip`, or a text file of other vectors of words, with one
        word and its numbers in a line. They are not downloaded.
    return_X_y : bool, default=False
        If True, return `(data, target, tasks)` instead of a Bunch.
    as_frame : bool, default=False
        If True, data is a pandas DataFrame, and target and tasks are Series.

    Returns
    -------
    :class:`~sklearn.utils.Bunch` or tuple
        `(data, target, tasks)` if `return_X_y` is True, else a Bunch with fields

        - data : {ndarray, DataFrame} of shape (n_rows, n_features), float64; a row is
          zero if none of its words has a vector;
        - target : {ndarray, Series} of shape (n_rows,), int64, the label;
        - tasks : {ndarray, Series} of shape (n_rows,), int64, the number of the file;
        - sentences : list of str, one for each row;
        - feature_names : list of str, the columns of data;
        - target_name, task_name : str, the columns of target and tasks;
        - frame : DataFrame, data, target and tasks; None unless `as_frame` is True;
        - DESCR : str, the description of the data set.

    Raises
    ------
    OSError
        If a file is missing and must not or cannot be downloaded.
    ValueError
        If a checksum is another one, the archive has no such subset, or a line is not
        of the expected form.
    ImportError
        If `as_frame` is True and pandas is not installed.

    See Also
    --------
    load_wikipedia_sample : The same kind of tasks without a download.

    References
    ----------
    .. [1] M.-F. Balcan, M. Khodak and A. Talwalkar, "Provable Guarantees for
       Gradient-Based Meta-Learning", ICML 2019, PMLR 97:424-433.
    .. [2] J. Pennington, R. Socher and C. D. Manning, "GloVe: Global Vectors for Word
       Representation", EMNLP 2014.

    Examples
    --------
    >>> from skmeta.datasets import fetch_mini_wikipedia
    >>> X, y, tasks = fetch_mini_wikipedia(return_X_y=True)  # doctest: +SKIP
    """
    options: dict[str, Any] = {
        "data_home": data_home,
        "download_if_missing": download_if_missing,
    }
    sentences = _read_archive(fetch_file(ARCHIVE, path=archive, **options), subset)
    if vectors is None or Path(vectors).suffix == ".zip":
        vectors = fetch_file(VECTORS, path=vectors, **options)
    words = {word.lower() for text in sentences.texts for word in text.split()}
    known, n_features = _read_vectors(Path(vectors), words)
    return pack_sentences(
        sentences,
        sum_of_vectors(sentences.texts, known, n_features),
        name="mini_wikipedia",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_archive(path: Path, subset: str) -> Sentences:
    """The sentences of the files of a folder of the archive, in order of number."""
    pattern = re.compile(rf"(?:.*/)?{re.escape(subset.strip('/'))}/(\d+)\.txt")
    files = {}
    with tarfile.open(path) as archive:
        folders = set()
        for member in archive:
            folders.add(str(Path(member.name).parent))
            match = pattern.fullmatch(member.name)
            file = archive.extractfile(member) if match else None
            if match and file is not None:
                files[int(match[1])] = member.name, file.read()
    if not files:
        raise ValueError(
            f"{path} has no folder {subset!r} with files 0.txt, 1.txt, ...; its "
            f"folders are {sorted(folders)}."
        )
    texts, labels, tasks = [], [], []
    for number, (name, content) in sorted(files.items()):
        for label, text in _read_lines(name, content):
            texts.append(text)
            labels.append(label)
            tasks.append(number)
    return Sentences(texts, labels, tasks)


def _read_lines(name: str, content: bytes) -> Iterator[tuple[int, str]]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:  # some files are in the code page of Windows
        text = content.decode("cp1252", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        label, tab, sentence = line.strip().partition("\t")
        if label not in ("0", "1", "2", "3") or not tab:
            raise ValueError(
                f"Line {number} of {name} must be a label from 0 to 3, a tab and a "
                f"sentence, got {line[:60]!r}."
            )
        yield int(label), sentence


def _read_vectors(path: Path, words: set[str]) -> tuple[dict[str, np.ndarray], int]:
    """The vectors of these words, and their length."""
    found, n_features = {}, None
    with _open_text(path) as file:
        for number, line in enumerate(file, start=1):
            word, *numbers = line.rstrip().split(" ")
            if n_features is None:
                n_features = len(numbers)
            if len(numbers) != n_features:
                raise ValueError(
                    f"Line {number} of {path} must have a word and {n_features} "
                    f"numbers, as the first line; it has {len(numbers)} numbers."
                )
            if word in words:
                found[word] = np.array(numbers, dtype=np.float64)
    if not n_features:
        raise ValueError(f"{path} has no vectors of words.")
    return found, n_features


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    if path.suffix != ".zip":
        with path.open(encoding="utf-8") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as member:
        yield io.TextIOWrapper(member, encoding="utf-8")
