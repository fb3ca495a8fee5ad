"""What the data sets of sentences share: from texts and vectors of words to tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import normalize
from sklearn.utils import Bunch

from skmeta.datasets._loaders import pack


class Sentences(NamedTuple):
    """The sentences of all tasks, stacked; one label and one task for each."""

    texts: list[str]
    labels: list[int]
    tasks: list[int]


def sum_of_vectors(
    texts: Iterable[str], vectors: Mapping[str, np.ndarray], n_features: int
) -> np.ndarray:
    """The sum of the vectors of the words of every text, scaled to norm 1.

    Words are separated by white space and in lower case. Words without a vector count
    nothing, and a text without any other word is zero.
    """
    zero = np.zeros(n_features)
    sums = [
        sum((vectors.get(word.lower(), zero) for word in text.split()), zero)
        for text in texts
    ]
    return normalize(np.array(sums).reshape(-1, n_features))


def pack_sentences(
    sentences: Sentences,
    X: np.ndarray,
    *,
    name: str,
    return_X_y: bool,
    as_frame: bool,
    **fields: Any,
) -> Bunch | tuple[Any, Any, Any]:
    """Return the tasks as a Bunch with `fields`, or as a tuple with `return_X_y`."""
    feature_names = [f"vector_{number}" for number in range(1, X.shape[1] + 1)]
    columns = dict(zip(feature_names, X.T, strict=True))
    columns["label"] = np.array(sentences.labels, dtype=np.int64)
    columns["task"] = np.array(sentences.tasks, dtype=np.int64)
    packed = pack(
        columns,
        name=name,
        feature_names=feature_names,
        target_name="label",
        task_name="task",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
    if not return_X_y:
        packed.update(sentences=sentences.texts, **fields)
    return packed
