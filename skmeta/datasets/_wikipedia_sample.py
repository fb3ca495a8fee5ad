"""Tasks like those of Mini-Wikipedia, from articles that gensim has for its tests."""

from __future__ import annotations

import bz2
import html
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils import Bunch, check_random_state

from skmeta._sklearn import Interval, validate_params
from skmeta.datasets._loaders import LOADER_CONSTRAINTS
from skmeta.datasets._text import Sentences, pack_sentences

_FILE = (
    "test/test_data/"
    "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
)
_MAX_SHOTS = 32
_N_CLASSES = 4
_CONSTRAINTS = {
    **LOADER_CONSTRAINTS,
    "n_shots": [Interval(Integral, 1, _MAX_SHOTS, closed="both")],
    "n_features": [Interval(Integral, 1, None, closed="left")],
    "path": [str, os.PathLike, None],
    "random_state": ["random_state"],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def load_wikipedia_sample(
    *,
    n_shots: int = _MAX_SHOTS,
    n_features: int = 50,
    path: Any = None,
    random_state: int | np.random.RandomState | None = 0,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | tuple[Any, Any, Any]:
    """Load sentences of Wikipedia: assign each to one of four articles.

    =============  ====================================================
    Tasks          about 100, four articles each
    Rows           4 times `n_shots` for each task
    Features       50, the sum of the vectors of the words, of norm 1
    Target         label, the number of the article, 0 to 3
    =============  ====================================================

    The tasks are like those of Mini-Wikipedia (:func:`fetch_mini_wikipedia`), with 106
    articles of the English Wikipedia whose titles begin with A. They are in the package
    gensim, for its tests: `pip install gensim`. Nothing is downloaded.

    Parameters
    ----------
    n_shots : int, default=32
        Sentences for each article of a task, from 1 to 32. The tasks of fewer sentences
        are parts of those of 32, with the same `random_state`.
    n_features : int, default=50
        Length of the vectors of words, at least 1.
    path : path-like, default=None
        Another file of MediaWiki pages in XML, compressed by bzip2. Then gensim is not
        needed.
    random_state : int, RandomState instance or None, default=0
        Decides which sentences and which articles form a task, and all orders.
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
        - tasks : {ndarray, Series} of shape (n_rows,), int64, the task, from 0;
        - sentences : list of str, one for each row;
        - target_names : list of list of str, the titles of the four articles of every
          task;
        - feature_names : list of str, the columns of data;
        - target_name, task_name : str, the columns of target and tasks;
        - frame : DataFrame, data, target and tasks; None unless `as_frame` is True;
        - DESCR : str, the description of the data set.

    Raises
    ------
    ImportError
        If gensim is not installed and `path` is None, or if `as_frame` is True and
        pandas is not installed.
    OSError
        If there is no file `path`.
    ValueError
        If the articles are too few or too short for one task.

    See Also
    --------
    fetch_mini_wikipedia : The data set of the paper.

    Notes
    -----
    The sentences of an article are shuffled and cut into groups of 32. A task has four
    groups of different articles. So an article may be in several tasks, and each of its
    sentences is in one at most.

    The vectors of words are learned from the same sentences, without the labels, by
    latent semantic analysis [1]_: the right singular vectors of the matrix of TF-IDF
    weights. Mini-Wikipedia has vectors that were learned from other texts.

    References
    ----------
    .. [1] S. Deerwester, S. T. Dumais, G. W. Furnas, T. K. Landauer and R. Harshman,
       "Indexing by latent semantic analysis", Journal of the American Society for
       Information Science 41(6), 1990, 391-407.

    Examples
    --------
    >>> from skmeta.datasets import load_wikipedia_sample
    >>> X, y, tasks = load_wikipedia_sample(return_X_y=True)  # doctest: +SKIP
    >>> X.shape, len(set(tasks))  # doctest: +SKIP
    ((12928, 50), 101)
    """
    path = _find_articles() if path is None else Path(path).expanduser()
    articles = {title: _sentences_of(markup) for title, markup in _read_pages(path)}
    rng = check_random_state(random_state)
    sentences, titles = _make_tasks(articles, n_shots, rng)
    X = _vectors_of_sentences(articles, sentences.texts, n_features)
    return pack_sentences(
        sentences,
        X,
        name="wikipedia_sample",
        return_X_y=return_X_y,
        as_frame=as_frame,
        target_names=titles,
    )


def _find_articles() -> Path:
    # gensim itself is not imported, which would take a second.
    spec = find_spec("gensim")
    if spec is None or spec.origin is None:
        raise ImportError(
            "The articles are in the package gensim, which is not installed: `pip "
            "install gensim`, or pass `path`."
        )
    return Path(spec.origin).parent / _FILE


def _read_pages(path: Path) -> Iterator[tuple[str, str]]:
    """The title and the markup of every page that is not a redirect."""
    with bz2.open(path) as file:
        for _, element in ElementTree.iterparse(file):
            if not element.tag.endswith("}page"):
                continue
            space = element.tag.removesuffix("page")
            if element.find(f"{space}redirect") is None:
                text = element.findtext(f"{space}revision/{space}text") or ""
                yield element.findtext(f"{space}title") or "", text
            element.clear()


# ---- from markup to sentences

_TAGS = re.compile(
    r"<!--.*?-->|<ref[^<>]*/>"
    r"|<(ref|math|gallery|table|div|blockquote|timeline|code|pre|sub|sup)\b[^<>]*>"
    r".*?</\1>|<[^<>]*>",
    re.DOTALL | re.IGNORECASE,
)
# Templates, tables and images may contain others: the innermost are removed first.
_NESTED = re.compile(
    r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}"
    r"|\[\[(?:File|Image|Category):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]",
    re.IGNORECASE,
)
_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
_ADDRESS = re.compile(r"\[\w+://[^\s\]]*\s*([^\]]*)\]")
_APPENDIX = re.compile(
    r"^==\s*(See also|References|Notes|Further reading|External links|Bibliography"
    r"|Footnotes|Sources)\s*==",
    re.MULTILINE | re.IGNORECASE,
)
_END_OF_SENTENCE = re.compile(r"(?<=[a-z0-9)\]][.!?])\s+(?=[\"“]?[A-Z])")
_MIN_WORDS, _MAX_WORDS = 8, 40


def _sentences_of(markup: str) -> list[str]:
    """The different sentences of an article that are neither short nor long."""
    found = [
        sentence
        for line in _plain_text(markup).splitlines()
        if line[:1].isalpha() or line[:1] in ('"', "“")  # not a list or a heading
        for sentence in _END_OF_SENTENCE.split(line.strip())
        if sentence.endswith((".", "!", "?"))
        and _MIN_WORDS <= len(sentence.split()) <= _MAX_WORDS
    ]
    return list(dict.fromkeys(found))


def _plain_text(markup: str) -> str:
    text = _TAGS.sub("", html.unescape(markup))
    n_removed = 1
    while n_removed:
        text, n_removed = _NESTED.subn("", text)
    text = _APPENDIX.split(text, maxsplit=1)[0]
    text = _ADDRESS.sub(r"\1", _LINK.sub(r"\1", text))
    return re.sub("'{2,}", "", text)


# ---- from sentences to tasks


def _make_tasks(
    articles: dict[str, list[str]], n_shots: int, rng: np.random.RandomState
) -> tuple[Sentences, list[list[str]]]:
    """Draw tasks of four groups of sentences, from different articles."""
    groups = []
    for title, all_sentences in articles.items():
        order = rng.permutation(len(all_sentences))
        for start in range(0, len(order) - _MAX_SHOTS + 1, _MAX_SHOTS):
            chosen = order[start : start + _MAX_SHOTS]
            groups.append((title, [all_sentences[row] for row in chosen]))
    tasks: list[dict[str, list[str]]] = []
    for number in rng.permutation(len(groups)):
        title, group = groups[number]
        is_open = (t for t in tasks if len(t) < _N_CLASSES and title not in t)
        task = next(is_open, None)
        if task is None:
            tasks.append(task := {})
        task[title] = group
    tasks = [task for task in tasks if len(task) == _N_CLASSES]
    if not tasks:
        raise ValueError(
            f"A task needs {_N_CLASSES} articles of at least {_MAX_SHOTS} sentences; "
            f"there are {len({title for title, _ in groups})}."
        )
    stacked = Sentences([], [], [])
    for number, task in enumerate(tasks):
        # Rounds of one sentence for each article. All are drawn, so that a task of
        # fewer shots is a part of the task of all.
        rounds = [rng.permutation(_N_CLASSES) for _ in range(_MAX_SHOTS)]
        for shot, labels in enumerate(rounds[:n_shots]):
            stacked.texts.extend([*task.values()][label][shot] for label in labels)
            stacked.labels.extend(labels)
            stacked.tasks.extend([number] * _N_CLASSES)
    return stacked, [list(task) for task in tasks]


def _vectors_of_sentences(
    articles: dict[str, list[str]], texts: list[str], n_features: int
) -> np.ndarray:
    """Sums of vectors of words, of norm 1; the vectors are learned from all texts."""
    counter = TfidfVectorizer(min_df=2, sublinear_tf=True)
    weights = counter.fit_transform(
        [text for article in articles.values() for text in article]
    )
    if n_features > min(weights.shape):
        raise ValueError(
            f"n_features must be at most {min(weights.shape)}, the number of words and "
            f"of sentences, got {n_features}."
        )
    analysis = TruncatedSVD(n_features, random_state=0).fit(weights)
    return normalize(counter.transform(texts) @ analysis.components_.T)
