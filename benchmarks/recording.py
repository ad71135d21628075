"""What recording a run for pictures costs the run, and what drawing it takes.

The text's model is trained for 10,001 epochs by the loop of `tensorgrad train`, once
recorded with 100 frames and once not. The two take turns, 101 epochs each, so that a
slow spell of the machine falls on both; each turn of the recorded one holds a frame.
At the end both have the same parameters, bit for bit.

    python benchmarks/recording.py [--threads N] [--draw run.mp4]
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from fair import in_clean_child, ratio

import tensorgrad as tg
from tensorgrad.cli.fit import Fit

EPOCHS, FRAMES, TURN = 10_001, 100, 101


def training():
    """Return the text's model and data, ready to be trained."""
    rng = np.random.RandomState(0)
    x, y = tg.data.spiral(100, 3, rng)
    first, last = tg.nn.Dense(2, 64, rng=rng), tg.nn.Dense(64, 3, rng=rng)
    model = tg.nn.Sequential(first, tg.nn.ReLU(), last)
    optimizer = tg.optim.Adam(model.parameters(), 0.05, decay=1e-3)
    return Fit(model, optimizer, x, y, rng)


def seconds(fit, epochs):
    """Return how long so many epochs take."""
    start = time.perf_counter()
    for _ in range(epochs):
        fit.epoch()
    return time.perf_counter() - start


def measure():
    """Return the times of all turns, recorded and plain, and the history."""
    recorded, plain = training(), training()
    history = tg.plot.History(
        recorded.model, recorded.x, recorded.y, steps=EPOCHS, frames=FRAMES
    )
    recorded.watch = history.record
    times = {"recorded": [], "plain": []}
    arms = [("recorded", recorded), ("plain", plain)]
    while recorded.epochs < EPOCHS:
        turn = min(TURN, EPOCHS - recorded.epochs)
        for name, fit in arms:
            times[name].append(seconds(fit, turn) / turn)
        arms.reverse()  # neither always goes first
    check_equal(recorded.model, plain.model)
    return times, history


def check_equal(recorded, plain):
    """Refuse to time what is not the same."""
    pairs = zip(recorded.parameters(), plain.parameters(), strict=True)
    assert all(p.data.tobytes() == q.data.tobytes() for p, q in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--draw", type=Path, help="draw the run into this file")
    path = parser.parse_args().draw
    times, history = measure()
    for name, taken in times.items():
        print(f"{name:9} {statistics.median(taken) * 1e6:7.1f} us per epoch")
    slower = ratio(times["recorded"], times["plain"]) - 1
    print(
        f"recorded against plain, median of {len(times['plain'])} turns: {slower:+.1%}"
    )
    if path is not None:
        start = time.perf_counter()
        tg.plot.training(history, path)
        taken = time.perf_counter() - start
        print(f"{path.name}: {len(history.moments)} frames drawn in {taken:.1f} s")


if __name__ == "__main__":
    in_clean_child(main)
