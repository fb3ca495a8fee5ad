"""Speed-up by two jobs, for everything that takes `n_jobs`.

    python benchmarks/parallel.py
    python benchmarks/parallel.py --jobs 4 --repeats 9

Each row has its own amount of work. One job and several jobs take turns, and the
figures are the least elapsed times. Processes are started before the first row. On an
idle machine with two processors, work of 200 ms or more should be 1.8 times faster with
two jobs, and less work should not be slower. `differs` must stay empty: results do not
depend on the number of jobs.
"""

import argparse
import time
import warnings
from functools import partial

import benchmarks  # noqa: F401  # first: it sets the number of BLAS threads

# isort: split
import numpy as np
from joblib import Parallel, delayed
from sklearn.neural_network import MLPRegressor

from skmeta import FMRLClassifier, FMRLRegressor, MixedEffectsRegressor
from skmeta.datasets import make_task_classification, make_task_regression
from skmeta.inspection import FewShotDisplay
from skmeta.linear_model import OGDClassifier, OGDRegressor
from skmeta.metrics import regret_report
from skmeta.model_selection import few_shot_scores


def fit(model, n_jobs, X, y, tasks):
    model = model.set_params(n_jobs=n_jobs).fit(X, y, tasks=tasks)
    return model.predict(X, tasks=tasks)


def scores(model, n_jobs, X, y, tasks):
    return few_shot_scores(model, X, y, tasks, n_jobs=n_jobs).test_score


def display(model, n_jobs, X, y, tasks):
    from matplotlib.figure import Figure

    options = {"n_jobs": n_jobs, "ax": Figure().subplots()}
    return FewShotDisplay.from_estimator(model, X, y, tasks, **options).scores


def report(model, n_jobs, X, y, tasks):
    return regret_report(model.set_params(n_jobs=n_jobs), X, y, tasks).optima


def rows(most=10**6):
    """(name, function of the number of jobs and of data, data of at most `most` tasks).

    The functions return what must not depend on the number of jobs.
    """

    def regression(n_tasks, m, d):
        return make_task_regression(min(n_tasks, most), m, d, random_state=0)

    batches = {"meta_batch_size": 500}
    raw = FMRLRegressor(standardize=False, **batches)
    sizes = [(1000, 20, 10), (2000, 50, 20), (2000, 100, 50), (8000, 100, 50)]
    for n_tasks, m, d in sizes:
        data = regression(n_tasks, m, d)
        size = f"{n_tasks} tasks, {m} x {d}"
        yield f"meta-batches, raw: {size}", partial(fit, raw), data
        yield f"meta-batches: {size}", partial(fit, FMRLRegressor(**batches)), data
    for n_tasks in (10, 50, 200):
        data = regression(n_tasks, 20, 5)
        network = MLPRegressor(hidden_layer_sizes=(20,), max_iter=5)
        options = {"meta_batch_size": n_tasks, "standardize": False}
        model = FMRLRegressor(network, random_state=0, **options)
        yield f"networks: {n_tasks} tasks", partial(fit, model), data
    for m, d in ((200, 50), (8, 5)):
        data = regression(2000, m, d)
        model = FMRLRegressor(
            OGDRegressor("huber"), task_parameter="optimum", standardize=False
        )
        yield f"optima: 2000 tasks, {m} x {d}", partial(fit, model), data
    for n_tasks in (2000, 20_000):
        data = regression(n_tasks, 20, 20)
        model = MixedEffectsRegressor()
        yield f"mixed effects: {n_tasks} tasks, 20 x 20", partial(fit, model), data
    for n_tasks in (100, 400, 1600):
        data = regression(n_tasks, 20, 5)
        for model in (FMRLRegressor(), MixedEffectsRegressor()):
            name = f"{type(model).__name__}, {n_tasks} tasks"
            yield f"few_shot_scores: {name}", partial(scores, model), data
            fitted = type(model)().fit(data[0], data[1], tasks=data[2])
            yield f"FewShotDisplay: {name}", partial(display, fitted), data
    for n_tasks in (50, 400):
        data = make_task_classification(min(n_tasks, most), 10, 5, random_state=0)
        model = FMRLClassifier(OGDClassifier("hinge", radius=2.0), standardize=False)
        yield f"regret_report, hinge: {n_tasks} tasks", partial(report, model), data


def timed(call, *arguments):
    begin = time.perf_counter()
    result = call(*arguments)
    return 1e3 * (time.perf_counter() - begin), result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of networks that have not converged
    Parallel(arguments.jobs)(delayed(abs)(-1) for _ in range(2 * arguments.jobs))
    print(f"{'':52}{'one job':>10}{'ms':>10}{'ratio':>8}  differs")
    for name, call, data in rows():
        times = {1: [], arguments.jobs: []}
        results = {}
        for turn in range(arguments.repeats + 1):
            for n_jobs, taken in times.items():
                elapsed, results[n_jobs] = timed(call, n_jobs, *data)
                if turn:  # the first one warms up
                    taken.append(elapsed)
        one, several = (min(taken) for taken in times.values())
        differs = "" if np.array_equal(*results.values()) else "DIFFERS"
        print(f"{name:52}{one:10.1f}{several:10.1f}{one / several:8.2f}  {differs}")


if __name__ == "__main__":
    main()
