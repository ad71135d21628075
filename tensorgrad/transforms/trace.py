"""One recorded call of a function, and the passes back through it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.backward import differentiate, interior
from ..core.errors import GradientWarning
from ..core.mode import enable_grad, is_grad_enabled
from ..core.node import clock
from ..core.place import user_level
from ..core.primitive import primitive
from ..core.tensor import Tensor, as_array, detached, wrap
from ..core.tree import leaves, mapped, nest, refilled
from .batched import Batched

Seeds = Mapping[Any, Any]


@primitive
def entered(x):  # type: ignore[no-untyped-def]
    """The argument of an inner transform, distinct from that of the outer one."""
    return x


entered.vjp(x=lambda g: g)


class Pullback:
    """The passes back to some tensors from what was computed of them.

    Attributes
    ----------
    inputs : list of Tensor
        What to differentiate in.
    primals : list
        What the caller passed for each: its gradient is of the same kind.
    in_graph : bool
        Whether gradients are to stay in the graph of tensors outside.
    """

    def __init__(
        self, inputs: list[Tensor], primals: list[Any], in_graph: bool
    ) -> None:
        self.inputs = inputs
        self.primals = primals
        self.in_graph = in_graph
        self.targets: dict[Any, None] = {t.node: None for t in inputs}

    def pull(self, seeds: Seeds, *, once: bool = False) -> list[Any]:
        """Return the gradient of <seed, root> in each input, zeros where unreached.

        With `once` the graph is freed on the way, where nothing else needs it.
        """
        if self.in_graph or any(map(tracked, seeds.values())):
            tensors = self.recorded(seeds)
            pairs = zip(self.targets, self.inputs, strict=True)
            return [tensors.get(n, _zeros(t)) for n, t in pairs]
        arrays = {n: detached(g) for n, g in seeds.items()}
        gradients = differentiate(arrays, targets=self.targets, retain_graph=not once)
        return [
            _in_kind(gradients.get(n, np.zeros_like(detached(t))[()]), primal)
            for n, t, primal in zip(
                self.targets, self.inputs, self.primals, strict=True
            )
        ]

    def recorded(self, seeds: Seeds) -> dict[Any, Tensor]:
        """Return the gradient at the nodes of the inputs, as tensors in the graph."""
        lifted = {
            n: g if type(g) is Tensor else wrap(g, None) for n, g in seeds.items()
        }
        with enable_grad():
            gradients = differentiate(
                lifted, targets=self.targets, lift=wrap, retain_graph=True
            )
        # A hook may have kept a gradient; of this one nobody else knows.
        spare: Any = object()
        gradients[spare] = wrap(np.zeros(1), None)
        known = {n: sys.getrefcount(g) for n, g in gradients.items()}
        usual, only = known.pop(spare), _references(gradients.pop(spare), "_value")
        return {
            n: wrap(
                _owned(gradients[n], only if count == usual else 0), gradients[n].node
            )
            for n, count in known.items()
        }


def _references(holder: Any, name: str) -> int:
    return sys.getrefcount(getattr(holder, name))


def _owned(g: Tensor, only: int) -> Any:
    """Return the array of a gradient, copied unless there are only so many references.

    A rule may return what it was given, or what is saved for another pass. Memory that
    lies otherwise than a copy would is copied too: sums of it have other bits.
    """
    holder, name = g, "_value"
    while _references(holder, name) == only:
        if type(getattr(holder, name)) is Batched:
            holder, name = getattr(holder, name), "array"
            continue
        x = getattr(holder, name)
        is_plain = type(x) is np.ndarray and x.flags.owndata and x.flags.c_contiguous
        return g._value if is_plain else g._value.copy()
    return g._value.copy()


def _zeros(tensor: Tensor) -> Tensor:
    return wrap(np.zeros_like(detached(tensor))[()], None)


def _in_kind(value: Any, primal: Any) -> Any:
    """Return an array as what the caller passed: tensor, array or number."""
    if type(primal) is Tensor:
        return wrap(value, None)
    return as_array(value) if isinstance(primal, np.ndarray) else value[()]


class Trace:
    """A call of `f` with the arguments numbered `argnums` as fresh tensors.

    The results are plain arrays for plain arguments, unless they depend on
    tensors that need a gradient outside the call: then it stays in their graph.

    Where passes back are to come `later`, when the caller may have written to what it
    passed and got, the call has copies of its own.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        argnums: Sequence[int],
        name: str,
        *,
        later: bool = False,
    ) -> None:
        start, outer = next(clock), is_grad_enabled()
        self.chosen = tuple(_argument(args, i, name) for i in argnums)
        primals = leaves(self.chosen, nest)
        self.later = later
        inputs = [_enter(x, outer, name, later) for x in primals]
        full = list(args)
        for i, value in zip(argnums, refilled(self.chosen, inputs, nest), strict=True):
            full[i] = value
        with enable_grad():
            self.output = f(*full, **kwargs)
        self.plain = not any(type(x) is Tensor for x in primals)
        self.in_graph = outer and _reach_out(leaves(self.output, nest), start)
        self.back = Pullback(inputs, primals, self.in_graph)

    def result(self, tree: Any) -> Any:
        """Return outputs as the caller should see them."""
        return tree if self.in_graph else mapped(tree, self._plain, nest)

    def _plain(self, x: Any) -> Any:
        if type(x) is not Tensor:
            return x.copy() if self.later and isinstance(x, np.ndarray) else x
        value = detached(x).copy() if self.later else detached(x)
        if not self.plain:
            return wrap(value, None)
        return value if x.ndim else value[()]


