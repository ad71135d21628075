"""What takes numbers, given tensors that need a gradient: each function of the modules
below, in each place of a call, raises or keeps the gradient, which is right then.

The functions are those that the modules have today, so new ones come by themselves.
"""

import array
import builtins
import cmath
import ctypes
import inspect
import itertools
import math
import operator
import random
import statistics
import struct
from decimal import Decimal
from fractions import Fraction
from numbers import Complex

import numpy as np
import pytest
from battery import ENTRIES
from profiles import NIGHTLY

import tensorgrad as tg
from benchmarks.described import calls
from tensorgrad.ops.support.registry import registry

VALUES = {
    "number": np.array(0.7),
    "one element": np.array([0.7]),
    "vector": np.array([0.31, 0.87, 0.63]),
}
STEP = 1e-5
FEW = 20


def numbers(result):
    """Yield the floats, arrays of floats and tensors in what a call returned."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        for item in result:
            yield from numbers(item)
    elif isinstance(result, tg.Tensor | np.ndarray):
        if result.dtype == object:
            yield from numbers(result.tolist())
        elif result.dtype.kind in "fc":
            yield result
    elif isinstance(result, bytes | bytearray | array.array):
        yield np.frombuffer(result, dtype=np.uint8).astype(float)
    elif isinstance(result, Decimal | Fraction):
        yield float(result)
    elif isinstance(result, Complex) and not isinstance(result, int | np.integer):
        yield result
    elif hasattr(result, "__next__"):
        yield from numbers(list(itertools.islice(result, FEW)))


def total(result):
    """Return a sum of all of these, each with a weight of its own; a tensor or not."""
    weight, y = 1.0, 0.0
    for part in numbers(result):
        weight *= 1.3
        if type(part) is tg.Tensor:
            part = part * (weight + 0.1 * np.sin(np.arange(part.size))).reshape(
                part.shape
            )
            y = y + part.sum()
        else:
            part = np.asarray(part)
            scale = (weight + 0.1 * np.sin(np.arange(part.size))).reshape(part.shape)
            y = y + np.sum((part.real + 0.7 * part.imag) * scale)
    return y


def plain(y):
    return y.item() if type(y) is tg.Tensor else float(y)


def slope(call, value):
    """Return the derivative along all entries, from differences; None without one."""
    for make in (lambda v: v if v.ndim else float(v), tg.Tensor):
        try:
            far, near = (
                (at(call, make, value + h) - at(call, make, value - h)) / (2 * h)
                for h in (STEP, STEP / 10)
            )
        except Exception:
            continue
        # Not where there is a jump, nor where it draws anew each time.
        return near if np.isclose(far, near, rtol=1e-3, atol=1e-3) else None
    return None


def at(call, make, value):
    return plain(total(call(make(value))))


def lost(call, value):
    """Return what is wrong with a call on a tensor; None if it raises or is right.

    What is recorded has a gradient: raising in backward is too late.
    """
    x = tg.Tensor(value, requires_grad=True)
    try:
        y = total(result := call(x))
    except Exception:
        return None
    if next(numbers(result), None) is None:
        return None
    if type(y) is tg.Tensor and y.requires_grad:
        try:
            y.backward()
        except Exception as error:
            return f"is recorded, and backward says {error!r}"
    expected = slope(call, value)
    if expected is None:
        return None
    found = 0.0 if x.grad is None else x.grad.numpy().sum()
    close = np.isclose(found, expected, rtol=1e-3, atol=1e-3)
    return None if close else f"has slope {expected:.4g}, and gradient {found:.4g}"


ROW, OTHER = np.array([0.5, 1.5, 2.5]), np.array([0.2, 0.4, 0.8])
TABLE = ROW * OTHER[:, None] + np.eye(3)
PLACES = [
    lambda x: (x,),
    lambda x: (x, 2.0),
    lambda x: (2.0, x),
    lambda x: (ROW.copy(), x),
    lambda x: (x, ROW.copy()),
    lambda x: (ROW.copy(), 1, x),
    lambda x: (ROW.copy(), OTHER, x),
    lambda x: (x, ROW, OTHER),
    lambda x: (ROW.copy(), x, OTHER),
    lambda x: (ROW.copy(), [True, False, True], x),
    lambda x: (3, x),
    lambda x: (TABLE.copy(), x),
    lambda x: ([x, 1.5, x],),
    lambda x: ([x, 1.5], [0.5, x]),
    lambda x: ([2.0, 1.0], x),
    lambda x: (2.0, 1.0, x),
    lambda x: (x, 2.0, 1.0),
    lambda x: (1, 2.0, x),
    lambda x: ("%.3f", x),
    lambda x: ("d", [x]),
    lambda x: (ROW.copy(), OTHER, TABLE, x),
]
KEYWORDS = [(), (ROW,), (ROW, OTHER), (TABLE,), (3,), (1.5, 2.0), (ROW, ROW, OTHER)]


def names_of(function):
    """Return the keywords a function takes, as far as they are known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return ["where", "initial"] * isinstance(function, np.ufunc)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in kinds]


