"""scikit-learn's perceptron, a batch at a time."""

import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier


def finish(value):
    """Return what a step returned as an array."""
    return np.asarray(value)


def training(case):
    """Return a step; its loss is that before the update, as all of them return it."""
    x, labels = case.data()
    settings = {
        "sgd": {"momentum": case.momentum, "nesterovs_momentum": False},
        "adam": {"beta_1": case.beta1, "beta_2": case.beta2, "epsilon": case.eps},
    }[case.optimizer]
    model = MLPClassifier(
        case.widths[1:-1],
        solver=case.optimizer,
        alpha=0.0,
        batch_size=len(x),
        learning_rate_init=case.rate,
        shuffle=False,
        **settings,
    )
    classes = np.arange(case.widths[-1])
    with warnings.catch_warnings():
        # Of classes that a small batch lacks.
        warnings.simplefilter("ignore")
        model.partial_fit(x[:1], labels[:1], classes=classes)
    # The first call has made the parameters and an optimizer; both begin anew.
    start = case.start()
    own = model.coefs_ + model.intercepts_
    for parameter, given in zip(own, start[::2] + start[1::2], strict=True):
        parameter[...] = given
    del model._optimizer
    model.t_ = model.n_iter_ = 0

    def step():
        model.partial_fit(x, labels)
        return model.loss_

    return step