def warn_of_constants(output: Any, name: str) -> None:
    """Warn if a function returned numbers or arrays and no tensor at all."""
    outputs = leaves(output, nest)
    if outputs and not any(type(x) is Tensor for x in outputs):
        kind = type(outputs[0]).__name__
        warnings.warn(
            f"{name}: the function returned a plain {kind}, no Tensor, so its "
            "derivative is taken to be zero; a value that depends on the argument "
            "loses that by .item(), .numpy() or .tolist()",
            GradientWarning,
            stacklevel=user_level(),
        )


def _reach_out(outputs: list[Any], start: int) -> bool:
    """Whether outputs depend on what is from before `start` on the engine's clock."""
    roots = [t.node for t in outputs if tracked(t)]
    below = (p for n in interior(roots, since=start) for p in n.parents)
    return any(n.index < start for n in (*roots, *below))


def _argument(args: Sequence[Any], i: int, name: str) -> Any:
    if not -len(args) <= i < len(args):
        raise IndexError(
            f"{name}: argnums {i} is out of range for {len(args)} arguments"
        )
    return args[i]


def _enter(x: Any, outer: bool, name: str, copied: bool) -> Tensor:
    """Return a fresh tensor for an argument, in the outer graph where it is in one."""
    if type(x) is Tensor and x.node is not None and outer:
        with enable_grad():
            inner: Tensor = entered(x)
        return inner
    value = detached(x) if type(x) is Tensor else _floating(x, name)
    tensor = wrap(value.copy() if copied else value, None)
    tensor.requires_grad = True
    return tensor


def tracked(x: Any) -> bool:
    """Whether `x` is a tensor that needs a gradient."""
    return type(x) is Tensor and x.node is not None


def _floating(x: Any, name: str) -> Any:
    value = as_array(float(x) if type(x) is int else x)
    if value.dtype.kind != "f":
        raise TypeError(
            f"{name}: expected floating-point numbers to differentiate in, got "
            f"{value.dtype}; convert with float() or .astype(float)"
        )
    return value if value.ndim else value[()]


def seed_like(cotangent: Any, output: Tensor, name: str) -> Any:
    """Return a cotangent in the dtype of the output it belongs to.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    g = cotangent if type(cotangent) is Tensor else as_array(cotangent)
    if g.shape != output.shape:
        raise ValueError(
            f"{name}: expected a vector of shape {output.shape}, got {g.shape}"
        )
    return g.astype(output.dtype)
