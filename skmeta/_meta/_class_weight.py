"""Weights of classes, as weights of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import compute_class_weight

from skmeta._batch import Batch
from skmeta._meta._input import Reading
from skmeta._targets import Classes


def weigh_classes(class_weight: Any, reading: Reading, *, is_fit: bool) -> Reading:
    """The reading of a call, with every row weighted by its class.

    The balanced weights of a fit are kept in the target, for `weigh_task`.

    Raises
    ------
    ValueError
        If balanced weights are asked for in `partial_fit`, or a weight is not positive.
    """
    target, batch = reading.target, reading.batch
    assert isinstance(target, Classes)
    if class_weight == "balanced":
        if not is_fit:
            raise ValueError(
                "class_weight='balanced' needs the rows of all tasks, which "
                "partial_fit does not have: pass a dict of weights instead."
            )
        target = target.balanced(_weights(class_weight, target, _index(target, batch)))
    return reading._replace(
        target=target, batch=weigh_task(class_weight, target, batch)
    )


def weigh_task(class_weight: Any, target: Classes, batch: Batch) -> Batch:
    """The rows, weighted by class; balanced weights are those of the last fit."""
    index = _index(target, batch)
    if class_weight != "balanced":
        weights = _weights(class_weight, target, index)
    elif target.balance is None:
        raise ValueError(
            "class_weight='balanced' was set after fit: call fit again, or pass a dict "
            "of weights."
        )
    else:
        weights = target.balance
    weight = weights[np.maximum(index, 0)]
    if batch.sample_weight is not None:
        weight = weight * batch.sample_weight
    return batch._replace(sample_weight=weight)


def _index(target: Classes, batch: Batch) -> np.ndarray:
    """The number of the class of every row, -1 where it is none."""
    known = np.isfinite(batch.y)
    y = np.where(known, batch.y, 0.0)
    index = y > 0 if target.n_outputs == 1 else y
    return np.where(known, index, -1).astype(np.intp)


def _weights(class_weight: Any, target: Classes, index: np.ndarray) -> np.ndarray:
    classes = target.classes
    present = np.unique(index[index >= 0])
    named = classes if class_weight != "balanced" else classes[present]
    weights = np.ones(len(classes))
    weights[np.isin(classes, named)] = compute_class_weight(
        class_weight, classes=named, y=classes[index[index >= 0]]
    )
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(
            f"class_weight must be positive for every class. Got {class_weight!r}. To "
            "leave out rows, give them a sample_weight of 0."
        )
    return weights
