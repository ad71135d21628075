"""Convolutions, compiled: windows of all kinds beside those of NumPy in float64."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.capture.gemm import matmul, sliding
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.kernels import cores
from tensorgrad.capture.program import Call, Live, Result
from tensorgrad.ops.networks import convolutions
from tensorgrad.ops.networks.windows import Window

pytestmark = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)

PROCESSORS = [matmul.Registers(8, 64), matmul.Registers(6, 32)]


@pytest.fixture(params=PROCESSORS, ids=["avx512", "avx2"])
def processor(request, monkeypatch):
    """Take a processor for another: its tiles are right on all, if not fast."""
    monkeypatch.setattr(sliding, "registers", lambda: request.param)


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def threads(request, monkeypatch):
    """Let so many threads share any work at all."""
    monkeypatch.setattr(cores, "cores", lambda: request.param)
    monkeypatch.setattr(sliding, "LARGE", 1)


def drawn(rng):
    """Return samples, filters, what comes of them, a window and groups."""
    axes, groups = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3]))

    def numbers(low, high):
        return tuple(map(int, rng.integers(low, high, axes)))

    kernel, stride, dilation = numbers(1, 4), numbers(1, 4), numbers(1, 3)
    padding = tuple(zip(numbers(0, 5), numbers(0, 5), strict=True))
    window = Window(kernel, stride, padding, dilation)
    lengths = numbers(6, 12 if axes < 3 else 8)
    n, inputs = (int(rng.choice([1, 2, 8, 17])), int(rng.integers(1, 10)))
    outputs = int(rng.choice([1, 2, 4, 9, 17, 40]))
    x = rng.standard_normal((n, inputs * groups, *lengths))
    weight = rng.standard_normal((outputs * groups, inputs, *kernel))
    z = rng.standard_normal((n, outputs * groups, *window.counts(lengths)))
    return x, weight, z, window, groups


def made(function, *args):
    """Return what NumPy computes in float64, and the kernel, of arguments like these.

    Of the kernel for float32, with numbers in front and behind that are left alone.
    """
    expected = function(*args)
    given = [a.astype("f4") if isinstance(a, np.ndarray) else a for a in args]
    values = [Live(*layout(a), a) if isinstance(a, np.ndarray) else a for a in given]
    out = np.zeros_like(expected, "f4", order="K")
    call = Call(function, tuple(values), {}, (Result(*layout(out)),))
    kernel = matmul.tiled(call)
    assert kernel.writes_last
    assert kernel.args == call.args[:2]
    room = np.full(out.size + 64, 7, "f4")
    inner = np.ndarray(out.shape, "f4", room, 32 * 4, out.strides)
    kernel.function(*given[:2], inner)
    assert (room[:32] == 7).all()
    assert (room[-32:] == 7).all()
    return expected, inner


def layout(a):
    """Return the arguments of a value."""
    return a.shape, a.dtype, a.strides


@pytest.mark.parametrize("seed", range(24))
def test_windows_of_all_kinds(seed, processor, threads):
    rng = np.random.default_rng(seed)
    x, weight, z, window, groups = drawn(rng)
    if rng.integers(2):
        x, z = (np.asfortranarray(a) for a in (x, z))
    name = convolutions.convolved.__wrapped__
    back = convolutions.convolved_back.__wrapped__
    filters = convolutions.convolved_filters.__wrapped__
    terms = weight[0].size, weight.size // groups, z[:, 0].size
    for count, args in zip(
        terms,
        [
            (name, x, weight, window, groups),
            (back, z, weight, x.shape[2:], window, groups),
            (filters, x, z, window, groups),
        ],
        strict=True,
    ):
        expected, found = made(*args)
        # Of numbers of size 1: some roundings of each of so many terms.
        bound = 16 * np.finfo("f4").eps * (1 + count)
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def test_filters_that_lie_far_apart_are_left_to_products():
    rng = np.random.default_rng(2)
    window = Window((4, 4), (1, 1), ((0, 0), (0, 0)), (1, 1))
    z, weight = rng.standard_normal((2, 3, 1, 1)), rng.standard_normal((3, 5, 4, 4))
    function = convolutions.convolved_back.__wrapped__
    values = [Live(*layout(a), a) for a in (z, weight)]
    out = function(z, weight, (4, 4), window, 1)
    call = Call(function, (*values, (4, 4), window, 1), {}, (Result(*layout(out)),))
    assert matmul.tiled(call) is call
    np.testing.assert_allclose(out, np.einsum("no,oihw->nihw", z[..., 0, 0], weight))


@pytest.mark.parametrize("n", [2, 40])
def test_few_windows_of_many_taps_are_left_to_products(n):
    x, weight = np.ones((n, 80, 4, 4), "f4"), np.ones((5, 80, 4, 4), "f4")
    window = Window((4, 4), (1, 1), ((0, 0), (0, 0)), (1, 1))
    z = convolutions.convolved(x, weight, window, 1)
    for name, args, out in (
        ("convolved", (x, weight), z),
        ("convolved_filters", (x, z), weight),
    ):
        function = getattr(convolutions, name).__wrapped__
        values = [Live(*layout(a), a) for a in args]
        call = Call(function, (*values, window, 1), {}, (Result(*layout(out)),))
        assert (matmul.tiled(call) is call) == (n == 2)


def test_samples_that_no_window_meets_have_a_gradient_of_zero():
    window = Window((1,), (2,), ((1, 1),), (1,))
    function = convolutions.convolved_back.__wrapped__
    z, weight = np.ones((2, 3, 2)), np.ones((3, 4, 1))
    expected, found = made(function, z, weight, (1,), window, 1)
    assert (expected == 0).all()
    assert np.array_equal(found, expected)


def test_bits_do_not_depend_on_threads(monkeypatch):
    x, weight, _, window, groups = drawn(np.random.default_rng(3))
    found = []
    for count in 1, 2, 7:
        monkeypatch.setattr(cores, "cores", lambda count=count: count)
        monkeypatch.setattr(sliding, "LARGE", 1)
        function = convolutions.convolved.__wrapped__
        found.append(made(function, x, weight, window, groups)[1])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("groups", [1, 4])
def test_a_step_convolves_in_kernels(groups):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 8, 9, 9))
    weight = rng.standard_normal((8, 8 // groups, 3, 3))

    def loss(x, weight):
        y = tg.nn.functional.conv2d(x, weight, stride=2, padding=1, groups=groups)
        return (np.tanh(y) ** 2).sum()

    step = tg.compile(tg.value_and_grad(loss, (0, 1)), fused=True)
    for _ in range(3):
        value, gradients = step(x, weight)
    expected, others = tg.value_and_grad(loss, (0, 1))(x, weight)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for found, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-10, atol=1e-12)
    assert "made anew" not in str(step.plan)
    assert step.profile(x, weight).products > 0


@pytest.mark.parametrize("mapped", [(0, None), (None, 0), (0, 0)])
@pytest.mark.parametrize("groups", [1, 2])
def test_samples_of_a_mapping_are_one_convolution(groups, mapped):
    rng = np.random.default_rng(1)
    x, weight = (
        rng.standard_normal((5, 3, 4, 7, 6)),
        rng.standard_normal((5, 6, 4, 3, 2)),
    )
    weight = weight[:, :, : 4 // groups]
    arrays = [
        a if axis == 0 else a[0] for a, axis in zip((x, weight), mapped, strict=True)
    ]

    def gradients(x, weight):
        def loss(x, weight):
            y = tg.nn.functional.conv2d(
                x, weight, stride=(2, 1), padding=1, groups=groups
            )
            return np.sin(y).sum()

        return tg.grad(loss, (0, 1))(x, weight)

    found = tg.vmap(gradients, mapped)(*arrays)
    for i in range(5):
        one = [a[i] if axis == 0 else a for a, axis in zip(arrays, mapped, strict=True)]
        for every, alone in zip(found, gradients(*one), strict=True):
            np.testing.assert_allclose(every[i], alone, rtol=1e-12, atol=1e-12)
