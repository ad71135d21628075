"""A character transformer beside PyTorch's: the same weights, batches and steps.

Its shape is nanoGPT's for a processor: 4 layers of 4 heads, 128 wide, 64 characters of
context, batches of 12; AdamW, with decay of the matrices alone, and gradients clipped
to norm 1. The text is Python's reference, as the standard library ships it for pydoc.

Asserts that the losses of some steps agree in float64, then prints medians of the time
of a step in float32. ``--losses N`` prints the losses of N steps of both instead.

    python benchmarks/transformer.py [--threads N] [--rounds N] [--losses N]
        [--context N] [--batch N]
"""

import argparse
import functools
import itertools

import numpy as np
from fair import in_clean_child
from steps import compare

import tensorgrad as tg
from tensorgrad.nn import functional

LAYERS, HEADS, WIDTH, CONTEXT, BATCH = 4, 4, 128, 64, 12
RATE, BETAS, DECAY, EPS, NORM = 1e-3, (0.9, 0.99), 0.1, 1e-8, 1.0


@functools.cache
def text():
    """Return Python's reference as numbers of characters, and how many of these."""
    from pydoc_data.topics import topics

    characters = "".join(topics[name] for name in sorted(topics))
    letters, numbers = np.unique(list(characters), return_inverse=True)
    return numbers, len(letters)


def batches(dtype=None, size=BATCH, context=CONTEXT):
    """Yield pieces of the text, with the character that follows each of theirs."""
    numbers, rng = text()[0], np.random.default_rng(1)
    while True:
        starts = rng.integers(0, len(numbers) - context, size)
        at = starts[:, None] + np.arange(context)
        yield numbers[at], numbers[at + 1]


class Attention(tg.nn.Module):
    """Causal attention of several heads."""

    def __init__(self, width, heads, **options):
        self.inward = tg.nn.Dense(width, 3 * width, bias=False, **options)
        self.outward = tg.nn.Dense(width, width, bias=False, **options)
        self.heads = heads

    def forward(self, x):
        """Return what the heads find for (n, length, width)."""
        n, length, width = x.shape
        parts = self.inward(x).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = parts.transpose(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.outward(y.transpose(0, 2, 1, 3).reshape(n, length, width))


class Block(tg.nn.Module):
    """Attention and two dense layers, each added to what it is given."""

    def __init__(self, width, heads, **options):
        dtype = options["dtype"]
        self.norm1 = tg.nn.LayerNorm(width, bias=False, dtype=dtype)
        self.attention = Attention(width, heads, **options)
        self.norm2 = tg.nn.LayerNorm(width, bias=False, dtype=dtype)
        self.up = tg.nn.Dense(width, 4 * width, bias=False, **options)
        self.down = tg.nn.Dense(4 * width, width, bias=False, **options)

    def forward(self, x):
        """Return (n, length, width) for the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Transformer(tg.nn.Module):
    """Logits of the next character, whose table is the embedding's."""

    def __init__(
        self,
        letters,
        layers=LAYERS,
        heads=HEADS,
        width=WIDTH,
        context=CONTEXT,
        dtype=np.float32,
    ):
        options = {
            "rng": np.random.default_rng(0),
            "init": functools.partial(tg.nn.init.normal, scale=0.02),
            "dtype": dtype,
        }
        self.letters = tg.nn.Embedding(letters, width, **options)
        self.places = tg.nn.Embedding(context, width, **options)
        self.blocks = [Block(width, heads, **options) for _ in range(layers)]
        self.norm = tg.nn.LayerNorm(width, bias=False, dtype=dtype)

    def forward(self, x):
        """Return (n, length, letters) for numbers of characters (n, length)."""
        h = self.letters(x) + self.places(np.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return functional.linear(self.norm(h), self.letters.weight)


def step_of(model):
    """Return a step of training, which returns the loss."""
    every = model.parameters()
    groups = [
        {"params": [p for p in every if p.ndim == 2], "weight_decay": DECAY},
        {"params": [p for p in every if p.ndim != 2], "weight_decay": 0.0},
    ]
    optimizer = tg.optim.AdamW(groups, RATE, beta1=BETAS[0], beta2=BETAS[1], eps=EPS)

    def step(x, y):
        optimizer.zero_grad()
        logits = model(x)
        rows = logits.reshape(-1, logits.shape[-1])
        loss = functional.cross_entropy(rows, y.reshape(-1))
        loss.backward()
        tg.optim.clip_grad_norm_(every, NORM)
        optimizer.step()
        return loss

    return step


def their_step_of(model):
    """Return the same step in PyTorch, from the same weights."""
    import torch
    from torch.nn import functional as theirs

    weights = {
        name: torch.tensor(w.numpy(), requires_grad=True)
        for name, w in model.named_parameters()
    }
    every = list(weights.values())
    groups = [
        {"params": [p for p in every if p.ndim == 2], "weight_decay": DECAY},
        {"params": [p for p in every if p.ndim != 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, RATE, betas=BETAS, eps=EPS)

    def norm(x, name):
        return theirs.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"])

    def attention(x, name, heads):
        n, length, width = x.shape
        parts = (x @ weights[f"{name}.inward.weight"]).split(width, 2)
        split = (n, length, heads, width // heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in parts)
        y = theirs.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).contiguous().view(n, length, width)
        return y @ weights[f"{name}.outward.weight"]

    def dense(x, name):
        y = theirs.gelu(x @ weights[f"{name}.up.weight"])
        return y @ weights[f"{name}.down.weight"]

    def logits(x):
        h = theirs.embedding(x, weights["letters.weight"])
        h = h + weights["places.weight"][: x.shape[1]]
        for i, block in enumerate(model.blocks):
            name, heads = f"blocks.{i}", block.attention.heads
            h = h + attention(norm(h, f"{name}.norm1"), f"{name}.attention", heads)
            h = h + dense(norm(h, f"{name}.norm2"), name)
        return norm(h, "norm") @ weights["letters.weight"].T

    def step(x, y):
        x, y = torch.from_numpy(x), torch.from_numpy(y)
        optimizer.zero_grad()
        scores = logits(x)
        loss = theirs.cross_entropy(scores.flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(every, NORM)
        optimizer.step()
        return loss.detach()

    return step


def curves(steps, model, batches):
    """Print the losses of a training in float32, every tenth part of it."""
    both = step_of(model()), their_step_of(model())
    print(f"{'step':>6}{'tensorgrad':>12}{'PyTorch':>10}")
    for i, batch in enumerate(itertools.islice(batches(), steps), 1):
        ours, theirs = (step(*batch).item() for step in both)
        if i % max(steps // 10, 1) == 0:
            print(f"{i:6}{ours:12.4f}{theirs:10.4f}", flush=True)


def main():
    """Print the table, or the losses."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--losses", type=int)
    parser.add_argument("--context", type=int, default=CONTEXT)
    parser.add_argument("--batch", type=int, default=BATCH)
    options = parser.parse_known_args()[0]
    model = functools.partial(Transformer, text()[1], context=options.context)
    some = functools.partial(batches, size=options.batch, context=options.context)
    if options.losses:
        curves(options.losses, model, some)
    else:
        compare(model, step_of, their_step_of, some)


if __name__ == "__main__":
    in_clean_child(main)
