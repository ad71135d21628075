"""Time the perceptrons of tensorgrad.sklearn beside scikit-learn's own, on one core.

Each fit is the first of a process of its own; imports are not counted. The two take
turns, and the best of some rounds is compared. The ratio "most" is what would be left
if a fit took no longer than its matrix products with NumPy do. ``--scores`` compares
held-out scores on ten data sets instead.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from itertools import pairwise
from typing import Any

DIGITS = {"hidden_layer_sizes": (100,), "max_iter": 100}
WIDE = {"hidden_layer_sizes": (100, 100), "max_iter": 20}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "digits, 64-100-10, batch 32, 100 epochs": ("digits", DIGITS | {"batch_size": 32}),
    "digits, 64-100-10, batch 200, 100 epochs": ("digits", DIGITS),
    "20,000 x 50, 100-100, batch 200, 20 epochs": ("wide", WIDE),
    "200 x 64, 100, batch 200, 3 epochs": ("few", {"max_iter": 3}),
}


def data(name: str) -> tuple[Any, Any]:
    """Return samples and classes."""
    from sklearn import datasets

    if name == "wide":
        return datasets.make_classification(
            20_000, 50, n_informative=20, n_classes=5, random_state=0
        )
    X, y = datasets.load_digits(return_X_y=True)
    rows = slice(200 if name == "few" else None)
    return X[rows] / 16, y[rows]


def kinds(library: str) -> Any:
    """Return the module with the estimators of a library."""
    if library == "scikit-learn":
        from sklearn import neural_network

        return neural_network
    from tensorgrad import sklearn

    return sklearn


class Products:
    """The matrix products of a fit, and nothing else."""

    loss_ = None

    def __init__(self, settings: dict[str, Any]) -> None:
        self.hidden = settings.get("hidden_layer_sizes", (100,))
        self.epochs = settings["max_iter"]
        self.batch = settings.get("batch_size", 200)

    def fit(self, X: Any, y: Any) -> None:
        """Multiply matrices of zeros, as often as steps are taken."""
        import numpy as np

        widths = [X.shape[1], *self.hidden, len(set(y))]
        xs = [np.zeros((min(self.batch, len(X)), n), X.dtype) for n in widths]
        ws = [np.zeros(pair, X.dtype) for pair in pairwise(widths)]
        for _ in range(self.epochs * -(-len(X) // self.batch)):
            for x, w in zip(xs, ws, strict=False):
                np.matmul(x, w)
            for i, w in enumerate(ws):
                np.matmul(xs[i].T, xs[i + 1])
                if i:
                    np.matmul(xs[i + 1], w.T)


def child(library: str, case: str, solver: str, dtype: str) -> None:
    """Fit once; print the seconds of the clock and of the processor."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    name, settings = CASES[case]
    X, y = data(name)
    model = (
        Products(settings)
        if library == "products"
        else kinds(library).MLPClassifier(
            solver=solver, tol=0, n_iter_no_change=10**6, random_state=0, **settings
        )
    )
    X, before = X.astype(dtype), (time.perf_counter(), time.process_time())
    with warnings.catch_warnings(action="ignore"):
        model.fit(X, y)
    after = time.perf_counter(), time.process_time()
    seconds = [b - a for a, b in zip(before, after, strict=True)]
    print(json.dumps([*seconds, model.loss_, getattr(model, "compiled_", None)]))


def measured(*arguments: str) -> list[Any]:
    """Return what a child prints."""
    drop = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}
    environment = {k: v for k, v in os.environ.items() if k not in drop}
    environment |= {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
    command = [sys.executable, __file__, "--child", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: list[Any] = json.loads(done.stdout)
    return found


def compare(case: str, solver: str, dtype: str, rounds: int) -> str:
    """Return a line of the table."""
    runs: dict[str, list[Any]] = {"scikit-learn": [], "tensorgrad": [], "products": []}
    for _ in range(rounds):
        for library, found in runs.items():
            found.append(measured(library, case, solver, dtype))
    (theirs, their_work), (ours, our_work), (_, least_work) = (
        [min(run[i] for run in found) for i in (0, 1)] for found in runs.values()
    )
    losses = [found[0][2] for found in runs.values() if found[0][2] is not None]
    agree = abs(losses[0] - losses[1]) < (1e-6 if dtype == "float64" else 1e-2)
    how = runs["tensorgrad"][0][3] or "eager"
    return (
        f"{case:44}{solver:6}{dtype:9}{theirs:9.3f}{ours:9.3f}{theirs / ours:7.1f}"
        f"{their_work / our_work:7.1f}{their_work / least_work:7.1f}  {how}"
        f"{'' if agree else '  LOSSES DIFFER'}"
    )


def sets() -> dict[str, tuple[str, Any, Any]]:
    """Return the data sets whose scores are compared, by name."""
    from sklearn import datasets as d

    loaded = {
        "digits": d.load_digits,
        "iris": d.load_iris,
        "wine": d.load_wine,
        "breast cancer": d.load_breast_cancer,
        "diabetes": d.load_diabetes,
    }
    found = {name: load(return_X_y=True) for name, load in loaded.items()} | {
        "classification": d.make_classification(1000, n_classes=3, n_informative=6),
        "moons": d.make_moons(1000, noise=0.2),
        "circles": d.make_circles(1000, noise=0.1, factor=0.6),
        "regression": d.make_regression(1000, 20, noise=10.0),
        "friedman": d.make_friedman1(1000, noise=0.5),
    }
    numbers = {"diabetes", "regression", "friedman"}
    return {
        n: ("MLP" + ("Regressor" if n in numbers else "Classifier"), *xy)
        for n, xy in found.items()
    }


def scores(name: str, kind: str, X: Any, y: Any) -> str:
    """Return a line with the mean held-out score of both, over five splits."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    means = []
    for library in ("scikit-learn", "tensorgrad"):
        model = getattr(kinds(library), kind)(max_iter=300, random_state=0)
        if kind == "MLPRegressor":
            model = TransformedTargetRegressor(model, transformer=StandardScaler())
        with warnings.catch_warnings(action="ignore"):
            found = cross_val_score(make_pipeline(StandardScaler(), model), X, y)
        means.append(found.mean())
    return f"{name:16}{means[0]:14.4f}{means[1]:12.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--solver", action="append", choices=["adam", "sgd"])
    parser.add_argument("--scores", action="store_true")
    options = parser.parse_args()
    if options.child:
        child(*options.child)
    elif options.scores:
        import numpy as np

        np.random.seed(0)
        print(f"{'held-out score':16}{'scikit-learn':>14}{'tensorgrad':>12}")
        for name, (kind, X, y) in sets().items():
            print(scores(name, kind, X, y), flush=True)
    else:
        heads = f"{'sklearn':>9}{'ours':>9}{'ratio':>7}{'cpu':>7}{'most':>7}"
        print(f"{'':59}{heads}  by")
        for case in CASES:
            for solver in options.solver or ["adam", "sgd"]:
                for dtype in ("float64", "float32"):
                    line = compare(case, solver, dtype, options.rounds)
                    print(line, flush=True)


if __name__ == "__main__":
    main()
