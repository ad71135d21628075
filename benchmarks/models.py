"""Small models of many kinds beside PyTorch's: the same weights, batches and steps.

Each is written once, for either library's layers. Adam; cross-entropy, or the mean
square where targets are no labels. Asserts that the losses of some steps agree in
float64, then prints medians of the time of a step in float32.

    python benchmarks/models.py [--threads N] [--rounds N] [MODEL ...]
"""

import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np
from fair import in_clean_child
from steps import compare

import tensorgrad as tg

RATE = 0.001


def residual(nn):
    """Return a convolutional network of two residual blocks, for images (3, 32, 32)."""
    relu = nn.functional.relu

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.first = nn.Conv2d(channels, channels, 3, padding=1)
            self.norm1 = nn.BatchNorm2d(channels)
            self.second = nn.Conv2d(channels, channels, 3, padding=1)
            self.norm2 = nn.BatchNorm2d(channels)

        def forward(self, x):
            y = relu(self.norm1(self.first(x)))
            return relu(x + self.norm2(self.second(y)))

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        Block(32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def depthwise(nn):
    """Return a depthwise separable convolution, for images (3, 32, 32)."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 1),
        nn.GroupNorm(4, 32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def autoencoder(nn):
    """Return an autoencoder of strided convolutions, for images (1, 28, 28)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 2, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 2, stride=2),
    )


def dilated(nn):
    """Return convolutions in time of growing dilation, for signals (16, 128)."""
    layers = [
        (nn.Conv1d(16, 16, 3, padding=d, dilation=d), nn.ReLU()) for d in (1, 2, 4, 8)
    ]
    end = nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 5)
    return nn.Sequential(*itertools.chain(*layers), *end)


def recurrent(cell):
    """Return what makes a classifier of sequences (50, 32) with a recurrent layer."""

    def model(nn):
        class Last(nn.Module):
            def __init__(self):
                super().__init__()
                self.cell = getattr(nn, cell)(32, 64, batch_first=True)
                self.end = nn.Linear(64, 5)

            def forward(self, x):
                return self.end(self.cell(x)[0][:, -1])

        return Last()

    return model


def encoder(nn):
    """Return two blocks of attention over 32 of 100 symbols, 64 wide, 4 heads."""
    gelu = nn.functional.gelu

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
            self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
            self.up, self.down = nn.Linear(64, 256), nn.Linear(256, 64)

        def forward(self, x):
            y = self.norm1(x)
            x = x + self.attention(y, y, y)[0]
            return x + self.down(gelu(self.up(self.norm2(x))))

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(100, 64)
            self.first, self.second = Block(), Block()
            self.end = nn.Linear(64, 5)

        def forward(self, x):
            return self.end(self.second(self.first(self.table(x))).mean(1))

    return Encoder()


def factors(nn):
    """Return the factors of a table of 2,000 users and 3,000 things."""

    class Factors(nn.Module):
        def __init__(self):
            super().__init__()
            self.users, self.things = nn.Embedding(2000, 32), nn.Embedding(3000, 32)

        def forward(self, x):
            return (self.users(x[:, 0]) * self.things(x[:, 1])).sum(-1)

    return Factors()


def perceptron(nn):
    """Return nine dense layers with SiLU, for rows of 128."""
    layers = [(nn.Linear(128, 128), nn.SiLU()) for _ in range(8)]
    return nn.Sequential(*itertools.chain(*layers), nn.Linear(128, 5))


def normalised(nn):
    """Return dense layers with normalisations between them, for rows of 100."""
    return nn.Sequential(
        nn.Linear(100, 256),
        nn.BatchNorm1d(256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.LayerNorm(256),
        nn.GELU(),
        nn.Linear(256, 10),
    )


MODELS = {
    "residual": (residual, (32, 3, 32, 32), 10),
    "depthwise": (depthwise, (32, 3, 32, 32), 10),
    "autoencoder": (autoencoder, (64, 1, 28, 28), (64, 1, 28, 28)),
    "dilated": (dilated, (32, 16, 128), 5),
    "LSTM": (recurrent("LSTM"), (32, 50, 32), 5),
    "GRU": (recurrent("GRU"), (32, 50, 32), 5),
    "encoder": (encoder, (8, 32, 100), 5),
    "factors": (factors, (512, 2, 2000), (512,)),
    "perceptron": (perceptron, (256, 128), 5),
    "normalised": (normalised, (256, 100), 10),
}
"""What makes each, the shape of a batch (of integers with what they are below) and how
many classes there are, or the shape of targets."""

INTEGERS = ("encoder", "factors")


def case(name):
    """Return what `compare` takes: a model, the steps of both libraries, batches."""
    make, shape, target = MODELS[name]

    def model(dtype=np.float32):
        ours, rng = make(tg.nn), np.random.default_rng(0)
        for name, p in ours.named_parameters():
            bound = np.sqrt(3 / np.prod(p.shape[1:])) if p.ndim > 1 else 0.1
            is_scale = "weight" in name and p.ndim == 1
            with tg.no_grad():
                p[...] = rng.uniform(-bound, bound, p.shape) + is_scale
        return ours.to(dtype)

    def batches(dtype=np.float32):
        rng = np.random.default_rng(1)
        while True:
            if name in INTEGERS:
                x = rng.integers(0, shape[-1], shape[:-1])
            else:
                x = rng.standard_normal(shape).astype(dtype)
            if isinstance(target, int):
                yield x, rng.integers(0, target, shape[0])
            else:
                yield x, rng.standard_normal(target).astype(dtype)

    return model, step_of, lambda ours: their_step_of(ours, make), batches


def loss_of(functional, y, target):
    """Return the cross-entropy of labels, or the mean square."""
    if "int" in str(target.dtype):
        return functional.cross_entropy(y, target)
    return functional.mse_loss(y, target)


def step_of(model):
    """Return a step of training, which returns the loss."""
    optimizer = tg.optim.Adam(model.parameters(), RATE, eps=1e-8)

    def step(x, target):
        optimizer.zero_grad()
        loss = loss_of(tg.nn.functional, model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def their_step_of(model, make):
    """Return the same step in PyTorch, from the same weights."""
    import torch
    from safetensors.torch import load_file

    other = make(torch.nn).to(getattr(torch, str(model.parameters()[0].dtype)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "start.safetensors"
        tg.formats.save_weights(path, model, pytorch=True)
        other.load_state_dict(load_file(path), strict=False)
    optimizer = torch.optim.Adam(other.parameters(), RATE)

    def step(x, target):
        x, target = torch.from_numpy(x), torch.from_numpy(target)
        optimizer.zero_grad()
        loss = loss_of(torch.nn.functional, other(x), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def main():
    """Print a table for each model."""
    parser = argparse.ArgumentParser()
    for option in ("--threads", "--rounds"):
        parser.add_argument(option)
    parser.add_argument("models", nargs="*", default=[*MODELS])
    for name in parser.parse_args().models:
        print(f"\n{name}", flush=True)
        compare(*case(name))


if __name__ == "__main__":
    in_clean_child(main)
