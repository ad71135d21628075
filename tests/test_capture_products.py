"""Products of matrices, compiled: tiles of every size beside products in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.capture.gemm import matmul
from tensorgrad.capture.kernels import compile as kernels
from tensorgrad.capture.program import Call, Live, Result

pytestmark = pytest.mark.skipif(
    not kernels.installed(), reason="needs llvmlite, of the extra 'fast'"
)

PROCESSORS = [matmul.Registers(8, 64), matmul.Registers(6, 32)]
sizes = st.integers(1, 70)


@pytest.fixture(params=PROCESSORS, ids=["avx512", "avx2"])
def processor(request, monkeypatch):
    """Take a processor for another: its tiles are right on all, if not fast."""
    monkeypatch.setattr(matmul, "registers", lambda: request.param)
    monkeypatch.setattr(matmul, "blas_threads", lambda: 1)
    return request.param


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("processor", PROCESSORS, ids=["avx512", "avx2"])
@given(n=sizes, depth=sizes, m=sizes, a_turned=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_products_of_all_sizes(turned, dtype, processor, n, depth, m, a_turned, seed):
    n += processor.rows // 2 - 1
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, depth)), rng.standard_normal((depth, m))
    expected = a @ b
    size = np.abs(a) @ np.abs(b)
    a = np.asarray(a, dtype, order="F" if a_turned else "C")
    b = np.asarray(b, dtype, order="F" if turned else "C")
    room = np.full((n + 2, m), 7, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "registers", lambda: processor)
        matmul.kernel(a, b, room[1:-1])(a, b, room[1:-1])
    # Of a sum of `depth` terms, Higham, "Accuracy and stability", 3.1.
    bound = (depth + 2) * np.finfo(dtype).eps * size
    assert (np.abs(room[1:-1] - expected) <= bound).all()
    assert (room[[0, -1]] == 7).all()


def stack(rng, shape, order, steps):
    """Return random matrices, their axes in an order in memory and so many apart."""
    room = [n * step for n, step in zip(shape, steps, strict=True)]
    array = rng.standard_normal([room[i] for i in order]).transpose(np.argsort(order))
    return array[tuple(slice(None, None, step) for step in steps)]


orders = st.permutations(range(4))
steps = st.tuples(*[st.integers(1, 2)] * 4)
shared = st.tuples(st.booleans(), st.booleans())


@pytest.mark.parametrize("processor", PROCESSORS, ids=["avx512", "avx2"])
@given(
    sizes=st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(1, 20)] * 3),
    orders=st.tuples(orders, orders),
    steps=st.tuples(steps, steps),
    shared=st.tuples(shared, shared),
    flat=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_stacks_of_products_wherever_they_lie(
    processor, sizes, orders, steps, shared, flat
):
    *many, n, depth, m = sizes
    n += processor.rows // 2 - 1
    rng = np.random.default_rng(0)
    a, b = (
        stack(rng, [*np.where(one, 1, many), *shape], order, step)
        for shape, order, step, one in zip(
            ((n, depth), (depth, m)), orders, steps, shared, strict=True
        )
    )
    b = b[0, 0] if flat else b
    expected = a @ b
    room = np.full((expected.size + 2,), 7.0)
    out = room[1:-1].reshape(expected.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "registers", lambda: processor)
        matmul.kernel(a, b, out)(a, b, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)
    assert room[0] == room[-1] == 7


def test_axes_that_are_as_one_are_joined():
    a, b = np.ones((5, 4, 9, 8)), np.ones((5, 4, 8, 7))
    assert matmul.axes(a, b) == [(1, 0, 0), (20, 576, 448), (9, 64, 0)]
    # One second matrix for all: as if it were one product.
    assert matmul.axes(a, b[0, 0]) == [(1, 0, 0), (1, 0, 0), (180, 64, 0)]
    assert matmul.axes(a[:, :, :1], b[0, 0]) == [(1, 0, 0), (1, 0, 0), (20, 576, 0)]
    heads = a.swapaxes(1, 2)
    assert matmul.axes(heads, b[:, :1]) == [(5, 2304, 1792), (9, 64, 0), (4, 576, 0)]


def test_a_large_second_matrix_is_gathered(processor):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((33, 300)), rng.standard_normal((300, 250))
    out = np.empty((33, 250))
    assert b.nbytes > matmul.NEAR
    matmul.kernel(a, b, out)(a, b, out)
    np.testing.assert_allclose(out, a @ b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("depth", [4097, 5120, 6001])
def test_long_sums_are_taken_in_blocks(depth, turned, processor):
    rng = np.random.default_rng(depth)
    for n, m in (processor.rows + 2, 5), (19, 40):
        a, b = rng.standard_normal((n, depth)), rng.standard_normal((depth, m))
        expected, size = a @ b, np.abs(a) @ np.abs(b)
        a, b = a.astype("f4"), np.asarray(b, "f4", order="F" if turned else "C")
        out = np.full((n + 2, m), 7, "f4")
        matmul.kernel(a, b, out[1:-1])(a, b, out[1:-1])
        # In blocks: as many roundings as a block has, and one for each, and two more.
        bound = (matmul.BLOCK + 9) * np.finfo("f4").eps * size
        assert (np.abs(out[1:-1] - expected) <= bound).all()
        assert (out[[0, -1]] == 7).all()
        call = product(a, b)
        ours = processor.vector == 64 or n * depth * m <= matmul.ONE_THREAD
        assert (matmul.tiled(call) is not call) == ours


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(processor, bad):
    a, b = np.ones((20, 9)), np.ones((9, 21))
    a[3, 4] = bad
    out = np.empty((20, 21))
    matmul.kernel(a, b, out)(a, b, out)
    expected = np.full((20, 21), 9.0)
    expected[3] = bad
    np.testing.assert_array_equal(out, expected)


def value(array):
    return Live(array.shape, array.dtype, array.strides, array)


def product(a, b, **others):
    """Return a call of matmul on arrays, as a recording has it."""
    out = np.matmul(a, b)
    args = value(a), value(b)
    result = Result(out.shape, out.dtype, out.strides)
    return Call(np.matmul, args, results=(result,), **others)


SMALL = np.ones((8, 9), "f4"), np.ones((9, 10), "f4")


def test_a_product_becomes_a_call_of_its_own_kernel(processor):
    call = matmul.tiled(product(*SMALL))
    out = np.empty((8, 10), "f4")
    call.function(*SMALL, out)
    assert call.function.into
    assert (out == 9).all()


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (SMALL[0], SMALL[1].astype("f8"), "two dtypes"),
        (SMALL[0].astype("i4"), SMALL[1].astype("i4"), "integers"),
        (np.ones((2, 1, 2, 9, 9))[..., 1:, :], np.ones((2, 2, 1, 9, 9)), "three axes"),
        (SMALL[0], np.ones(9, "f4"), "a vector"),
        (np.ones((8, 0)), np.ones((0, 9)), "nothing to add"),
        (np.ones((2, 9)), np.ones((9, 9)), "fewer rows than half a tile"),
        (np.ones((5, 99)), np.ones((99, 99)), "fewer rows than a tile"),
        (np.ones((7, 99)), np.ones((99, 99)).T, "too few rows for turning"),
        (np.ones((600, 512)).T, np.ones((600, 9)), "columns that crowd the cache"),
    ],
)
def test_other_products_stay_with_numpy(processor, a, b, why):
    call = product(a, b)
    assert matmul.tiled(call) is call, why


def test_large_products_stay_where_blas_has_threads(processor, monkeypatch):
    call = product(np.ones((128, 128), "f4"), np.ones((128, 128), "f4"))
    monkeypatch.setattr(matmul, "blas_threads", lambda: 2)
    assert matmul.tiled(call) is call
    monkeypatch.setattr(matmul, "blas_threads", lambda: 1)
    ours = matmul.tiled(call) is not call
    assert ours == (processor.vector == 64)


def test_no_product_is_ours_on_an_unknown_processor(monkeypatch):
    monkeypatch.setattr(matmul, "registers", lambda: None)
    call = product(*SMALL)
    assert matmul.tiled(call) is call


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OPENBLAS_NUM_THREADS": "many", "OMP_NUM_THREADS": "2"}, 2),
    ],
)
def test_the_threads_of_blas_are_those_the_environment_names(
    variables, threads, monkeypatch
):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert matmul.blas_threads() >= 1
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert matmul.blas_threads() == threads


def test_a_step_with_products_is_that_of_eager(processor):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((37, 20), dtype="f4"), rng.integers(0, 7, 37)

    def network():
        layers = [tg.nn.Dense(20, 33, rng=1), tg.nn.ReLU(), tg.nn.Dense(33, 7, rng=2)]
        model = tg.nn.Sequential(*layers)
        optimizer = tg.optim.SGD(model.parameters(), 0.1, momentum=0.9)

        def step(x, labels):
            loss = tg.softmax_cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return model, step

    (eager, step), (captured, other) = network(), network()
    replayed = tg.compile(other, fused=True)
    for _ in range(6):
        loss, same = step(x, labels), replayed(x, labels)
        assert abs(loss.item() - same.item()) <= 1e-5 * abs(loss.item())
    for p, q in zip(eager.parameters(), captured.parameters(), strict=True):
        np.testing.assert_allclose(q.data, p.data, rtol=1e-4, atol=1e-6)
    assert str(replayed.plan).count("tiled_matmul") >= 4
    (capture,) = replayed._captures.values()
    assert "errstate" not in capture.replay.source, "kernels never warn"


def test_a_step_with_stacks_of_products_is_that_of_eager(processor):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 40, 11)), rng.standard_normal((6, 11, 13))
    gradient = tg.grad(lambda x, w: np.sum(np.tanh(x @ w) ** 2), (0, 1))
    compiled = tg.compile(gradient, fused=True)
    for _ in range(3):
        found = compiled(x, w)
    for ours, eager in zip(found, gradient(x, w), strict=True):
        np.testing.assert_allclose(ours, eager, rtol=0, atol=1e-13)
    assert str(compiled.plan).count("tiled_matmul") == 3


@pytest.mark.parametrize(
    ("rows", "columns", "tiles"), [(6, 9, True), (6, 8, False), (3, 9, False)]
)
def test_stacks_of_short_sums_are_tiles_where_rows_are_wider_than_a_vector(
    processor, rows, columns, tiles
):
    a, b = np.ones((7, rows, 5)), np.ones((7, 5, columns))
    compiled = tg.compile(lambda a, b: a @ b * 2, fused=True)
    for _ in range(3):
        assert (compiled(a, b) == 10).all()
    assert ("tiled_matmul" in str(compiled.plan)) == tiles
