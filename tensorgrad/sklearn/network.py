"""A perceptron whose parameters are one vector, and what it may be trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..core.primitive import primitive
from ..nn import functional
from ..ops.elementwise.logspace import sigmoid, softplus
from ..ops.networks.activations import dropout, elu, gelu, leaky_relu, silu
from ..ops.networks.neural import dense, relu, softmax

Array = np.ndarray[Any, Any]
Loss = Callable[[Any, Any], Any]

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "logistic": sigmoid,
    "tanh": np.tanh,
    "relu": relu,
    "elu": elu,
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "silu": silu,
    "softplus": softplus,
}
OUTPUTS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "logistic": sigmoid,
    "softmax": softmax,
    "exp": np.exp,
}


class Network:
    """Dense layers with an activation, normalised and dropped out where wanted.

    Parameters
    ----------
    widths : sequence of int
        Features, units of each hidden layer, outputs.
    activation : str or callable
        Between the layers.
    normalization : {"batch", "layer"} or None
        Before the activation.
    rate : float
        Which part of the hidden units is dropped in training.
    """

    def __init__(
        self, widths: list[int], activation: Any, normalization: str | None, rate: float
    ) -> None:
        self.activation, self.normalization, self.rate = activation, normalization, rate
        self.depth = len(widths) - 1
        self.hidden = widths[1:-1] if normalization else []
        vectors = [*widths[1:], *self.hidden, *self.hidden]
        self.shapes = (*pairwise(widths), *[(n,) for n in vectors])
        self.counts = self.depth, self.depth, len(self.hidden), len(self.hidden)
        self.ends = (*accumulate(map(math.prod, self.shapes), initial=0),)
        self.size, self.decaying = self.ends[-1], self.ends[self.depth]

    def start(self, rng: np.random.RandomState, dtype: Any) -> Array:
        """Return Glorot's uniform parameters, drawn in scikit-learn's order."""
        coefs, intercepts = [], []
        for n, m in self.shapes[: self.depth]:
            bound = np.sqrt((2 if self.activation == "logistic" else 6) / (n + m))
            coefs.append(rng.uniform(-bound, bound, n * m))
            intercepts.append(rng.uniform(-bound, bound, m))
        scales, shifts = np.ones(sum(self.hidden)), np.zeros(sum(self.hidden))
        return np.concatenate([*coefs, *intercepts, scales, shifts], dtype=dtype)

    def parts(self, theta: Any) -> list[Any]:
        """Return coefficients, intercepts, scales and shifts: views of the vector."""
        return list(cut(theta, self)[:-1])

    def running(self, dtype: Any) -> list[Array]:
        """Return a mean and a variance for each normalised unit, to be averaged."""
        batch = self.hidden if self.normalization == "batch" else []
        return [f(n, dtype) for n in batch for f in (np.zeros, np.ones)]

    def scores(
        self, parts: list[Any], running: list[Any], x: Any, rng: Any = None
    ) -> Any:
        """Return the outputs before their activation; `rng` says it is training."""
        activation = ACTIVATIONS.get(self.activation, self.activation)
        for i in range(self.depth):
            weight, bias = parts[i], parts[self.depth + i]
            # Sparse samples, which come in prediction, are no operand of dense.
            x = x @ weight + bias if hasattr(x, "tocsr") else dense(x, weight, bias)
            if i < self.depth - 1:
                x = activation(self._normalised(parts, running, i, x, rng))
                if self.rate and rng is not None:
                    x = dropout(x, self.rate, rng=rng)
        return x

    def _normalised(
        self, parts: list[Any], running: list[Any], i: int, x: Any, rng: Any
    ) -> Any:
        if self.normalization is None:
            return x
        scale, shift = parts[2 * self.depth + i :: self.depth - 1]
        if self.normalization == "layer":
            return functional.layer_norm(x, scale.shape, scale, shift)
        mean, variance = running[2 * i : 2 * i + 2]
        return functional.batch_norm(x, mean, variance, scale, shift, rng is not None)


@primitive(multiple=True)
def cut(theta, network, decay=0.0):  # type: ignore[no-untyped-def]
    """A vector as the parts of a network, and the penalty of its coefficients."""
    w = theta[: network.decaying]
    return *(
        theta[start:end].reshape(shape)
        for shape, (start, end) in zip(
            network.shapes, pairwise(network.ends), strict=True
        )
    ), decay * (0.5 * np.dot(w, w))


def _joined(g: Any, theta: Any, network: Any, decay: Any) -> Any:
    *parts, slope = g
    joined = np.concatenate([part.reshape(-1) for part in parts])
    decaying = joined[: network.decaying]
    decaying += theta[: network.decaying] * (slope * decay)
    return joined


cut.vjp(theta=_joined)


@primitive
def weighted_sum(losses, w):  # type: ignore[no-untyped-def]
    """The sum of losses times their weights, which are constants."""
    return np.dot(losses, w)


weighted_sum.vjp(losses=lambda g, w: g * w)


def exponential(mean: Callable[[Any], Any], cost: Callable[..., Any]) -> Loss:
    """Return the loss of an exponential family, whose slope is mean(z) - t.

    Parameters
    ----------
    mean : callable
        From scores to expectations.
    cost : callable
        From scores, expectations and targets to the loss of each sample.
    """

    @primitive(residuals={"p": lambda z: mean(z)})
    def loss(z, t):  # type: ignore[no-untyped-def]
        p = mean(z)
        return cost(z, p, t), p

    loss.vjp(z=lambda g, p, t: (p - t) * g[:, None])
    return loss


def _log(q: Any) -> Any:
    """Return the logarithm of probabilities, clipped as scikit-learn clips them."""
    eps = float(np.finfo(q.dtype).eps)
    return np.log(np.minimum(np.maximum(q, eps), 1 - eps))


def _deviance(z: Any, p: Any, t: Any) -> Any:
    """Return half the Poisson deviance of each sample."""
    constant = t * np.log(np.where(t > 0, t, 1)) - t
    return (p - t * z + constant).sum(axis=1)


LOSSES: dict[str, Loss] = {
    "softmax": exponential(softmax, lambda z, p, t: -_log((p * t).sum(axis=1))),
    "logistic": exponential(
        sigmoid, lambda z, p, t: -_log(1 - np.abs(p - t)).sum(axis=1)
    ),
    "poisson": exponential(np.exp, _deviance),
    "squared_error": exponential(
        lambda z: z, lambda z, p, t: 0.5 * np.square(p - t).sum(axis=1)
    ),
    "absolute_error": lambda z, t: np.abs(z - t),
    "huber": lambda z, t: functional.huber_loss(z, t, reduction="none"),
}
"""Of each sample, or each output of it: by the output activation, or by name."""


def quantile_loss(z: Any, t: Any, q: float) -> Any:
    """Return the loss that is least at a quantile."""
    return functional.quantile_loss(z, t, q, reduction="none")
