"""What owns parameters and can be called: the base class of layers and models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from reprlib import recursive_repr
from textwrap import indent
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..core import elsewhere
from ..core.foreign import values
from ..core.mode import no_grad
from ..core.tensor import Tensor, detached
from ..core.tree import nest
from ..core.types import Forward, Operand, Q, R
from .summary import Summary, summarise

if TYPE_CHECKING:
    from typing import Self


class Difference(NamedTuple):
    """Names in which a state and a module differ.

    Attributes
    ----------
    missing : list of str
        Tensors of the module that are not in the state.
    unexpected : list of str
        Names in the state that the module does not have.
    """

    missing: list[str]
    unexpected: list[str]


class Module:
    """Something with parameters that can be called.

    Subclasses set tensors and modules as attributes, also nested in lists, tuples,
    dicts and dataclasses, and define ``forward``; what is set is found, in that order.
    A tensor that needs a gradient is a parameter, any other a buffer: it is saved with
    the parameters, and not trained. A parameter can be replaced by another one or by
    None, but not by what has no gradient.

    Attributes
    ----------
    training : bool
        Whether the layers that differ, dropout and batch normalisation, compute as in
        training; set by `train` and `eval`.
    """

    training = True

    # A subclass says what it takes and returns.
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; defined by each subclass.

        Parameters
        ----------
        *args, **kwargs : as a subclass says
            As a rule one argument, a batch of samples, one a row.

        Returns
        -------
        Tensor or ndarray
            A Tensor where the module has parameters or an argument is one.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")

    def __call__(self: Forward[Q, R], *args: Q.args, **kwargs: Q.kwargs) -> R:
        """Return the output of `forward`."""
        return self.forward(*args, **kwargs)

    # What it consists of.

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield the name and tensor of each parameter, each tensor once.

        Names are attribute names and positions joined by dots: ``layers.0.weight``.

        Parameters
        ----------
        prefix : str
            Put before every name.

        Yields
        ------
        name : str
            The path to the parameter.
        tensor : Tensor
            The parameter itself.
        """
        for name, tensor in self._tensors(prefix):
            if tensor.requires_grad:
                yield name, tensor

    def parameters(self) -> list[Tensor]:
        """Return the parameters in the order they were set.

        Returns
        -------
        list of Tensor
            Each once, for an optimizer.
        """
        return [tensor for _, tensor in self.named_parameters()]

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield the name and tensor of each buffer: of what needs no gradient.

        Parameters
        ----------
        prefix : str
            Put before every name.

        Yields
        ------
        name : str
            The path to the buffer.
        tensor : Tensor
            The buffer itself.
        """
        for name, tensor in self._tensors(prefix):
            if not tensor.requires_grad:
                yield name, tensor

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield the path and module of this module and of all inside, each once.

        Parameters
        ----------
        prefix : str
            Put before every path.

        Yields
        ------
        path : str
            As of parameters; this module's own is the prefix.
        module : Module
            The module itself.
        """
        yield prefix.removesuffix("."), self
        for path, item in self._inside(prefix, {id(self)}):
            if isinstance(item, Module):
                yield path, item

    def modules(self) -> list[Module]:
        """Return this module and all inside.

        Returns
        -------
        list of Module
            Each once, those outside first.
        """
        return [module for _, module in self.named_modules()]

    def children(self) -> list[Module]:
        """Return the modules that are set here, without those inside them.

        Returns
        -------
        list of Module
            Each once, in the order they were set.
        """
        found = {id(m): m for _, m in self._members() if isinstance(m, Module)}
        return list(found.values())

    def register_buffer(self, name: str, value: ArrayLike | Tensor) -> None:
        """Set a tensor that is saved with the parameters and not trained.

        Parameters
        ----------
        name : str
            Of the attribute.
        value : array_like or Tensor
            Copied.

        Raises
        ------
        TypeError
            If a parameter has that name.
        """
        setattr(self, name, Tensor(detached(value)))

    def _tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for path, item in self._inside(prefix, {id(self)}):
            if isinstance(item, Tensor):
                yield path, item

    def _inside(
        self, prefix: str, seen: set[int]
    ) -> Iterator[tuple[str, Module | Tensor]]:
        """Yield the path and value of each module and tensor at any depth, once."""
        for name, item in self._members():
            if id(item) in seen:
                continue
            seen.add(id(item))
            yield f"{prefix}{name}", item
            if isinstance(item, Module):
                yield from item._inside(f"{prefix}{name}.", seen)

    def _members(self) -> Iterator[tuple[str, Module | Tensor]]:
        """Yield the name and value of each module and tensor that is set here."""
        for name, value in vars(self).items():
            yield from _members(name, value)

    # What is changed in all of it.

    def train(self, mode: bool = True) -> Self:
        """Let dropout and batch normalisation compute as in training.

        Parameters
        ----------
        mode : bool
            False is `eval`.

        Returns
        -------
        Module
            This one.
        """
        for module in self.modules():
            # As it began, where a compiled step may have seen it: without its own.
            vars(module).pop("training", None)
            if not mode:
                module.training = False
        return self

    def eval(self) -> Self:
        """Let dropout and batch normalisation compute as in use.

        Returns
        -------
        Module
            This one.
        """
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze the parameters, or let those train that this has frozen.

        Parameters
        ----------
        requires_grad : bool
            False makes constants of the parameters. True makes parameters again of
            what was frozen so, here or in a module around this one, not of buffers.

        Returns
        -------
        Module
            This one.
        """
        for module in self.modules():
            frozen: set[str] = vars(module).setdefault("_frozen", set())
            for name, item in module._members():
                if not isinstance(item, Tensor):
                    continue
                if not requires_grad and item.requires_grad:
                    frozen.add(name)
                    item.requires_grad = False
                elif requires_grad and name in frozen:
                    frozen.remove(name)
                    item.requires_grad = True
        return self

    def to(self, dtype: DTypeLike) -> Self:
        """Cast every floating-point parameter and buffer; gradients are dropped.

        Make the optimizer afterwards: its state has the dtype of the parameters.

        Parameters
        ----------
        dtype : dtype
            Floating point.

        Returns
        -------
        Module
            This one, with the same tensors.

        Raises
        ------
        TypeError
            If `dtype` is not floating point.
        """
        if dtype in ("cpu", "cuda"):
            raise TypeError(f"Module.to: {elsewhere.MODULE[str(dtype)]}")
        kind = np.dtype(dtype)
        if kind.kind != "f":
            raise TypeError(f"Module.to: expected a floating-point dtype, got {kind}")
        for _, tensor in self._tensors():
            if tensor.dtype.kind == "f" and tensor.dtype != kind:
                trained = tensor.requires_grad
                tensor.requires_grad, tensor.grad = False, None
                tensor._value = tensor.numpy().astype(kind)
                tensor.requires_grad = trained
        return self

    # Saving.

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return copies of all parameters and buffers, by name.

        Returns
        -------
        dict of str to ndarray
            For `load_state_dict`, or ``np.savez(file, **state)``.
        """
        return {name: tensor.numpy().copy() for name, tensor in self._tensors()}

    def load_state_dict(
        self, state: Mapping[str, ArrayLike | Tensor], strict: bool = True
    ) -> Difference:
        """Write values into the parameters and buffers of these names.

        Parameters
        ----------
        state : mapping of str to array_like
            As `state_dict` returns it.
        strict : bool
            Whether the names must be those of this module; otherwise those that are
            not are left out.

        Returns
        -------
        Difference
            The names that are missing, and those that are unexpected.

        Raises
        ------
        ValueError
            If names, shapes or dtypes do not match. Nothing has been written then.
        """
        own = dict(self._tensors())
        given = {
            name: np.asarray(values(detached(value), "load_state_dict"))
            for name, value in state.items()
            if name in own
        }
        difference = Difference(
            [name for name in own if name not in given],
            [name for name in state if name not in own],
        )
        faults = [*_mismatches(own, given), *(_listed(difference) if strict else ())]
        if faults:
            name = type(self).__name__
            raise ValueError(f"{name}.load_state_dict: {'; '.join(faults)}")
        with no_grad():
            for name, value in given.items():
                own[name][...] = value
        return difference

    def summary(self, *example: Operand) -> Summary:
        """Return a table of the layers: output shapes, parameters, multiplications.

        Parameters
        ----------
        *example : array_like or Tensor
            What the module is called with, once, as in use and without gradients.

        Returns
        -------
        Summary
            Shown as a table; `parameters`, `multiplications` and `bytes` are totals.

        Examples
        --------
        >>> import numpy as np
        >>> import tensorgrad as tg
        >>> model = tg.nn.Sequential(tg.nn.Dense(2, 64), tg.nn.ReLU())
        >>> model.summary(np.ones((300, 2), np.float32))
        layer     kind        output     parameters  multiplications    bytes
                  Sequential  (300, 64)           0                0        0
        layers.0  Dense       (300, 64)         192           38,400   77,568
        layers.1  ReLU        (300, 64)           0                0   76,800
        total                                   192           38,400  154,368
        """
        trained = [module for module in self.modules() if module.training]
        try:
            with no_grad():
                return summarise(self.eval(), example)
        finally:
            for module in trained:
                del module.training

    if not TYPE_CHECKING:  # A checker would take any attribute to be there.
        __getattr__ = elsewhere.of_class(elsewhere.MODULE)

    def __setattr__(self, name: str, value: Any) -> None:
        old = vars(self).get(name)
        lost = isinstance(value, np.ndarray) or (
            isinstance(value, Tensor) and not value.requires_grad
        )
        if lost and isinstance(old, Tensor) and old.requires_grad:
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter, and a "
                f"{type(value).__name__} without requires_grad in its place would not "
                f"be trained; write {name}[...] = value inside tg.no_grad(), or set it "
                "to None first"
            )
        super().__setattr__(name, value)

    @recursive_repr()
    def __repr__(self) -> str:
        shown = (f"{name}: {_shown(item)}\n" for name, item in self._members())
        lines = indent("".join(shown), "  ")
        return f"{type(self).__name__}(" + (lines and f"\n{lines}") + ")"


