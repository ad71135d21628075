"""Real data, fixed seeds: accuracies on rows that are held out."""

import functools

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn

pytest.importorskip("sklearn")
REPLAY = functools.partial(tg.compile, fused=False)


def folds(load):
    """Yield rows and labels to train on, and those held out: a fifth of each class."""
    from sklearn.model_selection import StratifiedKFold

    x, y = load(return_X_y=True)
    for train, held in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        mean, scale = x[train].mean(0), x[train].std(0)
        # A pixel that is hardly ever set does not count for more than others.
        scale = np.maximum(scale, np.ptp(x[train], 0) / 10)
        rows = ((x - mean) / np.where(scale == 0, 1, scale)).astype(np.float32)
        yield (rows[train], y[train]), (rows[held], y[held])


def accuracy(model, rows, held, epochs, lr, weight_decay):
    """Return the accuracy on rows held out of the training."""
    steps = epochs * -(-len(rows[0]) // 64)
    schedule = tg.optim.schedules.cosine(lr, steps)
    optimizer = tg.optim.AdamW(model.parameters(), schedule, weight_decay=weight_decay)
    loss = tg.softmax_cross_entropy
    settings = {"epochs": epochs, "batch_size": 64, "rng": 0, "compile": REPLAY}
    tg.train.fit(model, optimizer, rows, loss=loss, **settings)
    figures = {"accuracy": tg.data.accuracy}
    return tg.train.evaluate(model, held, loss=loss, metrics=figures)["accuracy"]


def dense(features, hidden, classes):
    return nn.Sequential(
        nn.Dense(features, hidden, rng=0),
        nn.ReLU(),
        nn.Dropout(0.2, rng=1),
        nn.Dense(hidden, classes, rng=2),
    )


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, rng=0),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, rng=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3, rng=2),
        nn.Dense(256, 10, rng=3),
    )


@pytest.mark.parametrize(
    ("name", "sizes", "settings", "least"),
    [
        ("digits", (64, 128, 10), (20, 5e-3, 0.01), 0.975),
        ("breast_cancer", (30, 32, 2), (30, 2e-3, 0.1), 0.96),
    ],
)
def test_dense(name, sizes, settings, least):
    """Each row is held out once."""
    from sklearn import datasets

    load = getattr(datasets, f"load_{name}")
    found = [accuracy(dense(*sizes), *rows, *settings) for rows in folds(load)]
    assert np.mean(found) >= least


def test_convolutional():
    """A quarter of each class is held out."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    images = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    x, held, y, labels = train_test_split(
        images, y, test_size=0.25, stratify=y, random_state=0
    )
    found = accuracy(convolutional(), (x, y), (held, labels), 10, 5e-3, 0.01)
    assert found >= 0.988
