"""Arrays of other libraries that meet tensors: they compute, or are refused."""

import array
import functools
import operator
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from battery import ENTRIES, described_calls

import tensorgrad as tg

VALUES = np.array([1.0, 2.0, 4.0])


class Values:
    """Offers its values to NumPy, and nothing else."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Named(np.ndarray):
    """An array with a name, as those of astronomers have units."""


class Scaled:
    """A number with a scale of its own, that computes with all numbers."""

    def __init__(self, scale):
        self.scale = scale

    def __radd__(self, other):
        return Scaled(other + self.scale)

    def __rmul__(self, other):
        return Scaled(other * self.scale)


def masked(values):
    return np.ma.masked_array(values, np.arange(np.size(values)) == 1)


def quantity(values):
    pint = pytest.importorskip("pint")
    return pint.get_application_registry().Quantity(values, "m")


def series(values):
    pandas = pytest.importorskip("pandas")
    return pandas.Series(values, index=[chr(97 + i) for i in range(len(values))])


def frame(values):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(np.atleast_2d(values)).set_axis([*"abc"], axis=1)


def labelled(values):
    xarray = pytest.importorskip("xarray")
    return xarray.DataArray(values, dims="x", coords={"x": [10, 20, 30]})


def sparse(values):
    return pytest.importorskip("scipy.sparse").csr_array(np.atleast_2d(values))


def sparse_matrix(values):
    return pytest.importorskip("scipy.sparse").csr_matrix(np.atleast_2d(values))


def torch_tensor(values):
    return pytest.importorskip("torch").tensor(values)


def jax_array(values):
    state = np.random.get_state()
    jax = pytest.importorskip("jax.numpy")
    np.random.set_state(state)  # importing it draws from there
    return jax.array(values)


def polars_series(values):
    return pytest.importorskip("polars").Series("a", values)


def polars_frame(values):
    return pytest.importorskip("polars").DataFrame({"a": values})


def named(values):
    return np.array(values).view(Named)


MORE_THAN_VALUES = [
    *(masked, quantity, series, frame, labelled, sparse, sparse_matrix, torch_tensor),
    *(jax_array, polars_series, polars_frame, named, np.matrix, Values),
    lambda values: np.rec.array(np.array(values)),
]
OPERATORS = {
    name: getattr(operator, name)
    for name in (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
        *("lt", "le", "gt", "ge"),
    )
}
UFUNCS = {
    f.__name__: f
    for f in vars(np).values()
    # pandas raises without a word where bits of floats are asked for.
    if isinstance(f, np.ufunc) and f.nin == 2 and not f.__name__.startswith("bitwise")
}
FUNCTIONS = {
    "where": lambda a, b: np.where([True, False, True], a, b),
    "concatenate": lambda a, b: np.concatenate([a, b]),
    "stack": lambda a, b: np.stack([a, b]),
    "dot": np.dot,
    "outer": np.outer,
    "einsum": lambda a, b: np.einsum("i,i->", a, b),
    "interp": lambda a, b: np.interp(a, [0.0, 2.0, 9.0], b),
    "clip": lambda a, b: np.clip(a, b, 9.0),
    "append": np.append,
    "tg.maximum": tg.maximum,
    "tg.where": lambda a, b: tg.where([True, False, True], a, b),
    "tg.stack": lambda a, b: tg.stack([a, b]),
    "tg.array": lambda a, b: tg.array([a, b]),
    "tg.index_update": lambda a, b: tg.index_update(a, [0, 1, 2], b),
    "average": lambda a, b: np.average(a, weights=b),
    "cov": np.cov,
    "full_like": lambda a, b: np.full_like(VALUES, a * b),
}
CALLS = {name: described_calls(name)[:2] for name in ENTRIES}


def library(value):
    return type(value).__module__.partition(".")[0]


def kept(result):
    """Return the tensor within what another library made of one."""
    result = result[0] if type(result) is tuple else result
    for name in ("magnitude", "data"):
        if type(result) is not tg.Tensor:
            result = getattr(result, name, result)
    return result


def verdict(call, other, tracked):
    """Return None where a call is right, what is wrong with it otherwise."""
    try:
        result = call()
    except Exception as error:
        said = str(error)
        return None if said and len(said) < 900 else f"says {said!r}"
    own = {library(other), "builtins"} | (set() if tracked else {"numpy"})
    if type(result) is tg.Tensor or library(result) not in own:
        return f"gives {type(result).__name__}: what {library(other)} had is lost"
    inner = kept(result)
    if tracked and not (type(inner) is tg.Tensor and inner.requires_grad):
        return f"loses the gradient: {result!r}"
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", MORE_THAN_VALUES)
@pytest.mark.parametrize("needs_gradient", [True, False])
def test_nothing_is_lost_without_a_word(make, needs_gradient):
    other, t = make(VALUES), tg.Tensor([3.0, 1.0, 2.0], requires_grad=needs_gradient)
    wrong = {}
    for name, function in (OPERATORS | UFUNCS | FUNCTIONS).items():
        question = name in ("lt", "le", "gt", "ge") or not differentiable(function)
        for order in (t, other), (other, t):
            found = verdict(
                lambda f=function, order=order: f(*order),
                other,
                needs_gradient and not question,
            )
            if found:
                wrong[name, type(order[0]).__name__] = found
    assert not wrong


@functools.cache
def differentiable(function):
    """Whether a function of two tensors has a result that needs a gradient."""
    t = tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    try:
        return function(t, t).requires_grad
    except Exception:
        return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [masked, Values])
def test_every_operation_refuses_them(make):
    """Each array of each described call in turn comes from another library."""
    wrong = {}
    for name in ENTRIES:
        for call in CALLS[name]:
            for place, array_ in enumerate(call.arrays):
                given = [
                    tg.Tensor(a, requires_grad=a.dtype.kind == "f") for a in call.arrays
                ]
                other = given[place] = make(array_)
                tracked = [type(g) is tg.Tensor and g.requires_grad for g in given]
                if any(tracked):
                    found = verdict(lambda c=call, g=given: c(*g), other, True)
                    wrong |= {(name, place): found} if found else {}
    assert not wrong


@pytest.mark.parametrize(
    ("make", "place"), [(quantity, "magnitude"), (labelled, "data")]
)
def test_one_that_computes_with_tensors_keeps_all(make, place):
    other, t = make(VALUES), tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    for y in (t * other, other * t, np.multiply(t, other), np.multiply(other, t)):
        assert type(y) is type(other)
        t.grad = None
        getattr(y, place).sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), VALUES)
    assert str(quantity(2.0) * t).endswith("meter")


@pytest.mark.parametrize("make", [memoryview, lambda a: array.array("d", a), list])
def test_what_holds_values_alone_is_computed_with(make):
    t = tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    for y in (t * make(VALUES), make(VALUES) * t, np.where(True, t, 0) * make(VALUES)):
        y.sum().backward()
        np.testing.assert_array_equal(t.grad.numpy(), VALUES)
        t.grad = None


def gradients(call, given):
    """Return those of a call in the tensors that it is given."""
    parts = call(*given)
    parts = parts if isinstance(parts, tuple) else (parts,)
    for part in parts:
        if type(part) is tg.Tensor and part.requires_grad:
            part.backward(np.cos(np.arange(part.size)).reshape(part.shape))
    return [t.grad for t in given if type(t) is tg.Tensor]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make",
    [
        lambda a: a.tolist(),
        lambda a: tuple(a.tolist()) if a.ndim else a.item(),
        lambda a: a.flat[0].item(),
    ],
    ids=["list", "tuple", "number"],
)
def test_every_operation_takes_them(make):
    """As it takes the array that they are, in each place of each described call."""
    wrong = {}
    for name in {*ENTRIES} - {"block"}:  # nested lists are its blocks
        for call in CALLS[name]:
            for place, array_ in enumerate(call.arrays):
                if len(call.arrays) == 1 or not array_.size:
                    continue
                found = []
                for other in np.asarray(make(array_)), make(array_):
                    given = [
                        tg.Tensor(a, requires_grad=a.dtype.kind == "f")
                        for a in call.arrays
                    ]
                    given[place] = other
                    try:
                        found.append(gradients(call, given))
                    except Exception as error:
                        found.append(type(error))
                if str(found[0]) != str(found[1]):
                    wrong[name, place] = found
    assert not wrong


def test_memory_mapped_arrays_are_arrays(tmp_path):
    mapped = np.memmap(tmp_path / "a", dtype=float, mode="w+", shape=3)
    mapped[:] = VALUES
    t = tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    assert (t * mapped).requires_grad
    assert (mapped * t).requires_grad


def test_other_numbers():
    t = tg.Tensor(2.0, requires_grad=True)
    (t * Fraction(1, 4) + Fraction(1, 2) / t).backward()
    assert t.grad.item() == 0.25 - 0.125
    for refused in (Decimal(2), Scaled(2.0)):
        with pytest.raises(TypeError, match=r"float\(\)"):
            np.multiply(t, refused)
    with pytest.raises(TypeError, match="unsupported operand"):
        t * Decimal(2)
    assert (t * Scaled(3.0)).scale.requires_grad


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (masked, ".filled(value)"),
        (quantity, ".magnitude"),
        (series, ".to_numpy()"),
        (sparse, ".toarray()"),
        (torch_tensor, ".detach().numpy()"),
        (np.matrix, "np.asarray(...)"),
    ],
)
def test_the_sentence_names_what_came_and_the_remedy(make, remedy):
    other, t = make(VALUES), tg.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError) as raised:
        np.heaviside(t, other)
    kind = f"{library(other)}.{type(other).__name__}"
    start = f"heaviside: a Tensor does not compute with a {kind}"
    assert str(raised.value).startswith(start)
    assert str(raised.value).endswith(remedy)


class TestData:
    """What is only taken for data leaves its labels behind, but no mask and no unit."""

    @pytest.mark.parametrize("make", [masked, quantity])
    def test_with_a_mask_or_a_unit(self, make):
        t = tg.Tensor(np.zeros(3))
        with pytest.raises(TypeError, match="lose its (mask|unit); pass"):
            tg.Tensor(make(VALUES))
        with pytest.raises(TypeError, match="lose its (mask|unit)"):
            tg.Tensor([make(VALUES), make(VALUES)])
        with pytest.raises(TypeError, match="lose its (mask|unit)"):
            t[:] = make(VALUES)
        with pytest.raises(TypeError, match="lose its (mask|unit)"):
            t.data = make(VALUES)
        with pytest.raises(TypeError, match="lose its (mask|unit)"):
            tg.nn.Dense(3, 1)(make(VALUES))
        with pytest.raises(TypeError, match="does not compute"):
            t += make(VALUES)
        with pytest.raises(TypeError, match="lose its (mask|unit)"):
            t[make(np.array([0, 1, 2]))]

    def test_pandas(self):
        pandas = pytest.importorskip("pandas")
        df = pandas.DataFrame({"a": VALUES, "b": VALUES**2, "mask": [1.0, 0.0, 1.0]})
        np.testing.assert_array_equal(tg.Tensor(df).numpy(), df.to_numpy())
        np.testing.assert_array_equal(tg.Tensor(df.a).numpy(), VALUES)
        assert tg.Tensor(df["b"], requires_grad=True, dtype=np.float32).requires_grad
        model = tg.nn.Sequential(tg.nn.Dense(3, 4, rng=0), tg.nn.ReLU())
        np.testing.assert_array_equal(model(df).numpy(), model(df.to_numpy()).numpy())
        t = tg.Tensor(VALUES)
        assert t[df.a > 1].tolist() == [2.0, 4.0]
        t[:] = df.b
        assert t.tolist() == [1.0, 4.0, 16.0]
        labels = pandas.Series([0, 1, 1])
        scores = tg.Tensor(np.zeros((3, 2)), requires_grad=True)
        tg.softmax_cross_entropy(scores, labels).backward()
        assert scores.grad.shape == (3, 2)
        with pytest.raises(TypeError, match="real numbers"):
            tg.Tensor(pandas.DataFrame({"a": VALUES, "name": [*"xyz"]}))

    def test_a_loss_over_columns_says_what_to_pass(self):
        pandas = pytest.importorskip("pandas")
        df = pandas.DataFrame({"a": VALUES, "b": VALUES**2})

        def loss(w, a, b):
            return np.mean((w[0] * a + w[1] - b) ** 2)

        with pytest.raises(TypeError, match=r"pandas.Series.*to_numpy"):
            tg.grad(loss)(np.ones(2), df.a, df.b)
        with pytest.raises(TypeError, match="NumPy arrays in place of those of pandas"):
            tg.grad(lambda w: np.sum(df.a * w[0]))(np.ones(2))
        a, b = df.a.to_numpy(), df.b.to_numpy()
        expected = [np.mean(2 * (a + 1 - b) * a), np.mean(2 * (a + 1 - b))]
        np.testing.assert_allclose(tg.grad(loss)(np.ones(2), a, b), expected)
