"""The program of a step, as those see it who read, print or walk it."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.capture import Live, Program, View
from tensorgrad.capture import kernels as kernel_room
from tensorgrad.capture import numpy as numpy_room
from tensorgrad.capture.kernels.codegen import Kernel, write
from tensorgrad.capture.kernels.groups import fusible
from tensorgrad.capture.kernels.nests import nested
from tensorgrad.capture.numpy.replay import Replay
from tensorgrad.capture.program import without_views
from tensorgrad.facts import KNOWN, TABLE, described, facts_of, named


def program_of(step, *args):
    """Return the program of a step that is called with some arguments."""
    captured = tg.compile(step, fused=False)
    for _ in range(2):
        captured(*args)
    (program,) = captured.programs
    return program


@pytest.fixture(scope="module")
def descent():
    """The program of a step of gradient descent on one weight matrix."""
    w = tg.Tensor(np.ones((3, 2)), requires_grad=True)

    def step(x):
        w.grad = None
        y = np.maximum(x @ w, 0.5)[1:].reshape(-1)
        loss = np.sum(y, axis=0)
        loss.backward()
        with tg.no_grad():
            w[...] = w - 0.1 * w.grad
        return loss

    return program_of(step, np.ones((4, 3)))


def test_views_are_calls(descent):
    views = [c for c in descent if any(isinstance(r, View) for r in c.results)]
    assert {"getitem", "reshape"} <= {call.name for call in views}
    made = {r for call in descent for r in call.results}
    assert all(v in made for c in descent for v in c.reads if isinstance(v, View))


def test_a_view_nobody_reads_is_left_out():
    def step(x):
        y = tg.Tensor(x) * 2.0
        y.T.reshape(-1)
        return y

    names = [call.name for call in program_of(step, np.ones((2, 3)))]
    assert names == ["astype", "multiply"]


def test_arguments_have_the_names_of_numpy(descent):
    (total,) = [call for call in descent if call.origin == "sum"]
    assert (total.name, total.kind) == ("sum", "reduction")
    assert total.arguments["axis"] == 0
    assert isinstance(total.arguments["a"], View)


def test_writes_and_live_arrays_are_marked(descent):
    writes = [call.writes[0] for call in descent if call.name == "setitem"]
    assert [isinstance(value, Live) for value in writes] == [False, True]


def test_a_program_prints_as_it_is_called(descent):
    lines = str(descent).splitlines()
    assert "  x1  float64(4, 3)  argument" in lines
    assert any("r1 = matmul(x1, p1)" in line for line in lines)
    assert any("v1 = getitem(r2, 1:)" in line for line in lines)
    assert any("<- setitem(p1, ...," in line for line in lines)
    assert lines[-1].startswith("returns r")


def test_each_signature_has_its_program():
    step = tg.compile(lambda x: tg.Tensor(x) + 1.0)
    assert step.programs == []
    for n in (2, 3):
        for _ in range(2):
            step(np.ones(n))
    assert [p.inputs[0].shape for p in step.programs] == [(2,), (3,)]
    assert all(isinstance(p, Program) for p in step.programs)


# The pages of the rooms draw what happens.


@pytest.fixture(scope="module")
def squares():
    """The program of the example that the pages of numpy and kernels follow."""
    w = tg.Tensor(np.ones((40, 10), np.float32), requires_grad=True)

    def step(x, y):
        d = x * w - y
        return (d * d).sum(axis=1)

    x = np.ones((40, 10), np.float32)
    return without_views(program_of(step, x, x))


def indented(text, by):
    return "".join(" " * by + line for line in text.strip().splitlines(keepends=True))


def test_the_page_of_the_numpy_room_shows_the_source_of_a_replay(squares):
    assert indented(Replay(squares).source, 4) in numpy_room.__doc__


def test_the_page_of_the_kernel_room_shows_the_loop_of_a_group(squares):
    elements = [e for each in fusible(squares).values() for e in each]
    kernel = Kernel()
    write(kernel, nested(elements), {*squares.returned})
    assert indented(kernel.text([*kernel.arrays]), 7) in kernel_room.__doc__
    for element in elements:
        assert str(element.space) in kernel_room.__doc__


# The facts.


@pytest.mark.parametrize(
    ("function", "name", "kind"),
    [
        (np.add, "add", "elementwise"),
        (np.hypot, "hypot", "elementwise"),
        (np.add.reduce, "sum", "reduction"),
        (np.ndarray.sum, "sum", "reduction"),
        (np.hypot.reduce, "hypot.reduce", "reduction"),
        (np.add.accumulate, "add.accumulate", "cumulative"),
        (np.linalg.inv, "linalg.inv", "linear algebra"),
        (np.ndarray.reshape, "reshape", "shape"),
        (np.shape, "shape", "question"),
        (np.pad, "pad", "other"),
        (lambda x: x, "<lambda>", "other"),
        ([].append, "append", "other"),
    ],
)
def test_what_is_known_of_a_function(function, name, kind):
    assert (facts_of(function).name, facts_of(function).kind) == (name, kind)


def test_methods_and_functions_are_bound_alike():
    x = np.zeros((2, 3))
    for function, args in (
        (np.reshape, (x, (3, 2))),
        (np.ndarray.reshape, (x, 3, 2)),
        (np.ndarray.reshape, (x, (3, 2))),
    ):
        assert tuple(facts_of(function).bound(args, {})["shape"]) == (3, 2)
    assert facts_of(np.transpose).bound((x,), {})["axes"] == ()
    assert facts_of(np.ndarray.transpose).bound((x, None), {})["axes"] == ()
    assert described(np.pad).bound((x, 1), {"mode": "edge"})["pad_width"] == 1
    assert facts_of(divmod).bound((7, 2), {}) == {"x1": 7, "x2": 2}


def test_the_table_names_functions_that_are_there():
    for facts in TABLE:
        assert facts.functions or facts.name in {f.__name__ for f in KNOWN}, facts.name
    assert named("add").sign == "+"
    assert named("no function").kind == "other"


@pytest.mark.filterwarnings("ignore:invalid value")  # Where they have none.
@pytest.mark.parametrize("facts", [f for f in TABLE if f.out], ids=lambda f: f.name)
def test_out_leaves_the_bits_as_they_are(facts):
    """Of each function that is told where to write."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 2.0, (2, 3, 3))
    if facts.name.startswith(("bitwise", "invert")):
        a, b = a > 1, b > 1
    function = getattr(np, facts.name)
    args = {"joining": ([a, b],), "elementwise": (a, b, a)[: facts.operands]}
    args = args.get(facts.kind, (a, b)[: 2 if facts.kind == "linear algebra" else 1])
    expected = function(*args)
    out = np.empty_like(expected)
    assert function(*args, out=out) is out
    assert out.tobytes() == expected.tobytes()


def test_a_cast_of_a_number_is_a_copy():
    def step(x):
        return tg.softmax_cross_entropy(x, [0, 1]), np.sum(x).astype(np.float64)

    replayed, x = tg.compile(step, fused=False), tg.Tensor(np.ones((2, 3), np.float32))
    for _ in range(3):
        for y, expected in zip(replayed(x), step(x), strict=True):
            np.testing.assert_array_equal(y, expected)
            assert y.dtype == expected.dtype
    (program,) = replayed.programs
    casts = [call for call in program if call.name == "astype"]
    assert [call.kind for call in casts] == ["copy", "copy"]
    assert "copied" in next(
        row for row in replayed.plan.splitlines() if "astype" in row
    )
