"""Einstein summation, in all of NumPy's forms.

Every gradient is an einsum again: that of operand i sums the product of the incoming
gradient and the other operands over the labels operand i does not have. Labels that
nobody else has were summed over alone, and are broadcast back; a label repeated
within the operand took a diagonal, and is put back onto it.
"""

import math
import string
from collections.abc import Sequence
from functools import lru_cache
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ...core.dispatch import implement
from ...core.primitive import primitive
from ...core.types import Operand, Option
from ..support.axes import array, kernel
from ..support.define import answer
from ..support.registry import case, describe
from ..support.scatter import zeros
from ..support.strong import scaled

__all__ = ["einsum", "einsum_path"]

_LABELS = string.ascii_uppercase + string.ascii_lowercase
_BLAS_PAYS = 2**15
"""Products to sum from which on searching a path to matrix products is faster than
one plain loop, measured for two and for three operands."""
_LARGE, _DENSE = 2**13, 2**9
"""Products in all, and in each of the matrix products of a stack, from which on these
are faster than one plain loop: there is nothing to search for."""

Shapes = tuple[tuple[int, ...], ...]


@kernel("einsum")
def einsum_one(x, subscripts, optimize=False):
    """Diagonals, sums and another order of the axes of one array."""
    return np.einsum(subscripts, x, optimize=optimize)


@kernel("einsum")
def einsum_two(a, b, subscripts, optimize=False):
    """Sum of products of two arrays over the labels the output does not have."""
    return _pair(a, b, subscripts, optimize)


@kernel("einsum")
def einsum_many(*arrays, subscripts, optimize=False):
    """Sum of products of arrays over the labels the output does not have."""
    return np.einsum(subscripts, *arrays, optimize=optimize)


@primitive
def onto_diagonals(x, subscripts, shape):
    """Zeros of a shape with x on the diagonals that the subscripts take."""
    array = zeros(shape, x.dtype, x)
    np.einsum(subscripts, array)[...] = x
    return array


def _gradient(i: int, g: Any, others: Any, shapes: Shapes, subscripts: str) -> Any:
    """Return `einsum(_way_back(i, subscripts, shapes).subscripts, g, *others)`."""
    way = _way_back(i, subscripts, shapes)
    if len(others) != 1:
        x = np.einsum(way.subscripts, g, *others, optimize=way.optimize)
    elif way.sums:
        x = _pair(g, others[0], way.subscripts, way.optimize)
    else:
        x = _product(g, others[0], way.subscripts)
    if x.shape != way.shape:
        x = np.broadcast_to(x.reshape(way.own_shape), way.shape)
    if way.diagonal:
        return onto_diagonals(x, way.diagonal, shapes[i])
    return x


def _pair(a: Any, b: Any, subscripts: str, optimize: Any) -> Any:
    """Return an einsum of two arrays, by a stack of matrix products if that is faster.

    NumPy never makes these of a plain einsum, nor of labels that stay in both.
    """
    way = None
    if a.dtype == b.dtype and a.dtype.char in "fd":
        way = stack_of(subscripts, a.shape, b.shape)
    if way is None:
        return np.einsum(subscripts, a, b, optimize=optimize)
    return way.product(a, b)


class Stack(NamedTuple):
    """How an einsum of two arrays is a stack of matrix products.

    Attributes
    ----------
    axes_a, axes_b : tuple of int
        The axes in the order of the stack, rows, and columns of either operand.
    shape_a, shape_b : tuple of int
        Of the operands, with one axis for rows and one for columns.
    shape : tuple of int
        Over the labels of the stack, of the rows of a and the columns of b.
    order : tuple of int
        Where the labels of the output are in that.
    """

    axes_a: tuple[int, ...]
    axes_b: tuple[int, ...]
    shape_a: tuple[int, ...]
    shape_b: tuple[int, ...]
    shape: tuple[int, ...]
    order: tuple[int, ...]

    def product(self, a: Any, b: Any) -> Any:
        """Return the einsum."""
        a = a.transpose(self.axes_a).reshape(self.shape_a)
        b = b.transpose(self.axes_b).reshape(self.shape_b)
        return (a @ b).reshape(self.shape).transpose(self.order)


@lru_cache(maxsize=4096)
def stack_of(
    subscripts: str, shape_a: tuple[int, ...], shape_b: tuple[int, ...]
) -> Stack | None:
    """Return the matrix products of an einsum, None where a loop is as good."""
    (a, b), output = resolve(subscripts, (len(shape_a), len(shape_b)))
    size = dict(zip(a, shape_a, strict=True))
    other = dict(zip(b, shape_b, strict=True))
    plain = len(size) == len(a) and len(other) == len(b)
    if not plain or any(size.setdefault(c, n) != n for c, n in other.items()):
        return None
    stack = [c for c in output if c in a and c in b]
    rows = [c for c in output if c not in b]
    columns = [c for c in output if c not in a]
    joined = [c for c in a if c not in output]
    if {*joined} != {*size} - {*output} or not {*joined} <= {*b} or not joined:
        return None
    n, m, k = (math.prod(size[c] for c in cs) for cs in (rows, columns, joined))
    depth = tuple(size[c] for c in stack)
    if n * m * k < _DENSE or min(n, m) < 2 or math.prod(size.values()) < _LARGE:
        return None
    labels = [*stack, *rows, *columns]
    return Stack(
        tuple(a.index(c) for c in (*stack, *rows, *joined)),
        tuple(b.index(c) for c in (*stack, *joined, *columns)),
        (*depth, n, k),
        (*depth, k, m),
        tuple(size[c] for c in labels),
        tuple(labels.index(c) for c in output),
    )