def ways(function):
    """Yield calls of a function with x in each place, and by each keyword.

    What they return includes the other arguments, which may have been written to.
    """
    for place in PLACES:

        def by_place(x, place=place):
            given = place(x)
            return function(*given), [a for a in given if a is not x]

        yield inspect.getsource(place).strip(), by_place
    for given, name in itertools.product(KEYWORDS, names_of(function)):

        def by_name(x, given=given, name=name):
            given = [a.copy() if isinstance(a, np.ndarray) else a for a in given]
            return function(*given, **{name: x}), given

        yield f"{len(given)}, {name}=x", by_name


def faults(functions):
    """Return each call that loses a gradient, and what is wrong with it.

    All calls with all values in the thorough profile, every fifth of these in others.
    """
    found = {}
    turn = itertools.count()
    for name, function in functions.items():
        for (way, call), kind in itertools.product(ways(function), VALUES):
            if NIGHTLY or next(turn) % 5 == 0:
                wrong = lost(call, VALUES[kind])
                if wrong:
                    found[name, way, kind] = wrong
    return found


def functions_of(module, names=None, without=()):
    every = {n: getattr(module, n) for n in sorted(names or dir(module))}
    return {
        n: f
        for n, f in every.items()
        if callable(f) and not n.startswith("_") and n not in without
    }


# What would end the run, wait for somebody, or change a setting.
_EFFECTS = {
    *("breakpoint", "copyright", "credits", "exit", "quit", "license", "help", "input"),
    *("open", "exec", "eval", "compile", "print", "globals", "locals", "setattr"),
}
# Deliberate: what is asked for in so many words, and what tells of the object itself.
_DELIBERATE = {
    "attrgetter",
    "itemgetter",
    "methodcaller",
    "call",
    "hash",
    "id",
    "memoryview",
}
_SETTINGS = {
    *("save", "savez", "savez_compressed", "savetxt", "load", "loadtxt", "genfromtxt"),
    *("fromfile", "memmap", "seterr", "seterrcall", "setbufsize", "set_printoptions"),
    *("errstate", "printoptions", "test", "show_config", "show_runtime", "info"),
    *("empty", "empty_like", "ndarray", "recarray"),  # whatever is in memory
    "bmat",  # gives None for what is neither an array nor a list
}


def fresh(kind, name):
    """Return a method of a new generator, so that it draws the same each time."""
    return lambda *args, **kwargs: getattr(kind(0), name)(*args, **kwargs)


