"""Torch modules, wrapped by skorch, as inner learners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from skmeta._batch import Task
from skmeta._learners._flat import FlatLearner, generator_of
from skmeta._learners._protocol import Outcome

_ONE_AT_A_TIME = RLock()  # the generators of torch are shared by all threads


class SkorchLearner(FlatLearner):
    """A network of skorch: one call of `partial_fit`, of `max_epochs`, per task.

    The parameter is that of the tensors of real numbers in the state of the module, in
    order. All rows of a task are learned from, without output: `train_split` and
    `verbose` have no effect.
    """

    def __init__(self, estimator: Any, classes: np.ndarray | None, n_features: int):
        super().__init__(estimator, classes)
        name = type(estimator).__name__
        if classes is not None and not np.array_equal(classes, range(len(classes))):
            raise ValueError(
                f"{name} predicts the indices of the classes: encode y as 0, 1, ... "
                f"(LabelEncoder). Got the classes {classes.tolist()}."
            )
        with _random(0):
            probe = self.unfitted()
        if any(True for _ in probe.criterion_.parameters()):
            raise ValueError(
                f"The criterion of {name} has parameters of its own, which are not "
                "shared between tasks: make them parameters of the module."
            )
        output = self._output(probe, n_features)
        is_score = classes is None or output.ndim == 1  # of two classes: one logit
        self._y_dtype = np.float32 if is_score else np.int64
        self._y_shape = (-1,) if classes is not None else (-1, *output.shape[1:])
        self.layout = tuple(tuple(one.shape) for one in _tensors(probe))

    def _output(self, probe: Any, n_features: int) -> np.ndarray:
        """What the module returns for two rows, checked."""
        name = type(self.estimator).__name__
        X = np.zeros((2, n_features), np.float32)
        with _random(0):
            try:
                found = probe.forward(X)
            except RuntimeError as error:
                raise ValueError(
                    f"The module of {name} does not take rows of {n_features} "
                    f"features: {error}"
                ) from error
        shape = tuple(found.shape) if hasattr(found, "shape") else None
        n_outputs = 1 if self.classes is None else len(self.classes)
        allowed = {(2, n_outputs), (2,)} if n_outputs <= 2 else {(2, n_outputs)}
        if shape not in allowed:
            raise ValueError(
                f"The module of {name} must return one tensor of shape (n_samples, "
                f"{n_outputs}). For 2 rows it returned "
                f"{'several' if shape is None else f'shape {shape}'}."
            )
        return found.cpu().numpy()

    def unfitted(self) -> Any:
        network = clone(self.estimator)
        network.set_params(train_split=None, verbose=0)
        return network.initialize()

    def first(self, shape: tuple[int, int], seed: int) -> np.ndarray:
        """The initialization of the module; if it is an instance, its own weights."""
        with _random(seed):
            network = self.unfitted()
        return self.get(network).reshape(shape)

    def get(self, model: Any) -> np.ndarray:
        arrays = [one.detach().cpu().numpy().ravel() for one in _tensors(model)]
        return np.concatenate(arrays)

    def set(self, model: Any, parameter: np.ndarray) -> None:
        import torch

        end = 0
        with torch.no_grad():
            for tensor in _tensors(model):
                start, end = end, end + tensor.numel()
                values = torch.from_numpy(parameter[0, start:end])
                tensor.copy_(values.reshape(tensor.shape))

    def partial_fit(
        self, model: Any, X: Any, y: np.ndarray, weight: np.ndarray | None
    ) -> None:
        y = y.astype(self._y_dtype).reshape(self._y_shape)
        model.partial_fit(_dense(X), y)

    def run(
        self, task: Task, start: np.ndarray, eta: np.ndarray, *, average: bool
    ) -> Outcome:
        with _random(task.seed):
            return super().run(task, start, eta, average=average)

    def fitted(
        self, estimator: Any, task: Task, *arguments: Any, **options: Any
    ) -> Any:
        if task.X.dtype != np.float32:
            raise ValueError(
                f"{type(self.estimator).__name__} predicts rows of float32 only. Got "
                f"rows of {task.X.dtype}: adapt to X.astype(numpy.float32)."
            )
        with _random(task.seed):
            return super().fitted(estimator, task, *arguments, **options)

    def finish(self, model: Any, learned: dict[str, Any]) -> None:
        classes = learned.pop("classes_", None)
        if classes is not None:
            model.classes_inferred_ = classes
        super().finish(model, learned)
        model.verbose = self.estimator.verbose
        model.train_split = self.estimator.train_split

    def _set(self, parameter: np.ndarray, X: Any) -> Any:
        with _random(0):  # what `initialize` draws is replaced
            model = self.unfitted()
        self.set(model, parameter.astype(X.dtype))
        return model

    def _respond(self, method: str, X: Any, parameter: np.ndarray) -> np.ndarray:
        with _random(0):
            response = super()._respond(method, _dense(X), parameter)
        if method != "predict" or self.classes is None:
            return response
        return self.classes[response.astype(np.intp)]


def _tensors(network: Any) -> list[Any]:
    """The parameters and running statistics of a module."""
    state = network.module_.state_dict().values()
    return [tensor for tensor in state if tensor.is_floating_point()]


def _dense(X: Any) -> np.ndarray:
    """Features in the type of a module."""
    return (X.toarray() if sp.issparse(X) else X).astype(np.float32, copy=False)


@contextmanager
def _random(seed: Any) -> Iterator[None]:
    """Torch seeded, and in one thread, so that bits do not depend on their number.

    Afterwards it is as it was before.
    """
    import torch

    with _ONE_AT_A_TIME, torch.random.fork_rng():
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        if seed is not None:
            torch.manual_seed(int(generator_of(seed).randint(2**31)))
        try:
            yield
        finally:
            torch.set_num_threads(n_threads)
