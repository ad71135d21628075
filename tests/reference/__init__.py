"""The numbers the textbook prints, and its data made with NumPy alone."""

import json
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np


def worked_examples():
    text = (Path(__file__).parent / "worked_examples.json").read_text("utf-8")
    return json.loads(text)


def training_runs():
    """Return the nine runs, as the package carries them."""
    carried = files("tensorgrad") / "reference" / "optimizer_runs.json"
    return json.loads(carried.read_text("utf-8"))


def spiral(rng, samples=100, classes=3):
    """Return points and class numbers: arms a radian's turn apart, with noise.

    The angle runs over 4 units times 2.5 along an arm and its noise is drawn arm by
    arm in float32, as nnfs draws it, so the same stream gives the same points.
    """
    radius = np.linspace(0.0, 1.0, samples)
    points, labels = [], []
    for arm in range(classes):
        noise = rng.standard_normal(samples).astype(np.float32) * 0.2
        angle = (np.linspace(4 * arm, 4 * arm + 4, samples) + noise) * 2.5
        points.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1))
        labels.append(np.full(samples, arm, dtype=np.uint8))
    return np.concatenate(points).astype(np.float32), np.concatenate(labels)


def drawn_weights(rng, *sizes):
    """Return a weight matrix for each pair of neighbouring layers, 0.01 * normal."""
    return [
        np.float32(0.01) * rng.standard_normal(shape).astype(np.float32)
        for shape in pairwise(sizes)
    ]
