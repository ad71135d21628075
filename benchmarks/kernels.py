"""Time gradients of small programs by replay and with kernels, over random sizes.

    python benchmarks/kernels.py             # one thread
    python benchmarks/kernels.py --seed 7    # other sizes

A line for each program and size: microseconds of both, and how many times as long the
kernels take. Those beyond the bar come again last: no program is to lose by kernels.
"""

import argparse

import numpy as np
from fair import alternate, in_clean_child

import tensorgrad as tg

BAR = 1.1
"""What is within measuring."""

SIZES = [4, 9, 30, 100, 400, 2000]


def log_softmax(x):
    shifted = x - np.max(x, -1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), -1, keepdims=True))


def standardised(x):
    centred = x - np.mean(x, -1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + 1e-5)


def numbers(x, axis):
    """Return which rows, or columns, to look up: some twice, some never."""
    return np.random.default_rng(0).integers(0, x.shape[axis], x.shape[axis])


PROGRAMS = {
    "bias": lambda x: np.sum(np.tanh(x + x[0])),
    "sums of rows": lambda x: np.sum(np.sum(x * x, -1) ** 2),
    "sums of columns": lambda x: np.sum(np.sum(x * x, 0) ** 2),
    "log of softmax": lambda x: -np.sum(log_softmax(x)[:, 0]),
    "cross-entropy": lambda x: (
        -np.mean(log_softmax(x)[np.arange(len(x)), np.arange(len(x)) % x.shape[1]])
    ),
    "layer norm": lambda x: np.sum(standardised(x) * x),
    "relu": lambda x: np.sum(tg.relu(x) * 0.5),
    "power": lambda x: np.sum((x * x + 1) ** 1.5),
    "largest of a row": lambda x: np.sum(np.max(x, -1)),
    "transposed": lambda x: np.sum(x.T.reshape(-1) * x.reshape(-1)),
    "product": lambda x: np.sum((x.T @ x) ** 2),
    "distances": lambda x: np.sum(np.sum((x[:, None] - x[:8]) ** 2, 2) ** 1.5),
    "neighbours": lambda x: np.sum((x[1:] - x[:-1]) ** 2),
    "joined": lambda x: np.sum(np.concatenate([x * x, x], 1)),
    "choice": lambda x: np.sum(np.where(x > 0, x * x, -x)),
    "rows looked up": lambda x: np.sum(x[numbers(x, 0)] ** 2),
    "columns looked up": lambda x: np.sum(x[:, numbers(x, 1)] ** 3),
    "small matrices": lambda x: np.sum(
        (x[:, :4].reshape(-1, 2, 2) @ x[:, :4].reshape(-1, 2, 2)) ** 2
    ),
    "running sums": lambda x: np.sum(np.cumsum(x, 1) * x),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the sizes")
    parser.add_argument("--threads", type=int, default=1, help="of BLAS")
    rng = np.random.default_rng(parser.parse_args().seed)
    lines = [line for name in PROGRAMS for line in measured(name, rng)]
    print("", *(text for text, ratio in lines if ratio > BAR), sep="\n")


def measured(name, rng):
    """Yield a line for each of some sizes, and the ratio in it."""
    for _ in range(4):
        rows, columns = (int(n * rng.uniform(1, 2)) for n in rng.choice(SIZES, 2))
        x = rng.standard_normal((rows, columns)).astype(rng.choice(["f4", "f8"]))
        replay, kernels = (min(times) * 1e6 for times in compared(PROGRAMS[name], x))
        text = f"{name:20}{rows:6} x {columns:<6}{x.dtype!s:10}"
        text += f"{replay:12,.1f}{kernels:12,.1f}{kernels / replay:8.2f}"
        print(text, flush=True)
        yield text, kernels / replay


def compared(program, x):
    """Return seconds of both, once they agree."""
    gradient = tg.grad(program)
    replay, kernels = (tg.compile(gradient, fused=fused) for fused in (False, True))
    for _ in range(3):
        expected, found = replay(x), kernels(x)
    size = np.abs(expected).max()
    assert np.abs(found - expected).max() <= 1e4 * np.finfo(x.dtype).eps * size
    arms = {"replay": lambda: replay(x), "kernels": lambda: kernels(x)}
    return alternate(arms, 5).values()


if __name__ == "__main__":
    in_clean_child(main)
