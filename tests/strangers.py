"""Programs as people write them: a step, its arguments call by call, and its state."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tensorgrad as tg

schedules = tg.optim.schedules


@dataclass
class Program:
    """A step with what it is called with, and what it changes."""

    step: Any
    args: Any
    params: list
    optimizers: list = field(default_factory=list)
    reported: Any = None


def draws(*shapes, calls=10, classes=None):
    """Return arrays for each call; of the last, whole numbers if there are classes."""
    rng = np.random.default_rng(0)
    rows = [[rng.normal(size=shape) for shape in shapes] for _ in range(calls)]
    if classes:
        for row in rows:
            row[-1] = rng.integers(0, classes, row[-1].shape)
    return rows


def training(loss_of, params, optimizer, args, *, before=None, after=None, **more):
    """Return a program that goes down the slope of a loss."""

    def step(*args):
        loss = loss_of(*args)
        optimizer.zero_grad()
        loss.backward()
        if before:
            before()
        optimizer.step()
        if after:
            after()
        return loss

    return Program(step, args, params, [optimizer], **more)


def convolution():
    """Batch norm, dropout, momentum, and a last batch that is smaller."""
    nn = tg.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 3, 3, padding=1, rng=0), nn.BatchNorm2d(3), nn.ReLU()),
        *(
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2, rng=5),
            nn.Dense(27, 5, rng=2),
        ),
    ).to(np.float64)
    params = [*model.parameters()]
    sizes = (6, 2) * 5
    args = [draws((n, 1, 6, 6), (n,), calls=1, classes=5)[0] for n in sizes]

    def loss(x, t):
        return tg.softmax_cross_entropy(model(x), t)

    optimizer = tg.optim.SGD(params, lr=0.05, momentum=0.9)
    buffers = [b for name, b in model.named_buffers() if "running" in name]
    return training(loss, [*params, *buffers], optimizer, args)


class Block(tg.nn.Module):
    def __init__(self, words, d):
        nn = tg.nn
        self.embedding = nn.Embedding(words, d, rng=3)
        self.norm, self.attention = (
            nn.LayerNorm(d),
            nn.MultiheadAttention(d, 2, batch_first=True, rng=0),
        )
        self.rest = nn.Sequential(
            *(nn.RMSNorm(d), nn.Dense(d, d, rng=1), nn.GELU(), nn.Dropout(0.1, rng=9)),
            nn.Dense(d, words, rng=2),
        )

    def forward(self, words):
        x = self.embedding(words)
        h, hidden = self.norm(x), np.triu(np.ones((words.shape[1],) * 2, bool), 1)
        h, _ = self.attention(h, h, h, attn_mask=hidden, need_weights=False)
        return self.rest(x + h)


def transformer():
    """AdamW, a rate that rises and falls, and gradients that are clipped."""
    model = Block(7, 4).to(np.float64)
    params = [*model.parameters()]
    rate = schedules.warmup(schedules.cosine(0.01, steps=20), 3)

    def loss(words):
        scores = model(words[:, :-1]).reshape(-1, 7)
        return tg.softmax_cross_entropy(scores, words[:, 1:].reshape(-1))

    return training(
        *(loss, params, tg.optim.AdamW(params, lr=rate, weight_decay=0.1)),
        draws((3, 6), classes=7),
        before=lambda: tg.optim.clip_grad_norm_(params, 0.5),
    )


def plateau():
    """A rate that falls when the loss does not."""
    w = tg.Tensor(np.linspace(-1, 1, 5), requires_grad=True)
    rate = schedules.Plateau(0.2, factor=0.5, patience=0)
    return training(
        lambda x, y: np.mean((x @ w - y) ** 2),
        *([w], tg.optim.Adam([w], lr=rate), draws((9, 5), (9,), calls=1) * 10),
        reported=lambda loss: rate.report(loss.item() + 1000),
    )


def accumulation():
    """One update for the gradients of several batches."""
    model = tg.nn.Dense(3, 2, rng=0).to(np.float64)
    params = [*model.parameters()]
    optimizer = tg.optim.Groups(
        [tg.optim.Adam(params[:1], lr=0.05), tg.optim.NAdam(params[1:], lr=0.01)]
    )

    def step(xs, ys):
        optimizer.zero_grad()
        total = 0.0
        for x, y in zip(xs, ys, strict=True):
            loss = ((model(x) - y) ** 2).mean() / len(xs)
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
        return total

    return Program(step, draws((3, 5, 3), (3, 5, 2)), params)


def average():
    """A moving average of the parameters beside them."""
    model = tg.nn.Dense(3, 2, rng=0).to(np.float64)
    params = [*model.parameters()]
    mean = tg.optim.EMA(params, 0.9)
    optimizer = tg.optim.SGD(params, lr=0.05)
    args = draws((5, 3), (5, 2))
    return training(
        lambda x, y: ((model(x) - y) ** 2).mean(),
        *([*params, *mean.averages], optimizer, args),
        after=mean.update,
    )


def adversaries():
    """Two networks with an optimizer each, one against the other."""
    nn = tg.nn
    make, tell = (
        nn.Sequential(
            nn.Dense(2, 4, rng=seed), nn.LeakyReLU(), nn.Dense(4, n, rng=seed)
        )
        for seed, n in ((0, 2), (2, 1))
    )
    make, tell = make.to(np.float64), tell.to(np.float64)
    maker = tg.optim.Adam(make.parameters(), lr=0.01)
    teller = tg.optim.RMSProp(tell.parameters(), lr=0.01, centered=True)

    def step(x, z):
        made = make(z)
        told = np.logaddexp(0, -tell(x)).mean()
        told = told + np.logaddexp(0, tell(made.detach())).mean()
        teller.zero_grad()
        told.backward()
        teller.step()
        fooled = np.logaddexp(0, -tell(made)).mean()
        maker.zero_grad()
        fooled.backward()
        maker.step()
        teller.zero_grad()
        return told, fooled

    params = [*make.parameters(), *tell.parameters()]
    return Program(step, draws((6, 2), (6, 2)), params, [maker, teller])


def recurrent():
    """An LSTM over a few steps."""
    net, out = tg.nn.LSTM(3, 4, rng=0).to(np.float64), tg.nn.Dense(4, 1, rng=1)
    params = [*net.parameters(), *out.to(np.float64).parameters()]
    return training(
        lambda x, y: ((out(net(x)[0][-1]) - y) ** 2).mean(),
        *(params, tg.optim.Adam(params, lr=0.01), draws((4, 3, 3), (3, 1))),
    )


def bag():
    """Means of embeddings, of as many words as there are."""
    table = tg.nn.Embedding(20, 4, padding_idx=0, rng=0).to(np.float64)
    params = [*table.parameters()]

    def loss(words):
        here = (words != 0)[..., None]
        mean = (table(words) * here).sum(1) / np.maximum(here.sum(1), 1)
        return (mean**2).mean()

    optimizer = tg.optim.AdaGrad(params, lr=0.1)
    return training(loss, params, optimizer, draws((5, 6), classes=20))


def orbit():
    """The constants of two equations, from where their solution goes through."""
    p = tg.Tensor([1.1, 0.4, 0.1, 0.4], requires_grad=True)

    def slope(u):
        return np.stack(
            [p[0] * u[0] - p[1] * u[0] * u[1], p[2] * u[0] * u[1] - p[3] * u[1]]
        )

    def loss(dt):
        u, total = tg.Tensor([1.0, 2.0]), 0.0
        for target in (1.5, 1.7):
            k1 = slope(u)
            u = u + dt * slope(u + dt / 2 * k1)
            total = total + ((u - target) ** 2).sum()
        return total

    args = [[0.1 + k / 1000] for k in range(10)]
    return training(loss, [p], tg.optim.Adam([p], lr=0.01), args)


def newton():
    """Newton's method for several problems at once."""
    a, b = draws((4, 3, 3), (4, 3), calls=1)[0]

    def energy(x, a, b):
        return np.sum(np.exp(a @ x)) + np.sum((x - b) ** 2)

    def one(x, a, b):
        for _ in range(2):
            curvature = tg.hessian(energy)(x, a, b)
            x = x - np.linalg.solve(curvature, tg.grad(energy)(x, a, b))
        return x

    args = [[np.full((4, 3), 0.1 * k)] for k in range(10)]
    return Program(lambda x: tg.vmap(one)(x, a, b), args, [])


