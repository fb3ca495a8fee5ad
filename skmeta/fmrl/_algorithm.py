"""The meta-learning algorithm with every name resolved: four parts, no data.

inner learner x task parameter x step size x meta-update. A part that has a `code` is
known to the compiled loop; a combination with one that has none runs in the loop of the
NumPy twin, which asks for nothing but the methods of the parts.
"""

from dataclasses import dataclass
from typing import Any

from skmeta import _kernels
from skmeta._kernels import _loops_py


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One algorithm of the family.

    Attributes
    ----------
    learner : OGDLearner or ForeignLearner
    task_parameter : {'last', 'average'}
    step_size : object of `skmeta.step_size`
    meta_update : object of `skmeta.meta_update`
    meta_eta0 : float
    phi_given : bool
        Whether the first initialization was given by the user.
    """

    learner: Any
    task_parameter: str
    step_size: Any
    meta_update: Any
    meta_eta0: float
    phi_given: bool

    @property
    def needs_average(self):
        return self.task_parameter == "average"

    def meta_step(self, clock, n_samples):
        """Share of the way to a task's parameter that the initialization moves."""
        t, weight_sum = clock
        return self.meta_update.step(
            t, n_samples, weight_sum, self.meta_eta0, self.phi_given
        )

    def step(self, state, n_samples):
        """Step size of a new task, as the loops propose it."""
        eta0 = self.learner.step(n_samples)
        return self.step_size.propose(state.rule, n_samples, eta0)

    def learn_tasks(self, batch, first, *arrays):
        """The loop over tasks; see `skmeta._kernels._loops_py.learn_tasks`."""
        parts = self.learner, self.step_size, self.meta_update
        # A subclass that inherits a code may have another formula.
        codes = [vars(type(part)).get("code") for part in parts]
        loops = _loops_py if None in codes else _kernels
        return loops.learn_tasks(batch, first, self, *arrays)
