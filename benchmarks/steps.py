"""Steps of a model timed beside PyTorch's, once their losses agree."""

import argparse
import itertools
import time

import numpy as np
from fair import quartiles, ratio, threads_told

import tensorgrad as tg

STEPS = 5
"""Compared in float64."""


def losses(step, batches, count=STEPS):
    """Return the losses of some steps."""
    return [step(*batch).item() for batch in itertools.islice(batches, count)]


def agree(model, ours, theirs, batches):
    """Assert that losses from the same weights agree in float64."""
    found = [
        losses(make(model(dtype=np.float64)), batches(dtype=np.float64))
        for make in (ours, theirs)
    ]
    np.testing.assert_allclose(*found, rtol=1e-8)


def alternate(arms, batches, rounds):
    """Return processor seconds per step of each arm, one a round, the arms in turn."""
    found = {name: [] for name in arms}
    for batch in itertools.islice(itertools.cycle(batches), rounds):
        for name, step in arms.items():
            start = time.process_time()
            step(*batch)
            found[name].append(time.process_time() - start)
    return found


def compare(model, ours, theirs, batches):
    """Print the first losses in float32, the first calls, and the times of a step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_known_args()[0].rounds
    if threads := threads_told():
        import torch

        torch.set_num_threads(threads)
    agree(model, ours, theirs, batches)
    arms = {
        "PyTorch eager": theirs(model()),
        "tensorgrad eager": ours(model()),
        "tensorgrad compiled, NumPy": tg.compile(ours(model()), fused=False),
        "tensorgrad compiled, kernels": tg.compile(ours(model()), fused=True),
    }
    first, values = {}, {}
    for name, step in arms.items():
        start = time.perf_counter()
        step(*next(batches()))
        step(*next(batches()))
        first[name] = time.perf_counter() - start
        values[name] = losses(step, batches())[-1]
    found = alternate(arms, list(itertools.islice(batches(), 8)), rounds)
    header = f"{'ms':>8}{'quartiles':>18}{'/ PyTorch':>11}{'first two, s':>14}"
    print(f"{'':30}{'loss':>9}{header}")
    for name, times in found.items():
        low, high = (f"{t * 1e3:.2f}" for t in quartiles(times))
        print(
            f"{name:30}{values[name]:9.5f}{np.median(times) * 1e3:8.2f}"
            f"{f'{low}-{high}':>18}{ratio(times, found['PyTorch eager']):11.2f}"
            f"{first[name]:14.1f}"
        )
