"""Training of a network: its step, recorded where that pays, and batches for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import capture
from ..core.tensor import Tensor
from ..optim import Optimizer
from .network import Loss, Network, cut, weighted_sum

Array = np.ndarray[Any, Any]

REPLAY = 180
"""Steps from which on recording two of them costs less than it saves."""

KERNELS = 1_000
"""Steps from which on kernels pay that are on disk; to compile them, some 5,000."""


class Batch:
    """Memory of a batch, which a step reads where it is.

    Targets alone are an argument: a loss of the user's may compute with them in NumPy.

    Parameters
    ----------
    samples, features, outputs : int
    dtype : dtype
    step : callable
        Of samples, targets, weights and what the parameters decay by.
    """

    def __init__(
        self,
        samples: int,
        features: int,
        outputs: int,
        dtype: Any,
        step: Callable[..., Any],
    ) -> None:
        self.x = np.zeros((samples, features), dtype)
        self.y = np.zeros((samples, outputs), dtype)
        self.w = np.zeros(samples, dtype)
        self.decay = np.zeros((), dtype)
        self.run: Callable[[Any], Any] = lambda y: step(self.x, y, self.w, self.decay)


class Data:
    """Samples, targets and weights of sum 1 that go to a step in batches of one length.

    The last batch is filled up with samples of weight 0, so that all steps are alike,
    or is shorter where samples are not independent (`ragged`).
    """

    def __init__(
        self,
        X: Any,
        y: Array,
        weights: Array | None,
        size: int,
        ragged: bool = False,
    ) -> None:
        self.X = X if isinstance(X, np.ndarray) else X.tocsr()
        self.y, self.size, self.ragged = y, size, ragged
        self.weights = None if weights is None else weights.astype(X.dtype)
        self.full = 0

    def batches(
        self, order: Array, lend: Callable[[int, int, int], Batch]
    ) -> Iterator[tuple[int, Batch, float]]:
        """Yield by batches how many samples there are, and the sum of their weights."""
        features, outputs = self.X.shape[1], self.y.shape[1]
        for start in range(0, len(order), self.size):
            rows = order[start : start + self.size]
            n = len(rows)
            batch = lend(n if self.ragged else self.size, features, outputs)
            total = self._load(batch, rows, n)
            if total == 0 or (self.ragged and n == 1 < len(order)):
                continue  # Nothing to learn from, or no spread to normalise by.
            yield n, batch, total

    def _load(self, batch: Batch, rows: Array, n: int) -> float:
        whole = n == len(batch.w)
        x, y = (batch.x, batch.y) if whole else (batch.x[:n], batch.y[:n])
        if isinstance(self.X, np.ndarray):
            self.X.take(rows, 0, x, "clip")
        else:
            x[...] = self.X[rows].toarray()
        self.y.take(rows, 0, y, "clip")
        if self.weights is not None:
            w = self.weights.take(rows, 0, batch.w[:n], "clip")
            total = float(w.sum())
            w /= total or 1
            batch.w[n:] = 0
            return total
        if n != self.full:
            self.full = n
            batch.w[:n] = 1 / n
            batch.w[n:] = 0
        return float(n)


class Trainer:
    """A network with its parameters as one vector, and what updates them.

    Parameters
    ----------
    network : Network
    loss : callable
        Of scores and targets: of each sample, or each output of it.
    dtype : dtype
        Of the parameters.
    scale : float
        What the loss is multiplied with where it is shown.
    optimizer : callable, optional
        Makes one from a list of parameters; without it there are only gradients.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        dtype: Any,
        scale: float,
        optimizer: Callable[[list[Tensor]], Optimizer] | None,
    ) -> None:
        self.network, self.loss, self.scale = network, loss, scale
        self.theta = Tensor(np.zeros(network.size, dtype), requires_grad=True)
        self.running = [Tensor(a) for a in network.running(dtype)]
        self.optimizer: Any = optimizer([self.theta]) if optimizer else None
        self.rng = np.random.default_rng(0)
        self.steps = 0
        self.compiled: str | None = None
        self._batches: dict[tuple[int, int, int], Batch] = {}

    def prepare(self, steps: int, wanted: Any, kernels: bool) -> None:
        """Record steps from now on, if so many more make it pay, or it is wanted."""
        self.steps += steps
        pays = self.steps >= REPLAY if wanted == "auto" else wanted
        if pays and self.compiled is None:
            self.compiled = "kernels" if kernels else "NumPy"
            self._batches.clear()

    def batch(self, samples: int, features: int, outputs: int) -> Batch:
        """Return memory for so many samples, features and outputs, with its step."""
        shape = samples, features, outputs
        batch = self._batches.get(shape)
        if batch is None:
            step = self._gradient if self.optimizer is None else self._step
            batch = Batch(samples, features, outputs, self.theta.dtype, step)
            self._batches[shape] = batch
            if self.compiled:
                fused = None if self.compiled == "kernels" else False
                batch.run = capture.compile(batch.run, fused=fused)
        return batch

    @property
    def size(self) -> int:
        """Elements that it holds."""
        return self.theta.size + sum(b.x.size for b in self._batches.values())

    def values(self) -> list[Array]:
        """Return the arrays that training changes, the optimizer's aside."""
        return [tensor.numpy() for tensor in (self.theta, *self.running)]

    def load(self, values: list[Array], state: Any = None, seed: int = 0) -> None:
        """Go on from values, the state of the optimizer, and a seed for dropout."""
        for mine, value in zip(self.values(), values, strict=True):
            mine[...] = value
        if self.optimizer is not None and state is not None:
            self.optimizer.load_state_dict(state)
        if self.network.rate:
            fresh = np.random.default_rng(seed)
            self.rng.bit_generator.state = fresh.bit_generator.state

    def objective(self, x: Any, y: Any, w: Any, decay: Any) -> tuple[Any, Any]:
        """Return what is minimised, and the loss that is shown."""
        network = self.network
        *parts, penalty = cut(self.theta, network, decay)
        scores = network.scores(parts, self.running, x, self.rng)
        data = weighted_sum(self._losses(scores, y), w)
        objective = data + penalty
        return objective, objective if self.scale == 1 else self.scale * data + penalty

    def _losses(self, scores: Any, y: Any) -> Any:
        """Return the loss of each sample."""
        losses = self.loss(scores, y)
        if np.shape(losses) not in ((len(y),), y.shape):
            raise ValueError(
                f"loss: expected the loss of each of {len(y)} samples, or of each "
                f"output of them, {y.shape}, got shape {np.shape(losses)}; leave out "
                'its mean, as reduction="none" does'
            )
        return losses.sum(axis=1) if losses.ndim == 2 else losses

    def _step(self, x: Any, y: Any, w: Any, decay: Any) -> Any:
        self.optimizer.zero_grad()
        objective, shown = self.objective(x, y, w, decay)
        objective.backward()
        self.optimizer.step()
        return shown

    def _gradient(self, x: Any, y: Any, w: Any, decay: Any) -> Any:
        self.theta.grad = None
        objective, _ = self.objective(x, y, w, decay)
        objective.backward()
        return objective, self.theta.grad

    def epoch(self, data: Data, order: Array, alpha: float) -> float:
        """Go through the data once; return the mean loss."""
        sum_ = 0.0
        for n, batch, total in data.batches(order, self.batch):
            batch.decay[()] = alpha / total
            sum_ += batch.run(batch.y).item() * n
        return sum_ / len(order)

    def value_and_gradient(
        self, theta: Array, data: Data, alpha: float
    ) -> tuple[float, Array]:
        """Return the objective of all samples and its slope, at a point."""
        self.theta.numpy()[...] = theta
        ((_, batch, total),) = data.batches(np.arange(len(data.y)), self.batch)
        batch.decay[()] = alpha / total
        value, gradient = batch.run(batch.y)
        return value.item(), gradient.numpy().astype(np.float64)

    def evaluate(self, x: Any, y: Array, w: Array) -> tuple[Array, float]:
        """Return the scores of samples, and their mean loss without the penalty."""
        theta, *running = self.values()
        parts = self.network.parts(theta)
        scores = self.network.scores(parts, running, x)
        losses = self._losses(Tensor(scores), y).numpy()
        return scores, self.scale * float(np.average(losses, weights=w))


_idle: dict[Hashable, list[tuple[Trainer, Any]]] = {}
"""Trainers that no fit uses, with the state their optimizers began in."""

_MANY, _LARGE = 8, 2**20
"""How many trainers are kept, and with how many elements at most."""


@contextmanager
def borrowed(
    key: Hashable | None, make: Callable[[], Trainer]
) -> Iterator[tuple[Trainer, Any]]:
    """Lend a trainer, and the state its optimizer begins in, for one fit.

    One that was made and recorded for a fit with the same key, as for another fold of a
    cross-validation, is used again. None is the key of no other.
    """
    try:
        trainer, fresh = _idle[key].pop()
    except (KeyError, IndexError):
        trainer = make()
        fresh = trainer.optimizer and trainer.optimizer.state_dict()
    yield trainer, fresh
    if key is not None and trainer.size <= _LARGE:
        _idle.setdefault(key, []).append((trainer, fresh))
        while len(_idle) > _MANY:
            _idle.pop(next(iter(_idle)), None)
