"""What is measured: sizes, data, the start that all peers share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from . import scientist

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Training:
    """A step of training a chain of dense layers and ReLU on softmax cross-entropy.

    The optimizer is SGD with momentum 0.9 or Adam, the dtype float32.
    """

    kind: ClassVar = "training"
    """What a peer has to offer."""
    function: ClassVar = "training"
    """The function of the peer's file that makes a step."""
    unit: ClassVar = "us"

    name: str
    title: str
    widths: tuple[int, ...]
    batch: int
    optimizer: str = "sgd"
    rate: float = 0.001
    scale: float | None = None
    """Deviation of the first weights; sqrt(2 / fan_in) where None."""
    checked: int = 20
    """Steps whose losses must agree."""

    momentum: ClassVar = 0.9
    beta1: ClassVar = 0.9
    beta2: ClassVar = 0.999
    eps: ClassVar = 1e-7

    def data(self) -> tuple[Array, Array]:
        """Return samples and labels."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.batch, self.widths[0]), dtype=np.float32)
        return x, rng.integers(0, self.widths[-1], self.batch)

    def start(self) -> list[Array]:
        """Return weight and bias of each layer, new arrays at each call."""
        rng, parameters = np.random.default_rng(1), []
        for fan_in, fan_out in pairwise(self.widths):
            deviation = np.sqrt(2 / fan_in) if self.scale is None else self.scale
            weight = deviation * rng.standard_normal((fan_in, fan_out))
            parameters += [weight.astype(np.float32), np.zeros(fan_out, np.float32)]
        return parameters


class Spiral(Training):
    """Training on the text's spirals."""

    def data(self) -> tuple[Array, Array]:
        """Return points and classes."""
        from tensorgrad.data import spiral

        x, labels = spiral(self.batch // self.widths[-1], self.widths[-1], rng=0)
        return x, labels.astype(np.int64)


class Memory(Training):
    """Peak memory of a process while it trains, beyond what a tiny model takes."""

    kind: ClassVar = "memory"
    unit: ClassVar = "MiB"


@dataclass(frozen=True)
class Chain:
    """Scalars: y = y + x over and over, all nodes alive, then the gradient in x."""

    kind: ClassVar = "chain"
    function: ClassVar = "chain"
    unit: ClassVar = "us per node"

    name: str
    title: str
    nodes: int
    checked: ClassVar = 1


@dataclass(frozen=True)
class Softmax:
    """Softmax cross-entropy of logits and its gradient in them."""

    kind: ClassVar = "softmax"
    function: ClassVar = "softmax"
    unit: ClassVar = "us"

    name: str
    title: str
    batch: int
    classes: int
    checked: ClassVar = 1

    def data(self) -> tuple[Array, Array]:
        """Return logits and labels."""
        rng = np.random.default_rng(0)
        logits = rng.standard_normal((self.batch, self.classes), dtype=np.float32)
        return logits, rng.integers(0, self.classes, self.batch)


class Rules(Softmax):
    """The backward rules alone, from probabilities to the gradient in the logits."""

    kind: ClassVar = "rules"
    function: ClassVar = "rules"


@dataclass(frozen=True)
class Mapped:
    """What is mapped over: samples, or the rows of a Jacobian or a Hessian; float32."""

    kind: ClassVar = "mapped"
    unit: ClassVar = "us"
    checked: ClassVar = 1

    name: str
    title: str
    function: str
    """The function of the peer's file: `each_gradient`, `jacobian` or `hessian`."""
    shape: tuple[int, ...]
    """Widths of the layers; or rows and columns of the matrix."""
    batch: int = 0

    def network(self) -> tuple[list[Array], Array, Array]:
        """Return weights and biases of two layers, samples and labels."""
        case = Training("", "", self.shape, self.batch)
        return case.start(), *case.data()

    def matrices(self) -> tuple[Array, Array, Array]:
        """Return two square matrices that keep lengths about the same, and a point."""
        rng, n = np.random.default_rng(0), self.shape[0]
        one, other = rng.standard_normal((2, n, n), dtype=np.float32)
        root = np.sqrt(np.float32(n))
        return one / root, other / root, rng.standard_normal(n, dtype=np.float32)

    def regression(self) -> tuple[Array, Array]:
        """Return samples, negated where the label is 1, and a point."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal(self.shape, dtype=np.float32)
        sign = np.float32(2) * rng.integers(0, 2, (len(x), 1)) - np.float32(1)
        w = np.float32(0.1) * rng.standard_normal(self.shape[1], dtype=np.float32)
        return (sign * x).astype(np.float32), w


@dataclass(frozen=True)
class Program:
    """A program of `benchmarks.scientist` and its gradient; float64."""

    kind: ClassVar = "program"
    function: ClassVar = "program"
    unit: ClassVar = "us"
    checked: ClassVar = 1

    name: str
    title: str
    objective: str
    """The function of `benchmarks.scientist`."""

    def start(self, numpy: Any) -> tuple[Callable[[Any], Any], Array]:
        """Return the objective in the names of a namespace, and a point."""
        made: tuple[Callable[[Any], Any], Array]
        made = getattr(scientist, self.objective)(numpy)
        return made


Case = Training | Chain | Softmax | Mapped | Program

STEPS = [
    Spiral(
        "spiral",
        "2-64-3, batch 300, SGD with momentum",
        (2, 64, 3),
        300,
        rate=1.0,
        scale=0.01,
        checked=100,
    ),
    Training(
        "deep",
        "20 layers of 64, batch 32, SGD with momentum",
        (64,) * 21,
        32,
        rate=2e-4,
    ),
    Training(
        "digits",
        "784-128-10, batch 128, SGD with momentum",
        (784, 128, 10),
        128,
    ),
    Training(
        "wide",
        "784-512-512-10, batch 256, SGD with momentum",
        (784, 512, 512, 10),
        256,
    ),
    Training(
        "classes",
        "784-1024-1600-1000 (4.0M parameters), batch 256, Adam",
        (784, 1024, 1600, 1000),
        256,
        optimizer="adam",
        rate=1e-5,
        checked=10,
    ),
]
LOWERED = [
    Training(
        f"xla-{optimizer}",
        f"784-128-10, batch 128, {title}, lowered to XLA",
        (784, 128, 10),
        128,
        optimizer=optimizer,
    )
    for optimizer, title in (("sgd", "SGD with momentum"), ("adam", "Adam"))
]
CHAINS = [
    Chain(f"nodes-1e{power}", f"scalar node, 10^{power} alive", 10**power)
    for power in (3, 5, 6)
]
SHAPES = [(300, 3), (256, 1000)]
LOSSES = [
    Softmax(f"softmax-{n}x{k}", f"softmax cross-entropy, {n} x {k}", n, k)
    for n, k in SHAPES
] + [
    Rules(f"rules-{n}x{k}", f"its backward rules alone, {n} x {k}", n, k)
    for n, k in SHAPES
]
MAPPED = [
    Mapped(
        "vmap-gradients",
        "gradients of 128 samples, 784-128-10",
        "each_gradient",
        (784, 128, 10),
        128,
    ),
    Mapped(
        "vmap-jacobian", "Jacobian of two tanh layers, 200 wide", "jacobian", (200,)
    ),
    Mapped(
        "vmap-hessian",
        "Hessian of a logistic regression, 500 x 100",
        "hessian",
        (500, 100),
    ),
]
PROGRAMS = [
    Program(f"scientist-{name}", title, objective)
    for name, title, objective in (
        ("kalman", "Kalman filter, 50 steps", "kalman"),
        ("hmm", "hidden Markov chain, 100 symbols", "hidden_markov"),
        ("greeks", "Monte Carlo greeks, 5,000 paths of 50", "greeks"),
        ("bodies", "20 bodies, 50 leaps", "bodies"),
        ("heat", "implicit heat, 40 steps of 50 cells", "heat"),
        ("newton", "logistic fit by 8 steps of Newton's", "newton"),
        ("process", "Gaussian process, 150 points", "gaussian_process"),
        ("ctc", "CTC loss, 60 frames", "connectionist"),
        ("ode", "neural ODE, 40 steps of Runge and Kutta's", "neural_ode"),
        ("pinn", "physics-informed network, 100 points", "informed_network"),
    )
]
MEMORY = [
    Memory(
        "memory",
        "peak memory of 20 layers of 1024, batch 1024, SGD with momentum",
        (1024,) * 21,
        1024,
        checked=2,
    )
]
AXES = {
    "batch": (16, 64, 256, 1024, 4096),
    "width": (16, 64, 256, 1024),
    "depth": (1, 4, 16, 64),
}


def scaling() -> Iterator[Training]:
    """Yield cases along each axis, from 2 hidden layers of 128 at batch 128."""
    for axis, values in AXES.items():
        for value in values:
            size = {"batch": 128, "width": 128, "depth": 2} | {axis: value}
            widths = (64, *[size["width"]] * size["depth"], 10)
            title = "{depth} hidden layers of {width}, batch {batch}".format(**size)
            # 64 layers amplify the last bits until libraries differ, unless slowly.
            rate = 2e-3 / size["depth"]
            yield Training(
                f"{axis}-{value}", title, widths, size["batch"], rate=rate, checked=10
            )


EVERY: list[Case] = [
    *STEPS,
    *CHAINS,
    *LOSSES,
    *MAPPED,
    *PROGRAMS,
    *LOWERED,
    *MEMORY,
    *scaling(),
]
CASES = {case.name: case for case in EVERY}
QUICK = ["spiral", "digits", "nodes-1e3", "softmax-300x3", "rules-300x3"]


def chosen(names: list[str]) -> list[Case]:
    """Return the cases of these names; `batch`, say, stands for all `batch-...`."""
    found: list[Case] = []
    for name in names:
        new = [c for n, c in CASES.items() if n == name or n.startswith(f"{name}-")]
        if not new:
            raise ValueError(f"expected a case among {', '.join(CASES)}, got {name!r}")
        found += [case for case in new if case not in found]
    return found
