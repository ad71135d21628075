"""The libraries compared, one file each, and what each can be asked for.

A file has a function for each kind of case. It takes the case, and returns a step: a
function without arguments that computes, and returns an array, or a tuple of a value, a
gradient, and whatever keeps the graph alive. ``finish`` in the file makes a NumPy array
of what a step returns, and waits for it.
"""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

MODELS = ("training", "memory")
ALL = (*MODELS, "chain", "softmax")
MAPPED = "mapped"
PROGRAM = "program"
ARMS = ("softmax", "rules")


@dataclass(frozen=True)
class Peer:
    """A library, or a way to use it."""

    name: str
    title: str
    module: str
    kinds: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """Distributions."""
    options: dict[str, Any] = field(default_factory=dict)
    ours: bool = False
    slow: bool = False
    """It compiles for long: left out of a quick run."""

    def missing(self) -> str | None:
        """Return what is not installed, if anything."""
        for distribution in self.needs:
            try:
                version(distribution)
            except PackageNotFoundError:
                return distribution
        if "compiled" in self.options and self.ours and not captures():
            return "tensorgrad.compile"
        return None

    def load(self) -> Any:
        """Import the file, and with it the library."""
        return importlib.import_module(self.module)

    def step(self, module: Any, case: Any) -> Callable[[], Any]:
        """Return a new step of a case."""
        made: Callable[[], Any] = getattr(module, case.function)(case, **self.options)
        return made


def captures() -> bool:
    """Whether this tensorgrad has tg.compile."""
    import tensorgrad

    return hasattr(tensorgrad, "compile")


def _peer(name: str, title: str, file: str, *args: Any, **others: Any) -> Peer:
    return Peer(name, title, f"benchmarks.peers.{file}", *args, **others)


PEERS = {
    peer.name: peer
    for peer in (
        _peer(
            "eager", "tensorgrad eager", "engine", (*ALL, MAPPED, PROGRAM), ours=True
        ),
        _peer(
            "replay",
            "tensorgrad compiled, NumPy",
            "engine",
            (*MODELS, MAPPED, PROGRAM),
            options={"compiled": "numpy"},
            ours=True,
        ),
        _peer(
            "fused",
            "tensorgrad compiled, fused",
            "engine",
            (*MODELS, MAPPED, PROGRAM),
            ("llvmlite",),
            options={"compiled": "kernels"},
            ours=True,
        ),
        _peer(
            "xla",
            "tensorgrad compiled, XLA",
            "engine",
            MODELS,
            ("jax",),
            options={"compiled": "xla"},
            ours=True,
        ),
        _peer(
            "turns",
            "tensorgrad in a loop",
            "engine",
            (MAPPED,),
            options={"looped": True},
        ),
        _peer("loop", "Jacobians in a loop", "arms", ARMS, options={"arm": "loop"}),
        _peer("separate", "separate rules", "arms", ARMS, options={"arm": "separate"}),
        _peer("one", "one fused rule", "arms", ("rules",), options={"arm": "fused"}),
        _peer("hand", "NumPy by hand", "handwritten", MODELS),
        _peer("products", "its matrix products alone", "products", ("training",)),
        _peer("torch", "PyTorch eager", "pytorch", (*ALL, MAPPED), ("torch",)),
        _peer(
            "torch-compile",
            "PyTorch compiled",
            "pytorch",
            MODELS,
            ("torch",),
            options={"compiled": True},
            slow=True,
        ),
        _peer(
            "jax", "JAX jit", "jax_jit", (*MODELS, "softmax", MAPPED, PROGRAM), ("jax",)
        ),
        _peer("mygrad", "MyGrad", "my_grad", ALL, ("mygrad",)),
        _peer(
            "autograd", "HIPS autograd", "hips_autograd", (*ALL, PROGRAM), ("autograd",)
        ),
        _peer("raxis", "Raxis", "raxis_cpu", ALL, ("raxis",)),
        _peer(
            "scikit-learn",
            "scikit-learn, partial_fit",
            "scikit_learn",
            ("training",),
            ("scikit-learn",),
        ),
        _peer("tinygrad", "tinygrad jit", "tiny_grad", MODELS, ("tinygrad",)),
    )
}


def chosen(names: Iterable[str]) -> list[Peer]:
    """Return the peers of these names."""
    for name in names:
        if name not in PEERS:
            known = ", ".join(PEERS)
            raise ValueError(f"expected a peer among {known}, got {name!r}")
    return [PEERS[name] for name in names]