def _members(path: str, value: Any) -> Iterator[tuple[str, Module | Tensor]]:
    if isinstance(value, Module | Tensor):
        yield path, value
    elif kind := nest(value):
        for key, item in zip(kind.keys(value), kind.values(value), strict=True):
            yield from _members(f"{path}.{key}", item)
    elif isinstance(value, set | frozenset) and any(
        isinstance(item, Module | Tensor) for item in value
    ):
        raise TypeError(
            f"{path} is a {type(value).__name__} of layers or tensors, which has no "
            "order to name and train them in; use a list"
        )


def _shown(item: Module | Tensor) -> str:
    if isinstance(item, Module):
        return repr(item)
    what = "parameter" if item.requires_grad else "constant"
    return f"{what} of shape {item.shape}, {item.dtype}"


def _mismatches(
    own: Mapping[str, Tensor], given: Mapping[str, np.ndarray[Any, Any]]
) -> Iterator[str]:
    for name, value in given.items():
        tensor = own[name]
        if (value.shape, value.dtype) != (tensor.shape, tensor.dtype):
            yield (
                f"{name} is of shape {tensor.shape} and {tensor.dtype}, got "
                f"{value.shape} and {value.dtype}"
            )


def _listed(difference: Difference) -> Iterator[str]:
    for what, names in difference._asdict().items():
        if names:
            yield f"{what} {', '.join(names)}"