MODULES = {
    "math": functions_of(math),
    "cmath": functions_of(cmath),
    "operator": functions_of(operator, without=_DELIBERATE),
    "builtins": functions_of(builtins, without=_EFFECTS | _DELIBERATE),
    "statistics": functions_of(statistics),
    "random": {
        n: fresh(random.Random, n)
        for n in functions_of(random.Random(0), without=("seed", "setstate"))
    },
    "np.random": {
        n: fresh(np.random.default_rng, n)
        for n in functions_of(np.random.default_rng(0), without=("spawn",))
    },
    "others": {
        "array": array.array,
        "c_double": ctypes.c_double,
        "Decimal": Decimal,
        "Fraction": Fraction,
        "fromiter": lambda values: np.fromiter(values, float),
        "pack": struct.pack,
        "setitem": lambda a, i, v: a.__setitem__(i, v),
        "fill": lambda a, v: a.fill(v),
        "sort of ndarray": lambda a, v: a.searchsorted(v) * 1.0,
    },
}
NUMPY = {
    "np": functions_of(np, np.__all__, _SETTINGS),
    "np.linalg": functions_of(np.linalg, np.linalg.__all__),
    "np.fft": functions_of(np.fft, np.fft.__all__),
    "np.emath": functions_of(np.emath, np.emath.__all__),
    # It asks whether its argument is an array, and takes a tensor for a number.
    "np.polynomial": functions_of(
        np.polynomial.polynomial, without={"polyvalfromroots"}
    ),
    "np.reduce": {
        n: f.reduce
        for n, f in functions_of(np, np.__all__).items()
        if isinstance(f, np.ufunc) and f.nin == 2 and f.nout == 1
    },
}
if NIGHTLY:
    NUMPY["np.ma"] = functions_of(np.ma, np.ma.__all__, _SETTINGS)
    NUMPY["np.strings"] = functions_of(np.strings, np.strings.__all__)
quiet = pytest.mark.filterwarnings("ignore")


@quiet
@pytest.mark.parametrize("module", MODULES)
def test_functions_of_python(module):
    with np.errstate(all="ignore"):
        assert not faults(MODULES[module])


@quiet
@pytest.mark.parametrize("module", NUMPY)
def test_functions_of_numpy(module):
    with np.errstate(all="ignore"):
        assert not faults(NUMPY[module])


def options(name):
    """Yield calls of a described operation as functions of one of its options."""
    entry = registry[name]
    for call in calls(entry, np.random.default_rng(0)):
        arrays = [tg.Tensor(a) for a in call.arrays]
        for option in {*call.kwargs, *names_of(entry.function)[len(call.nested) :]}:
            shape = shape_of(call.kwargs.get(option))

            def with_option(x, call=call, arrays=arrays, option=option):
                kwargs, call.kwargs = call.kwargs, {**call.kwargs, option: x}
                try:
                    return call(*arrays)
                finally:
                    call.kwargs = kwargs

            yield option, with_option, np.full(shape, 0.7)


def shape_of(option):
    """Return the shape of an array of numbers, that of a number for anything else."""
    try:
        array_ = np.asarray(option)
    except ValueError:
        return ()
    return array_.shape if array_.dtype.kind in "iufb" else ()


@quiet
def test_options_of_every_operation():
    """An option without a rule refuses a tensor that needs a gradient."""
    found = {}
    with np.errstate(all="ignore"):
        for name in ENTRIES:
            for option, call, value in options(name):
                wrong = lost(call, value)
                if wrong:
                    found[name, option] = wrong
    assert not found


def test_a_lost_gradient_is_noticed():
    def cut(x):
        return x * (x.item() if type(x) is tg.Tensor else x)

    assert lost(cut, np.array(0.7)) == "has slope 1.82, and gradient 0.91"
    assert "gradient 0" in lost(lambda x: float(getattr(x, "data", x)), np.array(0.7))
    written = np.zeros(2)
    assert lost(
        lambda x: operator.setitem(written, 0, x.item()) or written, VALUES["number"]
    )
    assert lost(np.exp, VALUES["vector"]) is None
    assert lost(math.exp, VALUES["number"]) is None