def private():
    """Gradients of each sample, clipped before they are added."""
    w = tg.Tensor(draws((4, 3), calls=1)[0][0], requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=0.1)

    def one(w, x, t):
        return tg.softmax_cross_entropy((x @ w)[None], t[None])

    def step(x, t):
        g = tg.vmap(tg.grad(one), in_axes=(None, 0, 0))(w, x, t)
        length = np.sqrt((g * g).sum((1, 2)))
        mean = (g / np.maximum(1, length)[:, None, None]).mean(0)
        optimizer.zero_grad()
        (w * mean.detach()).sum().backward()
        optimizer.step()
        return length

    return Program(step, draws((6, 4), (6,), classes=3), [w], [optimizer])


def mixed():
    """Parameters of two precisions, a count, and a factor that shrinks."""
    single, double = (
        tg.Tensor(np.ones(4, kind), requires_grad=True) for kind in (np.float32, float)
    )
    count, factor = tg.Tensor(np.zeros(4, np.int64)), tg.Tensor(np.ones(4, np.float16))
    optimizer = tg.optim.Adam([single, double], lr=0.1)

    def step(x):
        loss = (single * x).sum() + (double * x * factor).sum() ** 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with tg.no_grad():
            count[...] = count + (x > 0)
            factor[...] = factor * np.float16(0.5)
        return loss, count.detach().copy()

    return Program(step, draws((4,)), [single, double, count, factor], [optimizer])


def nested():
    """Arguments and results in dicts, lists and tuples."""
    w = {"in": {"w": tg.Tensor(np.eye(3), requires_grad=True)}}
    w["out"] = [tg.Tensor(np.ones(3), requires_grad=True)]
    params = [w["in"]["w"], *w["out"]]
    optimizer = tg.optim.Adam(params, lr=0.1)

    def step(batch, scale):
        y = np.tanh(batch["x"]["a"] @ w["in"]["w"]) @ w["out"][0]
        loss = scale * ((y - batch["y"][0]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "parts": (y, [y.sum()])}

    rows = draws((5, 3), (5,))
    args = [({"x": {"a": x}, "y": (y,)}, 1.0 + k) for k, (x, y) in enumerate(rows)]
    return Program(step, args, params, [optimizer])


PROGRAMS = [
    *(convolution, transformer, plateau, accumulation, average, adversaries),
    *(recurrent, bag, orbit, newton, private, mixed, nested),
]
