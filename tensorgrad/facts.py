"""Facts about NumPy's functions: one table, a line for each.

A line serves NumPy's function and the method of arrays of the same name. Whoever reads
programs or writes formulas asks here: recording, replay, kernels, explanations.
"""

from __future__ import annotations

import ast
import functools
import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

Function: TypeAlias = Callable[..., Any]

Kind: TypeAlias = Literal[
    "elementwise",
    "reduction",
    "cumulative",
    "copy",
    "shape",
    "joining",
    "indexing",
    "linear algebra",
    "question",
    "other",
]
"""What a function does, as far as it matters to readers of programs.

"elementwise": each element of the result comes from those at its place in the broadcast
operands. "shape": the same elements in another shape, often as a view. "joining": the
elements of several arrays in one. "question": the answer depends on shapes and dtypes.
"""


def _never(args: Sequence[Any] | Mapping[str, Any]) -> bool:
    return False


@dataclass(frozen=True)
class Facts:
    """Facts about a function.

    Attributes
    ----------
    name : str
        NumPy's name for it.
    kind : Kind
    arguments : str
        Their names, with defaults: ``"a axis=None"``. Operands of elementwise functions
        come before ``out``.
    out : bool
        Whether it takes ``out=``, and gives the same bits with it.
    sign : str
        The operator between its two operands.
    element : str
        The expression of an element in a kernel, with braces for the operands; empty
        where kernels do not compute it.
    rounded : bool
        The last bits of what kernels compute may differ from NumPy's.
    costly : bool
        An element takes kernels long, and NumPy may have vector instructions.
    real : bool
        In kernels it is computed for floating operands only.
    join : str
        The function that joins two elements in a kernel that reduces.
    reduction : str
        What its ``reduce`` is called.
    power : float, optional
        NumPy computes ``x ** power`` by it.
    rows : bool
        NumPy's loop over vectors is for two arrays, not for an array and a number.
    scalars : bool
        The last bits differ between NumPy's scalars and its arrays.
    rereads : bool
        It reads its operands after it has written to ``out``.
    weak : bool
        Its operation computes in the same way whatever Python number it is given.
    writes : callable
        Given the arguments by name, whether it writes to the first.
    counted : callable
        Given the arguments, whether values say how many elements the result has.
    functions : tuple of callable
        What it is, where that is not NumPy's function and method of that name.
    """

    name: str
    kind: Kind = "other"
    arguments: str = ""
    out: bool = False
    sign: str = ""
    element: str = ""
    rounded: bool = False
    costly: bool = False
    real: bool = False
    join: str = ""
    reduction: str = ""
    power: float | None = None
    rows: bool = False
    scalars: bool = False
    rereads: bool = False
    weak: bool = False
    writes: Callable[[Mapping[str, Any]], bool] = _never
    counted: Callable[[Sequence[Any]], bool] = _never
    functions: tuple[Function, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of the arguments."""
        return _parsed(self.arguments)[0]

    @property
    def operands(self) -> int:
        """How many arguments come before ``out``."""
        return self.names.index("out") if "out" in self.names else len(self.names)

    def bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments by name, with defaults; those without a name by position.

        Examples
        --------
        >>> import numpy as np
        >>> facts_of(np.sum).bound((3.0,), {"keepdims": True})
        {'a': 3.0, 'keepdims': True, 'axis': None, 'dtype': None, 'out': None}
        """
        names, defaults = _parsed(self.arguments)
        several = bool(names) and names[-1].startswith("*")
        first = len(names) - several
        by_name = {**dict(zip(names[:first], args, strict=False)), **kwargs}
        rest: dict[str, Any] = {f"{i}": args[i] for i in range(first, len(args))}
        if several:
            rest = {names[-1][1:]: _unpacked(args[first:])}
        return by_name | rest | {k: v for k, v in defaults.items() if k not in by_name}


def _unpacked(args: Sequence[Any]) -> Sequence[Any]:
    """Return the items of ``f(*items)`` and ``f(items)`` alike, none of ``f(None)``."""
    if len(args) == 1 and (args[0] is None or isinstance(args[0], tuple | list)):
        return args[0] or ()
    return args


@functools.cache
def _parsed(arguments: str) -> tuple[list[str], dict[str, Any]]:
    """Return the names of arguments, and the defaults of those that have one."""
    items = [item.partition("=") for item in arguments.split()]
    defaults = {name: ast.literal_eval(text) for name, sign, text in items if sign}
    return [name for name, _, _ in items], defaults


def facts_of(function: Function) -> Facts:
    """Return the facts about a function of NumPy, a method or an operator.

    Examples
    --------
    >>> import numpy as np
    >>> facts_of(np.add.reduce).name, facts_of(np.hypot).kind
    ('sum', 'elementwise')
    """
    try:
        return KNOWN.get(function) or _derived(function)
    except TypeError:  # It cannot be hashed.
        return _derived(function)


def is_elementwise(function: Function) -> bool:
    """Whether it is a ufunc of elements: not a matrix product."""
    return isinstance(function, np.ufunc) and function.signature is None


def named(name: str) -> Facts:
    """Return the facts under NumPy's name for a function."""
    return _NAMED.get(name) or Facts(name)


def described(function: Function) -> Facts:
    """Return the facts about a function to print, also if it is wrapped."""
    function = inspect.unwrap(function, stop=_is_known)
    known = facts_of(function)
    return known if known.arguments else replace(known, arguments=_signature(function))


def _is_known(function: Function) -> bool:
    return facts_of(function).kind != "other"


def _derived(function: Function) -> Facts:
    name = getattr(function, "__name__", type(function).__name__)
    ufunc = getattr(function, "__self__", None)
    if isinstance(function, np.ufunc):
        return _of_ufunc(function)
    if isinstance(ufunc, np.ufunc) and name == "reduce":
        return _of_reduce(ufunc)
    if isinstance(ufunc, np.ufunc) and name == "accumulate":
        return Facts(f"{ufunc.__name__}.accumulate", "cumulative", _SCANNED, out=True)
    if getattr(function, "__module__", "") == "numpy.linalg":
        return Facts(f"linalg.{name}", "linear algebra")
    return Facts(name)


@functools.cache
def _of_reduce(ufunc: np.ufunc) -> Facts:
    known = facts_of(ufunc)
    name = known.reduction or f"{ufunc.__name__}.reduce"
    return Facts(name, "reduction", _REDUCED, out=True, join=known.join)


@functools.cache
def _of_ufunc(ufunc: np.ufunc) -> Facts:
    kind: Kind = "linear algebra" if ufunc.signature else "elementwise"
    operands = " ".join(f"x{i + 1}" for i in range(ufunc.nin))
    return Facts(ufunc.__name__, kind, f"{operands} out=None", out=True)


def _signature(function: Function) -> str:
    """Return the names of the arguments of a function with a signature."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    unnamed = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    plain = (p.replace(annotation=p.empty, default=p.empty) for p in parameters)
    return " ".join(str(p) for p in plain if p.kind not in unnamed)


def _always(args: Sequence[Any] | Mapping[str, Any]) -> bool:
    return True


def _if_overwriting(arguments: Mapping[str, Any]) -> bool:
    return bool(arguments["overwrite_input"])


def _if_uncopied(arguments: Mapping[str, Any]) -> bool:
    return not arguments["copy"]


def _if_alone(args: Sequence[Any]) -> bool:
    return len(args) == 1


def _if_array(args: Sequence[Any]) -> bool:
    return hasattr(args[1], "dtype")


def _if_mask(args: Sequence[Any]) -> bool:
    index = args[1]
    if isinstance(index, tuple | list):
        return any(_if_mask((args[0], item)) for item in index)
    return hasattr(index, "dtype") and index.dtype.kind == "b"


_REDUCED = "a axis=0 dtype=None out=None keepdims=False"
_SCANNED = "a axis=0 dtype=None out=None"
_TWO, _ONE = "x1 x2 out=None", "x1 out=None"
_SUM = "a axis=None dtype=None out=None keepdims=False"
_MAX = "a axis=None out=None keepdims=False"
_CUMSUM = "a axis=None dtype=None out=None"
_FAR: Any = {"real": True, "costly": True, "rounded": True}
_SCALE: Any = {"real": True, "rounded": True}
_EXTREMUM: Any = {"real": True, "rows": True, "weak": True}


def _ufunc(name: str, element: str = "", arguments: str = _TWO, **more: Any) -> Facts:
    return Facts(name, "elementwise", arguments, out=True, element=element, **more)


def of_elements(name: str) -> Facts:
    """Return the facts about a function of two operands, which kernels know by name."""
    more = {"real": True, "rereads": True}
    return _ufunc(name, f"{name}({{}}, {{}})", "a b out=None", **more)


def _infix(name: str, sign: str, **more: Any) -> Facts:
    return _ufunc(name, f"({{}} {sign} {{}})", sign=sign, **more)


def _one(name: str, element: str, **more: Any) -> Facts:
    return _ufunc(name, element, _ONE, **more)


def _rounded(name: str) -> Facts:
    return _one(name, f"{name}({{}})", rounded=True)


def _costly(name: str) -> Facts:
    return replace(_rounded(name), costly=True)


def _operator(name: str, sign: str, function: Function, **more: Any) -> Facts:
    functions = (function,)
    kind: Kind = "elementwise"
    return Facts(
        name, kind, "x1 x2", sign=sign, scalars=True, functions=functions, **more
    )


def _reduction(name: str, arguments: str = "a axis=None", **more: Any) -> Facts:
    return Facts(name, "reduction", arguments, **more)


def _shape(name: str, arguments: str, **more: Any) -> Facts:
    return Facts(name, "shape", arguments, **more)


def _index(name: str, arguments: str, **more: Any) -> Facts:
    return Facts(name, "indexing", arguments, **more)


def _linear(name: str, arguments: str, **more: Any) -> Facts:
    return Facts(name, "linear algebra", arguments, **more)


def _question(name: str) -> Facts:
    return Facts(name, "question")


def _order(name: str, arguments: str) -> Facts:
    arguments += " out=None overwrite_input=False"
    return Facts(name, arguments=arguments, writes=_if_overwriting)


def _counted(name: str) -> Facts:
    return Facts(name, counted=_always)


_LOGADDEXP = (
    "({0} + 0.6931471805599453 if {0} == {1}"
    " else larger({0}, {1}) + log1p(exp(-abs({0} - {1}))))"
)
"""log(exp(a) + exp(b)); the first for equal infinities too."""

_SIGN = "({0} + 0.0 if ({0} != {0}) | ({0} == 0) else copysign(1.0, {0}))"
_HEAVISIDE = "({1} if {0} == 0 else ({0} if {0} != {0} else copysign(0.5, {0}) + 0.5))"
_RADIANS, _DEGREES = ("deg2rad", "radians"), ("rad2deg", "degrees")

COSTLY = (
    *("exp2", "log2", "log10", "cbrt"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan"),
    *("sinh", "cosh", "arcsinh", "arccosh", "arctanh"),
)
"""Functions of one number for which kernels call C's library."""

TABLE = (
    _infix("add", "+", join="plus", reduction="sum", weak=True),
    _infix("subtract", "-", weak=True),
    _infix("multiply", "*", reduction="prod", weak=True),
    _infix("divide", "/", weak=True),
    _infix("less", "<"),
    _infix("less_equal", "<="),
    _infix("greater", ">"),
    _infix("greater_equal", ">="),
    _infix("equal", "=="),
    _infix("not_equal", "!="),
    _ufunc("power", "power({}, {})", sign="**", **_FAR),
    _ufunc("floor_divide", sign="//"),
    _ufunc("remainder", sign="%"),
    _operator("power", "**", operator.pow, element="power({}, {})", **_FAR),
    _operator("floor_divide", "//", operator.floordiv),
    _operator("remainder", "%", operator.mod),
    _operator("divmod", "", divmod),
    Facts("power", arguments="x1 x2", writes=_always, functions=(operator.ipow,)),
    _ufunc("logical_and", "(({} != 0) & ({} != 0))", reduction="all"),
    _ufunc("logical_or", "(({} != 0) | ({} != 0))", reduction="any"),
    _ufunc("maximum", "larger({}, {})", reduction="max", join="larger", **_EXTREMUM),
    _ufunc("minimum", "smaller({}, {})", reduction="min", join="smaller", **_EXTREMUM),
    _one("logical_not", "({} == 0)"),
    _infix("bitwise_and", "&"),
    _infix("bitwise_or", "|"),
    _infix("bitwise_xor", "^"),
    _one("invert", "invert({})"),
    _one("negative", "(-{})", real=True),
    _one("absolute", "abs({})", real=True),
    _one("positive", "{}", power=1),
    _one("square", "({0} * {0})", real=True, power=2),
    _one("sqrt", "sqrt({})", power=0.5),
    _one("reciprocal", "(1.0 / {})", real=True, power=-1),
    _one("isnan", "({0} != {0})", real=True),
    _one("isinf", "(abs({}) == inf)", real=True),
    _one("isfinite", "(abs({}) < inf)", real=True),
    _one("fabs", "abs({})", real=True),
    _one("sign", _SIGN, real=True),
    _one("signbit", "(copysign(1.0, {}) < 0)", real=True),
    _one("conjugate", "{}", real=True),
    *(_one(name, "({} * 0.017453292519943295)", **_SCALE) for name in _RADIANS),
    *(_one(name, "({} * 57.29577951308232)", **_SCALE) for name in _DEGREES),
    _one("floor", "floor({})", real=True),
    _one("ceil", "ceil({})", real=True),
    _one("trunc", "trunc({})", real=True),
    _one("rint", "rint({})", real=True),
    *map(_rounded, ("exp", "expm1", "log", "log1p", "tanh")),
    *map(_costly, COSTLY),
    _ufunc("heaviside", _HEAVISIDE, real=True),
    _ufunc("copysign", "copysign({}, {})", real=True),
    _ufunc("arctan2", "arctan2({}, {})", **_FAR),
    _ufunc("logaddexp", _LOGADDEXP, real=True, rounded=True),
    _ufunc("hypot", "hypot({}, {})", **_FAR),
    Facts(
        "where",
        "elementwise",
        "condition x y",
        element="({1} if {0} else {2})",
        counted=_if_alone,
    ),
    _ufunc("clip", "smaller(larger({}, {}), {})", "a min max out=None", real=True),
    _reduction("sum", _SUM, out=True, join="plus"),
    _reduction("prod", _SUM, out=True),
    _reduction("max", _MAX, out=True, join="larger"),
    _reduction("min", _MAX, out=True, join="smaller"),
    _reduction("mean"),
    _reduction("std"),
    _reduction("var"),
    _reduction("argmax"),
    _reduction("argmin"),
    Facts("cumsum", "cumulative", _CUMSUM, out=True),
    Facts("cumprod", "cumulative", _CUMSUM, out=True),
    Facts("copy", "copy", "a"),
    Facts("ascontiguousarray", "copy", "a"),
    Facts("astype", "copy", "a dtype", functions=(np.ndarray.astype,)),
    Facts("concatenate", "joining", "arrays axis=0 out=None", out=True),
    Facts("stack", "joining", "arrays axis=0 out=None", out=True),
    _shape("broadcast_to", "a shape"),
    _shape("diagonal", "a offset=0 axis1=0 axis2=1"),
    _shape("expand_dims", "a axis"),
    _shape("flip", "a axis=None"),
    _shape("moveaxis", "a source destination"),
    _shape("ravel", "a"),
    _shape("reshape", "a *shape"),
    _shape("squeeze", "a axis=None"),
    _shape("swapaxes", "a axis1 axis2"),
    _shape("transpose", "a *axes"),
    _shape("view", "a dtype", functions=(np.ndarray.view,)),
    _index("getitem", "a index", counted=_if_mask, functions=(operator.getitem,)),
    Facts(
        "setitem",
        "indexing",
        "a index value",
        writes=_always,
        counted=_if_mask,
        functions=(operator.setitem,),
    ),
    _index("repeat", "a repeats axis=None", counted=_if_array),
    _index("take", "a indices axis=None"),
    _linear("matmul", _TWO, out=True, sign="@"),
    _linear("matmul", "x1 x2", sign="@", functions=(operator.matmul,)),
    _linear("dot", "a b"),
    _linear("einsum", "subscripts *operands"),
    _linear("inner", "a b"),
    _linear("outer", "a b"),
    _linear("tensordot", "a b axes=2"),
    _question("can_cast"),
    _question("common_type"),
    _question("iscomplexobj"),
    _question("isrealobj"),
    _question("may_share_memory"),
    _question("min_scalar_type"),
    _question("ndim"),
    _question("result_type"),
    _question("shape"),
    _question("size"),
    _counted("argwhere"),
    _counted("compress"),
    _counted("extract"),
    _counted("flatnonzero"),
    _counted("intersect1d"),
    _counted("nonzero"),
    _counted("setdiff1d"),
    _order("median", "a axis=None"),
    _order("nanmedian", "a axis=None"),
    _order("percentile", "a q axis=None"),
    _order("nanpercentile", "a q axis=None"),
    _order("quantile", "a q axis=None"),
    _order("nanquantile", "a q axis=None"),
    Facts("nan_to_num", arguments="x copy=True", writes=_if_uncopied),
    Facts("copyto", arguments="dst src", writes=_always),
    Facts("put", arguments="a ind v", writes=_always),
    Facts("place", arguments="arr mask vals", writes=_always),
    Facts("putmask", arguments="a mask values", writes=_always),
    Facts("fill_diagonal", arguments="a val", writes=_always),
    Facts("put_along_axis", arguments="arr indices values", writes=_always),
    _counted("setxor1d"),
    _counted("trim_zeros"),
    _counted("union1d"),
    _counted("unique"),
    _counted("unique_all"),
    _counted("unique_counts"),
    _counted("unique_inverse"),
    _counted("unique_values"),
)
"""The facts, a line for each function."""


def _functions(facts: Facts) -> list[Function]:
    if facts.functions:
        return list(facts.functions)
    candidates = (getattr(home, facts.name, None) for home in (np, np.ndarray))
    return [function for function in candidates if callable(function)]


KNOWN = {function: facts for facts in TABLE for function in _functions(facts)}
"""The facts by function."""

_NAMED = {facts.name: facts for facts in reversed(TABLE)}
POWERS = {f.power: _functions(f)[0] for f in TABLE if f.power is not None}
"""What NumPy computes for an array to the power of these Python numbers."""
SIGNS = {facts.name: facts.sign for facts in TABLE if facts.sign}
"""The operators that stand for functions of two operands."""
