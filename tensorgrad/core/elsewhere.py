"""Names of other libraries that are not names here, and what to write instead."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

_CAST = "x.astype(np.{}) casts"
_DEVICE = "tensors lie on the processor; tg.compile(step, target='xla') uses others"
_AXES = "write np.{}(x, axis), or x[:, None]"

_BOTH = {
    "unsqueeze": _AXES.format("expand_dims"),
    "mm": "write x @ y",
    "bmm": "write x @ y",
    "clamp": "write np.clip(x, low, high)",
    "cat": "write np.concatenate([x, y])",
}
"""For functions that PyTorch has as methods too."""

TENSOR: Mapping[str, str] = _BOTH | {
    "view": "write x.reshape(shape)",
    "permute": "write x.transpose(axes)",
    "t": "write x.T",
    "numel": "write x.size",
    "dim": "write x.ndim",
    "matmul": "write x @ y",
    "sub": "write x - y",
    "div": "write x / y",
    "mul": "write x * y",
    "neg": "write -x",
    "pow": "write x ** y",
    "norm": "write np.linalg.norm(x)",
    "expand": "write np.broadcast_to(x, shape)",
    "masked_fill": "write np.where(mask, value, x)",
    "gather": "write np.take_along_axis(x, index, axis)",
    "topk": "write np.sort(x)[-k:]",
    "to": f"{_DEVICE}; {_CAST.format('float32')}",
    "cpu": _DEVICE,
    "cuda": _DEVICE,
    "device": _DEVICE,
    "float": _CAST.format("float32"),
    "double": _CAST.format("float64"),
    "half": _CAST.format("float16"),
    "long": _CAST.format("int64"),
    "int": _CAST.format("int32"),
    "type": "x.dtype is its type, x.astype(dtype) casts",
    "requires_grad_": "write x.requires_grad = True",
    "is_leaf": "x.node says how it was made",
    "grad_fn": "x.node says how it was made",
    "new_zeros": "write np.zeros(shape, x.dtype)",
}
"""For attributes of a tensor."""

_ARRAYS = "write np.{0}, and tg.Tensor(np.{0}(...)) for a tensor"

PACKAGE: Mapping[str, str] = _BOTH | {
    "from_numpy": "write tg.Tensor(array)",
    "as_tensor": "write tg.Tensor(x)",
    "Variable": "write tg.Tensor(x, requires_grad=True)",
    "manual_seed": "what draws takes rng=, a seed or np.random.default_rng(seed)",
    "randn": "write np.random.default_rng(seed).standard_normal(shape)",
    "rand": "write np.random.default_rng(seed).random(shape)",
    "randint": "write np.random.default_rng(seed).integers(low, high, shape)",
    "save": "write tg.formats.save_weights(path, model)",
    "load": "write tg.formats.load_weights(path, model)",
    "device": _DEVICE,
    "cuda": _DEVICE,
    "jit": "write tg.compile(f)",
    "autograd": "tg.grad, tg.vjp, tg.primitive and tg.gradcheck are what it offers",
    "func": "its functions stand in tg: tg.grad, tg.vjp, tg.jvp, tg.vmap",
    "utils": "write tg.train.Batches(x, y, batch_size=32) for a DataLoader",
    "numpy": "write import numpy as np: its own functions take tensors",
    "jacrev": "write tg.jacobian(f)",
    "jacfwd": "write tg.jacobian(f)",
    "elementwise_grad": "write tg.grad(lambda x: f(x).sum())",
    "set_grad_enabled": "write with tg.no_grad(), or with tg.enable_grad()",
    "inference_mode": "write with tg.no_grad()",
}
"""For names of the package."""

LAYERS: Mapping[str, str] = {
    "Parameter": "write tg.Tensor(x, requires_grad=True): in an attribute it is one",
    "ModuleList": "a list of modules in an attribute is one",
    "ModuleDict": "a dict of modules in an attribute is one",
    "ParameterList": "a list of tensors in an attribute is one",
    "ParameterDict": "a dict of tensors in an attribute is one",
    "Identity": "Sequential takes functions too: lambda x: x",
    "LogSoftmax": "Sequential takes functions too: tg.log_softmax",
    "BCELoss": "write tg.nn.functional.binary_cross_entropy",
    "BCEWithLogitsLoss": "write tg.nn.functional.binary_cross_entropy_with_logits",
    "KLDivLoss": "write tg.nn.functional.kl_div",
    "utils": "tg.optim.clip_grad_norm_ and clip_grad_value_ clip gradients",
    "parallel": "tg.compile(step, target='xla', devices=n) divides the batches",
}
"""For names of `tg.nn`."""

OPTIMIZERS: Mapping[str, str] = {
    "lr_scheduler": "a rate may be a schedule: lr=tg.optim.schedules.cosine(0.1, 100)",
    "swa_utils": "write tg.optim.EMA(parameters)",
}
"""For names of `tg.optim`."""

MODULE: Mapping[str, str] = {
    "cpu": _DEVICE,
    "cuda": _DEVICE,
    "float": "write model.to(np.float32)",
    "double": "write model.to(np.float64)",
    "half": "write model.to(np.float16)",
    "register_parameter": "a tensor in an attribute that needs a gradient is one",
    "add_module": "a module in an attribute is found",
}
"""For attributes of a layer."""

_ONE = "leave it out, there is one implementation"

KEYWORDS: Mapping[str, str] = {
    "dim": "NumPy's name for it is axis",
    "keepdim": "NumPy's name for it is keepdims",
    "betas": "give beta1 and beta2",
    "alpha": "its name is rho",
    "lr_decay": "its name is decay",
    "etas": "give decrease and increase",
    "step_sizes": "give smallest and largest",
    "foreach": _ONE,
    "fused": _ONE,
    "capturable": _ONE,
    "differentiable": _ONE,
}
"""For arguments of methods and optimizers, where these do not take them."""


def check_keywords(what: str, given: Iterable[str], taken: Iterable[str] = ()) -> None:
    """Raise TypeError for an argument of other libraries, with what to write.

    Parameters
    ----------
    what : str
        What was called.
    given, taken : iterable of str
        Names of arguments: those it was given, and those of `KEYWORDS` it knows.
    """
    for name in given:
        if name in KEYWORDS and name not in taken:
            raise TypeError(f"{what} takes no argument {name!r}; {KEYWORDS[name]}")


def no_attribute(of: Any, name: str, known: Mapping[str, str]) -> AttributeError:
    """Return the error for an attribute that is not there, with what to write.

    Parameters
    ----------
    of : object or module
        What was asked for it.
    name : str
    known : mapping of str to str
        The advice for some names; of others it is found where NumPy, the package or
        its `nn.functional` has a function so called.
    """
    module = getattr(of, "__name__", "") if type(of) is type(sys) else ""
    who = f"module {module!r}" if module else f"{type(of).__name__!r} object"
    advice = "" if name.startswith("__") else known.get(name) or _found(name, module)
    text = f"{who} has no attribute {name!r}{'; ' if advice else ''}{advice}"
    return AttributeError(text, name=name, obj=of)


def _found(name: str, module: str) -> str:
    """Return what has a function of that name, or of a name that means the same."""
    package = sys.modules[__package__.partition(".")[0]]
    functional = vars(vars(package).get("nn", package)).get("functional")
    if module == package.__name__:
        of_numpy = getattr(np, name, None)
        if isinstance(of_numpy, type):
            return f"write np.{name}"
        return _ARRAYS.format(name) if callable(of_numpy) else ""
    if module:
        found = [f for f in _functions_of(name) if hasattr(functional, f)]
        return f"write tg.nn.functional.{found[0]}" if found else ""
    if name.endswith("_") and not name.startswith("_"):
        return "write x[...] = new in tg.no_grad(), or x = new for a gradient"
    return _function(name, functional, package)


def _functions_of(name: str) -> Iterator[str]:
    """Yield what PyTorch may call the function of a layer or a loss."""
    if name != name.lower():
        boundary = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
        snake = re.sub(boundary, "_", name.rstrip("123d")).lower()
        yield from (snake, snake.removesuffix("_loss"), name.lower())


def _function(name: str, functional: Any, package: Any) -> str:
    for where, holder in (
        ("np", np),
        ("np.linalg", np.linalg),
        ("tg", package),
        ("tg.nn.functional", functional),
    ):
        found = vars(holder).get(name) if holder else None
        if callable(found) and not isinstance(found, type):
            return f"write {where}.{name}(x)"
    return ""


def of_module(module: str, known: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``."""

    def missing(name: str) -> Any:
        raise no_attribute(sys.modules[module], name, known)

    return missing


def of_class(known: Mapping[str, str]) -> Callable[[Any, str], Any]:
    """Return a class's ``__getattr__``."""

    def missing(self: Any, name: str) -> Any:
        if hasattr(type(self), name):
            # A property, which has raised an AttributeError of its own.
            return object.__getattribute__(self, name)
        raise no_attribute(self, name, known)

    return missing
