"""Kinds of targets: how they are checked, encoded, and predicted from raw scores.

A kind is a value: what the first call has fixed (the classes), and functions of it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from skmeta._checks import (
    check_class_labels,
    check_numeric_y,
    encode_labels,
    find_classes,
)


class Values:
    """Numbers to predict.

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

    def read(self, owner: Any, X: Any, y: ArrayLike) -> np.ndarray:
        """Targets as the kernels read them; NaN where nothing can be learned.

        `owner` is the estimator that messages name.
        """
        return check_numeric_y(owner, X, y)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Targets of an array of the dtype `plain_dtype`."""
        return y

    def problem(self, value: Any, row: int) -> str:
        """What is wrong with a target that cannot be learned from."""
        return f"y is {value} in row {row} of the task. Drop the row."

    def shape_coef(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`coef_` and `intercept_` as views of one parameter or of several."""
        return parameters[..., 0, :-1], parameters[..., -1]

    def predict(self, scores: np.ndarray) -> np.ndarray:
        """Predictions from raw scores (n_samples, n_outputs)."""
        return scores[:, 0]


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


def probabilities(positive: np.ndarray) -> np.ndarray:
    """Probabilities (n_samples, n_classes) from those of the one-vs-all problems.

    They are normalised; a row in which all of them vanish gets equal ones.
    """
    if positive.shape[1] == 1:
        return np.hstack([1.0 - positive, positive])
    total = positive.sum(axis=1, keepdims=True)
    positive = np.where(total == 0, 1.0, positive)
    return positive / positive.sum(axis=1, keepdims=True)
