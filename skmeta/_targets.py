"""Kinds of targets: how they are checked, encoded, and predicted from raw scores.

A kind is a value: what the first call has fixed (the classes), and functions of it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from skmeta._checks import (
    check_class_labels,
    check_numeric_y,
    encode_labels,
    find_classes,
)
from skmeta.losses import Loss


class Values:
    """Numbers to predict.

    Parameters
    ----------
    loss : Loss or None
        Says which targets are allowed, and what a score predicts. None: all, itself.

    Attributes
    ----------
    classes : None
    n_outputs : int
        Rows of weights.
    plain_dtype : type
        Of an array that `encode` takes as it is.
    """

    classes: ClassVar[None] = None
    n_outputs: ClassVar[int] = 1
    plain_dtype: ClassVar[type] = np.float64

    def __init__(self, loss: Loss | None = None):
        self.loss = loss
        self.lowest = -np.inf if loss is None else loss.lowest_target

    def for_loss(self, loss: Loss | None) -> Values:
        """The same kind of targets for another loss."""
        return Values(loss)

    def read(self, owner: Any, X: Any, y: ArrayLike) -> np.ndarray:
        """Targets as the kernels read them; NaN where nothing can be learned.

        `owner` is the estimator that messages name.
        """
        return self.encode(check_numeric_y(owner, X, y))

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Targets of an array of the dtype `plain_dtype`."""
        if self.lowest == -np.inf or not (y < self.lowest).any():
            return y
        return np.where(y < self.lowest, np.nan, y)

    def problem(self, value: Any, row: int) -> str:
        """What is wrong with a target that cannot be learned from."""
        low = self.low_target(value, f"{row} of the task")
        return low or f"y is {value} in row {row} of the task. Drop the row."

    def low_target(self, value: Any, row: int | str) -> str | None:
        """What is wrong with a target below those of the loss, or None."""
        try:
            is_low = float(value) < self.lowest
        except (TypeError, ValueError):
            return None
        if not is_low:
            return None
        return (
            f"y is {value} in row {row}, below {self.lowest:g}, the lowest target of "
            f"{self.loss!r}. Drop the row, or choose another loss."
        )

    def shape_coef(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`coef_` and `intercept_` as views of one parameter or of several."""
        return parameters[..., 0, :-1], parameters[..., -1]

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Predictions from raw scores (n_samples, n_outputs)."""
        scores = scores[:, 0]
        return scores if self.loss is None else self.loss.inverse_link(scores)


class Classes:
    """Class labels to predict: two share one row of weights, more have one each.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        At least two, sorted.
    balance : ndarray of shape (n_classes,), default=None
        Weights that balance the classes of the last fit, if it was to balance them.
    """

    plain_dtype: ClassVar[type] = np.int64

    def __init__(self, classes: np.ndarray, balance: np.ndarray | None = None):
        if len(classes) < 2:
            raise ValueError(
                f"A classifier needs at least two classes; got {len(classes)} class: "
                f"{classes.tolist()}. With partial_fit, name all of them in `classes`."
            )
        self.classes, self.balance = classes, balance

    def balanced(self, balance: np.ndarray) -> Classes:
        """The same classes, with the weights that balance them."""
        return Classes(self.classes, balance)

    @classmethod
    def of(cls, owner: Any, X: Any, y: ArrayLike) -> Classes:
        """The distinct labels of a first call."""
        return cls(find_classes(*check_class_labels(owner, X, y)))

    @property
    def n_outputs(self) -> int:
        return 1 if len(self.classes) == 2 else len(self.classes)

    def for_loss(self, loss: Loss | None) -> Classes:
        """See `Values.for_loss`."""
        return self

    def read(self, owner: Any, X: Any, y: ArrayLike) -> np.ndarray:
        """See `Values.read`."""
        labels, missing = check_class_labels(owner, X, y)
        return encode_labels(labels, missing, self.classes)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """See `Values.encode`."""
        return encode_labels(y, None, self.classes)

    def problem(self, value: Any, row: int) -> str:
        """See `Values.problem`."""
        return (
            f"y is {value!r} in row {row} of the task, which is not one of the classes "
            f"{self.classes.tolist()} fixed by the first call (NaN, infinity and None "
            "never are). Drop the row, or start again with all `classes`."
        )

    def labels(self, targets: np.ndarray) -> np.ndarray:
        """The class labels of encoded targets."""
        index = targets > 0 if len(self.classes) == 2 else targets
        return self.classes[index.astype(np.intp)]

    def shape_coef(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Values.shape_coef`."""
        return parameters[..., :-1], parameters[..., -1]

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """See `Values.predict`."""
        if scores.shape[1] == 1:
            return self.classes[(scores[:, 0] > 0).astype(np.intp)]
        return self.classes[scores.argmax(axis=1)]

    def decisions(self, scores: np.ndarray) -> np.ndarray:
        """What `decision_function` returns: one score for two classes."""
        return scores[:, 0] if scores.shape[1] == 1 else scores


def weights_by_class(
    class_weight: Any, labels: np.ndarray, known: np.ndarray | None = None
) -> np.ndarray:
    """The weight of the class of every row.

    Parameters
    ----------
    class_weight : dict or 'balanced'
    labels : ndarray of shape (n_samples,)
    known : ndarray of shape (n_classes,) or None
        The classes that a dict may name; None: any.
    """
    if known is not None and not isinstance(class_weight, str):
        unknown = set(class_weight) - set(known.tolist())
        if unknown:
            raise ValueError(
                f"class_weight names {sorted(unknown, key=str)}, which are not among "
                f"the classes {known.tolist()}."
            )
    classes, index = np.unique(labels, return_inverse=True)
    if isinstance(class_weight, str):
        weights = len(labels) / (len(classes) * np.bincount(index))
        return weights[index]
    found = [class_weight.get(label, 1.0) for label in classes.tolist()]
    weights = np.asarray(found, dtype=np.float64)
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(
            "The values of class_weight must be positive, finite numbers. Got "
            f"{class_weight!r} instead."
        )
    return weights[index]


def check_not_balanced(class_weight: Any) -> None:
    """Refuse weights that need all rows, in `partial_fit`."""
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight={class_weight!r} needs the share of every class in all "
            "rows, which partial_fit does not know: pass a dict, or `sample_weight`."
        )


def probabilities(positive: np.ndarray) -> np.ndarray:
    """Probabilities (n_samples, n_classes) from those of the one-vs-all problems.

    They are normalised; a row in which all of them vanish gets equal ones.
    """
    if positive.shape[1] == 1:
        return np.hstack([1.0 - positive, positive])
    total = positive.sum(axis=1, keepdims=True)
    positive = np.where(total == 0, 1.0, positive)
    return positive / positive.sum(axis=1, keepdims=True)


def normal_interval(mean: np.ndarray, std: np.ndarray, coverage: float) -> np.ndarray:
    """Lower and upper ends that hold a normal target with the given probability.

    Raises
    ------
    ValueError
        If `coverage` is not in (0, 1).
    """
    if not 0 < coverage < 1:
        raise ValueError(
            "coverage must be a probability in (0, 1), 0.9 for nine targets in ten. "
            f"Got {coverage!r}."
        )
    half = ndtri(0.5 + coverage / 2) * std
    return np.column_stack([mean - half, mean + half])