def _product(a: Any, b: Any, subscripts: str) -> Any:
    """Return an einsum of two arrays that sums over nothing."""
    terms, output = subscripts.split("->")
    first, second = terms.split(",")
    return scaled(_aligned(a, first, output), _aligned(b, second, output))


def _aligned(x: Any, labels: str, output: str) -> Any:
    """Return x with its axes in the order of the output, ones for those it lacks."""
    x = x.transpose([labels.index(c) for c in output if c in labels])
    return np.expand_dims(x, tuple(i for i, c in enumerate(output) if c not in labels))


einsum_one.vjp(
    x=lambda g, x_shape, subscripts: _gradient(0, g, (), (x_shape,), subscripts)
)
einsum_two.vjp(
    a=lambda g, a_shape, b, subscripts: _gradient(
        0, g, (b,), (a_shape, np.shape(b)), subscripts
    ),
    b=lambda g, a, b_shape, subscripts: _gradient(
        1, g, (a,), (np.shape(a), b_shape), subscripts
    ),
)
einsum_many.vjp(
    arrays=lambda i, g, arrays, arrays_shape, subscripts: _gradient(
        i, g, (*arrays[:i], *arrays[i + 1 :]), arrays_shape, subscripts
    )
)
onto_diagonals.vjp(x=lambda g, subscripts: np.einsum(subscripts, g))


class WayBack(NamedTuple):
    """How the gradient of one operand is computed.

    Attributes
    ----------
    subscripts : str
        Of the einsum of the incoming gradient and the other operands.
    optimize : bool
        Whether that einsum is large enough to search for matrix products.
    sums : bool
        Whether it is more than a product, element by element.
    own_shape : tuple of int
        Shape of its result, with length 1 for labels nobody else has.
    shape : tuple of int
        Shape over the operand's labels, each once.
    diagonal : str
        Subscripts that take the operand's diagonals; empty where it has none.
    """

    subscripts: str
    optimize: bool
    sums: bool
    own_shape: tuple[int, ...]
    shape: tuple[int, ...]
    diagonal: str


@lru_cache(maxsize=4096)
def _way_back(i: int, subscripts: str, shapes: Shapes) -> WayBack:
    terms, output = resolve(subscripts, tuple(map(len, shapes)))
    size = _sizes(terms, shapes)
    own = dict(zip(terms[i], shapes[i], strict=True))
    others = [*terms[:i], *terms[i + 1 :]]
    sizes = _sizes(
        [output, *others],
        [tuple(size[c] for c in output), *shapes[:i], *shapes[i + 1 :]],
    )
    # A label the operand was broadcast along is summed over; so is one of length 1.
    labels = [label for label, n in own.items() if sizes.get(label) == n]
    back = f"{','.join([output, *others])}->{''.join(labels)}"
    return WayBack(
        back,
        math.prod(sizes.values()) > _BLAS_PAYS,
        set(sizes) != set(labels) or any(len(set(t)) < len(t) for t in others),
        tuple(n if label in labels else 1 for label, n in own.items()),
        tuple(own.values()),
        f"{terms[i]}->{''.join(own)}" if len(own) < len(terms[i]) else "",
    )


