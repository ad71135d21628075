"""The nine training runs of the textbook: their data, and the engine's parts."""

import numpy as np
import pytest
from reference import spiral, training_runs

import tensorgrad as tg

RUNS = training_runs()
X, Y = spiral(np.random.RandomState(0))


def name(run):
    given = run["hyperparameters"].items()
    return "-".join([run["optimizer"], *(f"{k}={v:g}" for k, v in given)])


every_run = pytest.mark.parametrize("run", RUNS["runs"], ids=name)


def engine_model():
    rng = np.random.RandomState(0)
    spiral(rng)
    inputs, hidden, classes = RUNS["model"]["layers"]
    return tg.nn.Sequential(
        tg.nn.Dense(inputs, hidden, rng=rng, scale=0.01),
        tg.nn.ReLU(),
        tg.nn.Dense(hidden, classes, rng=rng, scale=0.01),
    )


def engine_optimizer(run, parameters):
    given = dict(run["hyperparameters"])
    lr = given.pop("learning_rate")
    if "epsilon" in given:
        given["eps"] = given.pop("epsilon")
    return getattr(tg.optim, run["optimizer"])(parameters, lr, **given)
