"""LeNet on images of 28 x 28 beside PyTorch's: the same weights, batches and steps.

Batches of 128, cross-entropy, SGD. Asserts that the losses of some steps agree in
float64, then prints medians of the time of a step in float32.

    python benchmarks/lenet.py [--threads N] [--rounds N]
"""

import numpy as np
from fair import in_clean_child
from steps import compare

import tensorgrad as tg

RATE, BATCH = 0.01, 128


def lenet(dtype=np.float32):
    """Return the model (LeCun et al. 1998), with ReLU and maxima."""
    nn, rng = tg.nn, np.random.default_rng(0)
    options = {"rng": rng, "dtype": dtype}
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, **options),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, **options),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dense(400, 120, **options),
        nn.ReLU(),
        nn.Dense(120, 84, **options),
        nn.ReLU(),
        nn.Dense(84, 10, **options),
    )


def batches(dtype=np.float32):
    """Yield images of noise, and classes."""
    rng = np.random.default_rng(1)
    while True:
        images = rng.normal(size=(BATCH, 1, 28, 28)).astype(dtype)
        yield images, rng.integers(0, 10, BATCH)


def step_of(model):
    """Return a step of training, which returns the loss."""
    optimizer = tg.optim.SGD(model.parameters(), RATE)

    def step(x, labels):
        optimizer.zero_grad()
        loss = tg.softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def their_step_of(model):
    """Return the same step in PyTorch, from the same weights."""
    import torch
    from torch import nn

    other = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )
    other.to(getattr(torch, str(model.parameters()[0].dtype)))
    with torch.no_grad():
        for p, w in zip(other.parameters(), model.parameters(), strict=True):
            array = w.numpy().T if w.ndim == 2 else w.numpy()
            p.copy_(torch.from_numpy(array))
    optimizer = torch.optim.SGD(other.parameters(), RATE)

    def step(x, labels):
        x, labels = torch.from_numpy(x), torch.from_numpy(labels)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(other(x), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def main():
    """Print the table."""
    compare(lenet, step_of, their_step_of, batches)


if __name__ == "__main__":
    in_clean_child(main)