def _sizes(terms: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """Return the length of each label, to which length 1 is broadcast."""
    size: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for label, n in zip(term, shape, strict=True):
            size[label] = n if size.get(label, 1) == 1 else size[label]
    return size


@lru_cache(maxsize=4096)
def resolve(subscripts: str, ndims: tuple[int, ...]) -> tuple[list[str], str]:
    """Return the labels of each operand and of the output, without an ellipsis."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    free = [label for label in _LABELS if label not in subscripts]
    spans = [n - len(t.replace(".", "")) for t, n in zip(terms, ndims, strict=True)]
    hidden = "".join(free[: max(spans, default=0)])
    if not arrow:
        once = (c for c in _LABELS if inputs.count(c) == 1)
        output = "..." + "".join(once)
    return [
        term.replace("...", hidden[len(hidden) - span :])
        for term, span in zip(terms, spans, strict=True)
    ], output.replace("...", hidden)


def einsum(
    *operands: Operand, out: object = None, optimize: Option = False, **kwargs: Option
) -> Operand:
    """Sum of products of the operands over the labels the output does not have.

    As :func:`numpy.einsum`: subscripts as a string, with or without the output, with
    an ellipsis, labels repeated within an operand; or operands in alternation with
    lists of labels. `optimize` is how the value is computed; gradients choose for
    themselves. Sums of products of large arrays are made of two at a time, by matrix
    products, and so within rounding of NumPy's. ``out``, ``dtype``, ``order`` and
    ``casting`` are refused.
    """
    if out is not None:
        kwargs["out"] = out
    if kwargs:
        raise TypeError(
            f"einsum: {', '.join(kwargs)} cannot be set with Tensors; use the returned "
            "tensor, and .astype for another dtype"
        )
    subscripts, arrays = _spelled(operands)
    if type(optimize) is list:
        optimize = tuple(optimize)
    if len(arrays) > 2 and {x.dtype.char for x in arrays} in ({"f"}, {"d"}):
        shapes = tuple(x.shape for x in arrays)
        for at, part in _steps(subscripts, shapes, optimize):
            chosen = [arrays[i] for i in at]
            arrays = [x for i, x in enumerate(arrays) if i not in at]
            arrays.append(_summed(chosen, part, False))
        if len(arrays) == 1:
            return arrays[0]
    return _summed(arrays, subscripts, optimize)


def _summed(arrays: Sequence[Any], subscripts: str, optimize: Any) -> Any:
    if len(arrays) == 1:
        return einsum_one(arrays[0], subscripts, optimize)
    if len(arrays) == 2:
        return einsum_two(arrays[0], arrays[1], subscripts, optimize)
    return einsum_many(*arrays, subscripts=subscripts, optimize=optimize)


@lru_cache(maxsize=4096)
def _steps(
    subscripts: str, shapes: Shapes, optimize: Any
) -> list[tuple[tuple[int, ...], str]]:
    """Return which arrays to sum products of at a time, and how; none for small ones.

    As in NumPy's paths, a sum comes last of the arrays that are left.
    """
    terms, output = resolve(subscripts, tuple(map(len, shapes)))
    if math.prod(_sizes(terms, shapes).values()) <= _BLAS_PAYS:
        return []
    arrays = [np.broadcast_to(0.0, shape) for shape in shapes]
    path = f"{','.join(terms)}->{output}"
    _, *places = np.einsum_path(path, *arrays, optimize=optimize or "greedy")[0]
    steps = []
    for at in places:
        chosen = [terms[i] for i in at]
        terms = [term for i, term in enumerate(terms) if i not in at]
        later = {*output, *"".join(terms)}
        # First what both have: so the products of a stack come out.
        labels = [*dict.fromkeys("".join(chosen))]
        labels.sort(key=lambda c: not all(c in term for term in chosen))
        left = "".join(c for c in labels if c in later) if terms else output
        steps.append((tuple(at), f"{','.join(chosen)}->{left}"))
        terms.append(left)
    return steps


def _spelled(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the subscripts as a string, and the arrays."""
    if isinstance(operands[0], str):
        return operands[0], [array(x) for x in operands[1:]]
    pairs = len(operands) // 2 * 2
    subscripts = ",".join(map(_letters, operands[1:pairs:2]))
    if pairs < len(operands):
        subscripts += "->" + _letters(operands[-1])
    return subscripts, [array(x) for x in operands[:pairs:2]]


def _letters(labels: Sequence[Any]) -> str:
    return "".join("..." if c is Ellipsis else _LABELS[index(c)] for c in labels)


einsum_path = answer(np.einsum_path)
implement("einsum", einsum, np.einsum)


def _by_keyword(*arrays: Any, subscripts: str, optimize: Any = False) -> Any:
    return einsum(subscripts, *arrays, optimize=optimize)


_by_keyword.__name__ = "einsum"
describe(
    _by_keyword,
    lambda *arrays, subscripts, optimize=False: np.einsum(
        subscripts, *arrays, optimize=optimize
    ),
    kind="multilinear",
    cases=[
        case((3, 4), subscripts="ij->ji"),
        case((3, 4), subscripts="ba"),
        case((3, 4), subscripts="ij->"),
        case((3, 3), subscripts="ii"),
        case((3, 3, 2, 3), subscripts="iiji->ij"),
        case((2, 2, 3), subscripts="ii..."),
        case((), subscripts="->"),
        case((3, 4), (4, 2), subscripts="ij,jk->ik"),
        case((3, 4), (4, 2), subscripts="ij,jk->ki", optimize=True),
        case((3,), (3,), subscripts="i,i"),
        case((3,), (2,), subscripts="i,j->ji"),
        case((2, 3, 4), (4, 2), subscripts="...j,jk->...k"),
        case((2, 1, 3), (4, 3), subscripts="...i,...i->..."),
        case((3, 1), (4, 2), subscripts="ij,jk->ik"),
        case((3, 3), (3, 2), subscripts="ii,ij->j"),
        case((), (3,), subscripts=",i"),
        case((0, 3), (3, 2), subscripts="ij,jk->ik"),
        case((2, 3), (3, 4), (4, 2), subscripts="ij,jk,kl->il"),
        case((2, 3), (3, 4), (4, 2), subscripts="ij,jk,ki", optimize="optimal"),
        case((2,), (3,), (2, 3), (3,), subscripts="i,j,ij,j->i"),
    ],
)
