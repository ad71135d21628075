"""Explanations: what is told is what happens, nothing is changed by telling it."""

import ast
import base64
import functools
import gzip
import html
import inspect
import itertools
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
from battery import SMOOTH, described_calls
from tensors import as_tuple

import tensorgrad as tg
from tensorgrad.core.observe import observed, observers
from tensorgrad.explanation.boxes import boxes
from tensorgrad.explanation.drawing import LOW
from tensorgrad.explanation.layout import KNOT, layout
from tensorgrad.explanation.mathematics import declared
from tensorgrad.explanation.sections import FEW, Group, grouped, steps_of
from tensorgrad.explanation.steps import Variable, summary
from tensorgrad.explanation.text import KEEP, WIDTH

ROOT = Path(__file__).resolve().parents[1]
SVG = "{http://www.w3.org/2000/svg}"
BIG = 10_000


def small():
    """Return a small computation: two ways into h, and a bias used three times."""
    x = tg.Tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    w = tg.Tensor([[0.3, 1.0], [2.0, -1.0]], requires_grad=True)
    b = tg.Tensor([0.1, 0.2], requires_grad=True)
    h = tg.relu(x @ w + b)
    loss = (h * h).mean() + np.sum(np.stack([b, b * 2]))
    return x, w, b, h, loss


def long(turns):
    """Return a loop that was gone through many times, six operations a turn."""
    w = tg.Tensor(np.eye(2) * 0.5, requires_grad=True)
    b = tg.Tensor([0.1, 0.2], requires_grad=True)
    state = tg.Tensor(np.ones((1, 2)))
    for _ in range(turns):
        state = state @ w
        state = tg.tanh(state) * 0.9
        state = state + 0.01 * b.sum()
    return state.sum()


def weighted(outputs):
    """Return a sum of all outputs with different weights, as one tensor."""
    tensors = (y for y in as_tuple(outputs) if isinstance(y, tg.Tensor))
    live = [y for y in tensors if y.requires_grad]
    parts = [(y * np.linspace(0.5, 1.5, y.size).reshape(y.shape)).sum() for y in live]
    return sum(parts[1:], parts[0])


def telling():
    """Return the explanation of the small computation, with its names."""
    x, w, b, h, loss = small()  # noqa: RUF059
    return tg.explain(loss)


def assert_readable(told):
    """Private functions of the library mean nothing to a reader."""
    for step in told.steps:
        for text in (step.expression, *(way.rule for way in step.ways)):
            assert text
            assert not re.search(r"\b_\w|vjp|lambda|\$|None\[", text), text


# The numbers are those of backward.


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_those_of_backward_and_rules_can_be_read(name):
    for call in described_calls(name):
        inputs = [tg.Tensor(a, requires_grad=True) for a in call.arrays]
        loss = weighted(call(*inputs))
        told = tg.explain(loss, names={f"i{k}": x for k, x in enumerate(inputs)})
        assert all(x.grad is None for x in inputs)
        assert_readable(told)
        loss.backward()
        found = {v.name: v.gradient for v in told.variables}
        for k, x in enumerate(inputs):
            gradient = found.get(f"i{k}")
            if x.grad is None:
                assert gradient is None
            else:
                np.testing.assert_array_equal(gradient, x.grad.numpy())


def test_ways_add_up_to_what_arrives():
    told = telling()
    arrived = {}
    for step in told.steps:
        for way in step.ways:
            arrived[way.to] = arrived.get(way.to, 0) + way.gradient
    for thing, total in arrived.items():
        g = thing.gradient if isinstance(thing, Variable) else thing.incoming
        np.testing.assert_allclose(g, total, rtol=1e-15)


def test_axes_that_were_summed_are_named():
    x = tg.Tensor(np.ones((4, 2, 3)), requires_grad=True)
    b = tg.Tensor(np.ones((2, 1)), requires_grad=True)
    step = tg.explain(x + b).steps[-1]
    (plain, summed) = step.ways
    assert plain.summed == ()
    assert (summed.summed, summed.before) == ((0, 2), (4, 2, 3))
    assert "summed over axes 0, 2" in str(tg.explain(x + b))


def test_several_outputs():
    w = tg.Tensor([[0.3, 1.0], [2.0, -1.0]], requires_grad=True)
    q, r = np.linalg.qr(w)
    told = tg.explain((q * r).sum())
    first, *_ = told.steps
    assert first.expression == "qr(w)"
    assert [s.expression for s in told.steps[1:3]] == ["t1[0]", "t1[1]"]
    assert [s.name for s in told.steps[1:3]] == ["q", "r"]
    np.testing.assert_array_equal(first.incoming[0], r.numpy())
    np.testing.assert_array_equal(first.incoming[1], q.numpy())


def test_a_call_that_is_made_again():
    x, w = (tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    told = tg.explain(tg.checkpoint(lambda t: np.exp(t * w))(x).sum())
    assert [s.operation for s in told.steps] == ["bundle", "checkpoint", "sum"]
    for v in told.variables:
        np.testing.assert_allclose(v.gradient, [np.e, 2 * np.exp(4)])
    assert "to t1:  g  [2.718, 109.2] and [2.718, 109.2]" in str(told)


def test_a_gradient_that_comes_in_is_taken():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    told = tg.explain(x * 3, gradient=[1.0, 10.0])
    np.testing.assert_array_equal(told.variables[0].gradient, [3.0, 30.0])


def test_hooks_are_heeded():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    handle = x.register_hook(lambda g: g * 10)
    np.testing.assert_array_equal(tg.explain(x.sum()).variables[0].gradient, [10, 10])
    handle.remove()


# Nothing is changed.


def test_explaining_changes_nothing():
    x, w, b, _, loss = small()
    w.grad = tg.Tensor(np.full((2, 2), 7.0))
    node = loss.node
    before = node.saved, node.parents
    str(tg.explain(loss)), tg.explain(loss).html()
    assert x.grad is None
    assert b.grad is None
    np.testing.assert_array_equal(w.grad.numpy(), np.full((2, 2), 7.0))
    assert loss.node is node
    assert (node.saved, node.parents) == before
    loss.backward()
    assert x.grad is not None


def test_explaining_does_not_keep_the_graph_alive():
    *_, loss = small()
    told = tg.explain(loss)
    loss.backward()
    assert "gradients" in str(told)


# Names.


def test_names_of_variables_are_found():
    told = telling()
    assert [v.name for v in told.variables] == ["x", "w", "b"]
    names = " ".join(step.name for step in told.steps)
    assert names == "t1 t2 h t4 t5 t6 t7 t8 loss"
    assert told.steps[3].expression == "h * h"
    assert told.steps[3].ways[0].rule == "g * h"


def test_names_within_lists_and_models():
    class Net(tg.nn.Module):
        def __init__(self):
            self.scale = tg.Tensor([2.0, 3.0], requires_grad=True)
            self.inner = [tg.nn.Dense(2, 2, rng=0)]

        def forward(self, x):
            return self.inner[0](x) * self.scale

    net = Net()
    weights = [tg.Tensor([1.0, 1.0], requires_grad=True)]
    told = tg.explain((net(np.ones((3, 2), np.float32)) * weights[0]).sum())
    assert {v.name for v in told.variables} == {
        "net.scale",
        "net.inner[0].weight",
        "net.inner[0].bias",
        "weights[0]",
    }


def test_given_names_come_first():
    x = tg.Tensor([1.0], requires_grad=True)
    told = tg.explain(x * 2, names={"speed": x})
    assert told.steps[0].expression == "speed * 2"


def test_arrays_of_the_caller_have_names():
    x = tg.Tensor(np.ones((2, 2)), requires_grad=True)
    data = np.arange(4.0).reshape(2, 2)
    fixed = tg.Tensor(data + 1)
    assert tg.explain(x * data).steps[0].ways[0].rule == "g * data"
    assert tg.explain(x * fixed).steps[0].expression == "x * fixed"
    assert tg.explain(x * (data + 2)).steps[0].expression == "x * array(2, 2)"


@pytest.mark.parametrize(
    ("make", "expression", "rule"),
    [
        (lambda a, b: a @ b, "a @ b", "g @ bᵀ"),
        (lambda a, b: tg.mean(a), "mean(a)", "broadcast_to(g / 4, a.shape)"),
        (
            lambda a, b: tg.sum(a, axis=1),
            "sum(a, axis=1)",
            "broadcast_to(expand_dims(g, 1), a.shape)",
        ),
        (lambda a, b: np.sum(a, keepdims=True), "sum(a, keepdims=True)", None),
        (lambda a, b: a**2, "a ** 2", None),
        (lambda a, b: a - b, "a - b", "g"),
        (lambda a, b: np.stack([a, b], axis=1), "stack(a, b, axis=1)", "g[:, 0, :]"),
        (lambda a, b: np.concatenate([a, b]), "concatenate(a, b)", "g[0:2, :]"),
        (lambda a, b: a[0, 1:], "a[0, 1:]", None),
        (lambda a, b: a.reshape(4), "reshape(a, (4,))", "g.reshape(a.shape)"),
        (lambda a, b: a.transpose(1, 0), None, "g.transpose((1, 0))"),
        (lambda a, b: np.hypot(a, b), "hypot(a, b)", "g * (a / t1)"),
        (lambda a, b: tg.sigmoid(a), "sigmoid(a)", "g * (t1 * (1 - t1))"),
        (
            lambda a, b: np.einsum("ij,jk->ik", a, b),
            "einsum(a, b, 'ij,jk->ik')",
            "einsum('ik,jk->ij', g, b)",
        ),
        (
            lambda a, b: tg.softmax_cross_entropy(a, [0, 1]),
            None,
            "g * (p - target) / n",
        ),
        (lambda a, b: -a, "-a", "-g"),
        (lambda a, b: np.floor(a), "floor(a)", "0"),
    ],
)
def test_expressions_and_rules(make, expression, rule):
    a = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    b = tg.Tensor([[0.5, 1.0], [2.0, 1.0]], requires_grad=True)
    step = tg.explain(make(a, b)).steps[-1]
    assert expression in (None, step.expression)
    assert rule in (None, step.ways[0].rule)


def test_the_second_rule_of_subtract_is_not_the_first():
    # Both are lambdas of g alone and stand on one line.
    a = tg.Tensor(1.0, requires_grad=True)
    b = tg.Tensor(2.0, requires_grad=True)
    assert [way.rule for way in tg.explain(a - b).steps[0].ways] == ["g", "-g"]


def test_rules_of_an_own_operation():
    @tg.primitive
    def shifted(x, by):
        return x + 2 * by

    def rule(g):
        """Return `g * 2`: the shift counts twice."""
        return g + g

    shifted.vjp(x=lambda g: g, by=rule)
    a = tg.Tensor(1.0, requires_grad=True)
    b = tg.Tensor(2.0, requires_grad=True)
    told = tg.explain(shifted(a, b)).steps[0]
    assert told.expression == "shifted(a, b)"
    assert [w.rule for w in told.ways] == ["g", "g * 2"]
    assert told.ways[1].remark == "the shift counts twice"


def test_a_rule_without_source_is_named():
    names = {"tg": tg}
    exec(  # as at a prompt that keeps no lines
        "@tg.primitive\ndef f(x):\n    return x\nf.vjp(x=lambda g: g)\n", names
    )
    told = tg.explain(names["f"](tg.Tensor(1.0, requires_grad=True)))
    assert told.steps[0].ways[0].rule == "<lambda>"


def explained_rule(rule):
    """Return how the rule of an operation of the user's reads."""

    @tg.primitive
    def own(x):
        return 2 * x

    own.vjp(x=rule)
    return tg.explain(own(tg.Tensor(1.0, requires_grad=True))).steps[0].ways[0].rule


class Twice:
    """A rule that is no function of Python's."""

    def __call__(self, g):
        """Return twice what it is given."""
        return 2 * g


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (functools.partial(lambda k, g: k * g, 2), "partial"),
        (Twice(), "Twice"),
        (Twice().__call__, "__call__"),
    ],
)
def test_a_rule_that_is_no_function_is_named(rule, name):
    assert explained_rule(rule) == name


def test_a_docstring_need_not_quote_python():
    def rule(g):
        """Return `twice the gradient`."""
        return 2 * g

    def longer(g):
        """Add the `gradient itself` twice."""
        for _ in range(1):
            g = g + g
        return g

    assert explained_rule(rule) == "2 * g"
    assert explained_rule(longer) == "add the gradient itself twice"


# What docstrings declare.

# What formulas speak of besides arguments and functions of NumPy: `n` counts elements,
# `lower` is a triangle, and the way back of an einsum is itself one.
SPOKEN_OF = {"inv", "lower", "n", "reversed", "_way_back"}

OPTIONS = {"axis": None, "keepdims": False, "where": True, "ddof": 0, "ord": 3.0}


def declaring():
    """Return the functions of the library whose docstring declares a formula."""
    modules = sorted(m for m in sys.modules if m.startswith("tensorgrad.ops"))
    return [
        f
        for name in modules
        for f in vars(sys.modules[name]).values()
        if isinstance(f, FunctionType) and f.__module__ == name and declared(f)
    ]


def unknown_names(function):
    """Return the names in a formula that tell a reader nothing."""
    tree, _ = declared(function)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    arguments = set(inspect.signature(function).parameters)
    return {n for n in names - arguments - SPOKEN_OF if not hasattr(np, n)}


def formula_error(function):
    """Return how far a formula is from what its function returns, None if unknown."""
    tree, _ = declared(function)
    rng = np.random.default_rng(0)
    parameters = inspect.signature(function).parameters
    values = {name: rng.uniform(0.2, 0.9, 3) for name in parameters}
    values |= {name: v for name, v in OPTIONS.items() if name in parameters}
    if "axis" in values:  # reduced, as the result is
        values |= {name: np.array(0.7) for name in ("g", "y") if name in parameters}
    if "target" in values:  # one row for each example
        values |= {"p": rng.uniform(size=(3, 3)), "target": np.eye(3), "g": 0.7}
    if "center" in values:
        values["center"] = np.mean(values["a"])
    scope = {**vars(np), "n": 3, **values}
    code = compile(ast.Expression(tree), "", "eval")
    try:
        expected = eval(code, scope)
    except (NameError, TypeError):
        return None
    return np.max(np.abs(np.asarray(function(**values)) - expected))


@pytest.mark.parametrize("function", declaring(), ids=lambda f: f.__name__)
def test_declared_formulas_speak_of_arguments_and_are_right(function):
    assert not unknown_names(function)
    error = formula_error(function)
    assert error is None or error < 1e-12


def test_most_declared_formulas_are_compared():
    every = [formula_error(function) for function in declaring()]
    assert len(every) > 15
    assert sum(error is not None for error in every) > 0.7 * len(every)


def test_a_wrong_formula_would_be_seen():
    def rule(g, x):
        """Return `g * sin(x)`, wrongly."""
        return g * np.cos(x)

    def renamed(g, angle):
        """Return `g * cos(x)`, of an argument of another name."""
        return g * np.cos(angle)

    assert formula_error(rule) > 0.1
    assert unknown_names(renamed) == {"x"}


# What is kept.


def test_watching_keeps_every_value_and_the_layers():
    model = tg.nn.Sequential(tg.nn.Dense(2, 3, rng=0), tg.nn.ReLU())
    x = np.ones((4, 2), np.float32)
    with tg.watching():
        inside = (model(x) + 1).sum()
    outside = (model(x) + 1).sum()
    assert all(s.value is not None for s in tg.explain(inside).steps)
    assert any(s.value is None for s in tg.explain(outside).steps)
    modules = [s.modules for s in tg.explain(inside).steps]
    assert modules[:2] == [("model", "model.layers[0]"), ("model", "model.layers[1]")]
    assert modules[2:] == [(), ()]


def test_a_function_is_called_and_watched():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    told = tg.explain(lambda a: ((a + 3) * 2).sum(), x)
    assert [s.expression for s in told.steps] == ["x + 3", "t1 * 2", "sum(t2)"]
    np.testing.assert_array_equal(told.steps[0].value, [4, 5])
    assert not observers


# What cannot be explained.


def test_a_freed_graph_names_the_remedy():
    *_, loss = small()
    loss.backward()
    with pytest.raises(tg.GraphError, match="before its backward") as caught:
        tg.explain(loss)
    assert "retain_graph=True" in str(caught.value)
    *_, loss = small()
    loss.backward(retain_graph=True)
    assert tg.explain(loss).steps


@pytest.mark.parametrize(
    "thing", [tg.Tensor([1.0]), tg.Tensor([1.0], requires_grad=True), 3.0]
)
def test_what_was_not_computed_is_refused(thing):
    with pytest.raises(tg.GraphError, match="requires_grad=True"):
        tg.explain(thing)


def test_what_was_overwritten_is_not_told_as_if_it_were_right():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    with tg.no_grad():
        x += 1
    with pytest.raises(tg.MutationError):
        tg.explain(y)


# Text.


def test_text_fits_and_says_once_how_to_keep_values():
    text = str(telling())
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count(KEEP) == 1
    assert "loss" in text.splitlines()[0]
    model = tg.nn.Sequential(
        *(tg.nn.Dense(n, n + 1, rng=0) for n in range(2, 8)), tg.nn.Softmax()
    )
    with tg.watching():
        y = tg.nn.Sequential(model, tg.nn.Dense(8, 3, rng=0))(np.ones((4, 2), "f4"))
        loss = (y * 123456789).sum(axis=0, keepdims=True).mean(axis=1)
    text = str(tg.explain(loss))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert KEEP not in text


def test_text_of_a_long_graph_is_short():
    text = str(tg.explain(long(100)))
    assert len(text.splitlines()) < 250
    assert "... 561 more ..." in text


def test_columns_are_aligned():
    lines = str(telling()).splitlines()
    told = [line for line in lines if re.match(r"    \w+ += .*float64", line)]
    assert len(told) == 9
    assert len({line.index("float64") for line in told}) == 1
    assert len({line.index(" = ") for line in told}) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array(3.0), "3"),
        (np.array([[1.0, -0.0]]), "[[1, 0]]"),
        (np.zeros((0, 2)), "empty"),
        (np.array([1, 2, 3, np.nan, np.inf]), "1 to 3, mean 2, 2 not finite"),
        (np.full(9, np.nan), "nothing finite"),
        (np.float32([1, -1, 1e-9, 0, 0]), "-1 to 1, mean 0"),
        (None, "-"),
        ((np.array(1.0), np.array(2.0)), "1 and 2"),
    ],
)
def test_summary(value, words):
    assert summary(value) == words


# Mermaid and DOT.

MERMAID = re.compile(
    r'    (n\d+)(?:\(\["[^"\n]*"\]\)|\[\["[^"\n]*"\]\]|\["[^"\n]*"\])$|'
    r"    (n\d+) --> (n\d+)$"
)
DOT = re.compile(
    r'    (n\d+) \[label="(?:[^"\\\n]|\\.)*"(?:, style=\w+)?\];$|    (n\d+) -> (n\d+);$'
)


def graphs():
    x = tg.Tensor(np.ones((2, 2)), requires_grad=True)
    odd = {'a "quoted" <name>\\': x}
    yield telling()
    yield tg.explain(np.einsum("ij,jk->ik", x, x).sum(), names=odd)
    yield tg.explain(long(50))


@pytest.mark.parametrize(
    ("language", "pattern", "head", "tail"),
    [("mermaid", MERMAID, 1, None), ("dot", DOT, 2, -1)],
)
def test_graph_languages(language, pattern, head, tail):
    for told in graphs():
        lines = getattr(told, language)().splitlines()
        found = [pattern.match(line) for line in lines[head:tail]]
        assert all(found), lines
        defined = {m[1] for m in found if m[1]}
        edges = [(m[2], m[3]) for m in found if m[2]]
        assert edges
        assert {name for edge in edges for name in edge} == defined
    assert lines[0] == ("flowchart TD" if language == "mermaid" else "digraph {")


def test_a_slip_in_a_graph_language_would_be_seen():
    assert not MERMAID.match('    n0["a "b""]')
    assert not DOT.match('    n0 [label="a "b""];')


# The drawing.


def tangle(seed):
    """Return a computation with arrows over many layers."""
    rng = np.random.default_rng(seed)
    things = [tg.Tensor(rng.normal(size=3), requires_grad=True) for _ in range(3)]
    for _ in range(25):
        a, b = rng.choice(len(things), 2)
        things.append(things[a] + things[b])
    return sum(things[1:], things[0])


def rectangles(drawing):
    for box in drawing.iter(f"{SVG}g"):
        r = {k: float(v) for k, v in box.find(f"{SVG}rect").attrib.items()}
        yield int(box.get("data-box")), r["x"], r["y"], r["width"], r["height"]


def along(path):
    """Yield points on a path of M, V and C."""
    x = y = 0.0
    for kind, text in re.findall(r"([MVC])([^MVC]*)", path):
        n = [float(v) for v in text.split()]
        if kind == "M":
            x, y = n
        elif kind == "V":
            ends, y = (y, n[0]), n[0]
            yield from ((x, ends[0] + t * (y - ends[0])) for t in np.linspace(0, 1, 9))
        else:
            p = np.array([(x, y), *np.reshape(n, (3, 2))])
            for t in np.linspace(0, 1, 21):
                s = 1 - t
                yield tuple(np.array([s**3, 3 * s * s * t, 3 * s * t * t, t**3]) @ p)
            x, y = n[4:]


@pytest.mark.parametrize("seed", range(6))
def test_no_arrow_runs_behind_a_box_and_no_box_on_another(seed):
    drawing = ET.fromstring(tg.explain(tangle(seed)).svg())
    found = list(rectangles(drawing))
    for (_, x, y, w, h), (_, u, v, s, t) in itertools.combinations(found, 2):
        assert x + w <= u or u + s <= x or y + h <= v or v + t <= y
    paths = [p for p in drawing.iter(f"{SVG}path") if p.get("data-from")]
    assert len(paths) > 20
    for path in paths:
        ends = {int(path.get("data-from")), int(path.get("data-to"))}
        for px, py in along(path.get("d")):
            for number, x, y, w, h in found:
                inside = x < px < x + w and y < py < y + h
                assert number in ends or not inside


def test_layers_descend_and_long_arrows_have_knots():
    drawn = boxes(grouped(tg.explain(tangle(0)).steps))
    places, ways = layout(drawn, LOW, 6)
    assert min(p.width for p in places.values()) > KNOT
    layers = sorted({p.y for p in places.values()})
    for (source, box), points in ways.items():
        above, below = places[source].y, places[box].y
        assert above < below
        assert [y for _, y in points] == [y for y in layers if above < y < below]


def test_a_variable_that_is_used_often_stands_beside_its_users():
    drawn = boxes(grouped(telling().steps))
    titles = [box.title for box in drawn]
    assert titles.count("b") == 3
    assert titles.count("x") == titles.count("w") == 1


def test_a_chain_is_straight():
    y = tg.Tensor([1.0], requires_grad=True)
    for _ in range(5):
        y = tg.tanh(y)
    places = layout(boxes(grouped(tg.explain(y).steps)), LOW, 6).places
    assert len({round(p.x, 6) for p in places.values()}) == 1


# Large graphs.


def every_group(parts):
    for part in parts:
        if isinstance(part, Group):
            yield part
            yield from every_group(part.parts)


def test_a_large_graph_is_grouped_into_drawings_of_few_boxes():
    told = tg.explain(long(BIG // 6))
    assert len(told.steps) > BIG - 6
    parts = grouped(told.steps)
    assert [s for part in parts for s in steps_of(part)] == told.steps
    groups = list(every_group(parts))
    assert all(len(boxes(g.parts)) <= 3 * FEW for g in groups)
    assert len(boxes(parts)) <= 2 * FEW
    assert "turn 34 of 1666" in {g.title for g in groups}
    assert {g.note for g in groups} == {"state = state @ w"}


def test_the_page_of_a_large_graph_is_small():
    page = tg.explain(long(BIG // 6)).html()
    assert len(page) < 5_000_000
    data = data_of(page)
    # The turns of the loop share a drawing.
    assert len(data["views"]) > 1000
    assert len(data["drawings"]) < 20
    assert sum(map(len, data["drawings"])) < 500_000


def test_layers_are_grouped():
    model = tg.nn.Sequential(*(Twice() for _ in range(FEW // 2 + 1)))
    x = tg.Tensor(np.ones(2), requires_grad=True)
    with tg.watching():
        y = model(x)
    parts = grouped(tg.explain(y).steps)
    assert [p.title for p in parts[:2]] == ["model.layers[0]", "model.layers[1]"]
    assert all(len(p.parts) == 2 for p in parts)


class Twice(tg.nn.Module):
    def forward(self, x):
        return (x * 2) * 3


# The page, and Jupyter.


def data_of(page):
    packed = re.search(r'<script id="data"[^>]*>(.*?)</script>', page)[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_the_page_holds_all_that_is_told():
    told = telling()
    page = told.html()
    assert not re.search(r'(?:src|href)="|@import|url\((?!#)', page)
    data = data_of(page)
    assert [s["name"] for s in data["steps"]] == [s.name for s in told.steps]
    assert [v["name"] for v in data["variables"]] == ["x", "w", "b"]
    gradient = data["arrays"][data["variables"][2]["gradient"]]
    assert gradient["summary"] == "[6.125, 4.6]"
    assert gradient["rows"] == [["6.125", "4.6"]]


def test_a_name_cannot_break_out_of_the_page():
    x = tg.Tensor([1.0], requires_grad=True)
    page = tg.explain(x * 2, names={"</script><b>": x}).html()
    assert page.count("<b>") == 0


def test_pages_are_the_same_each_time():
    *_, loss = small()
    assert tg.explain(loss).html() == tg.explain(loss).html()


def test_jupyter_shows_the_page_and_the_drawing():
    told = telling()
    frame = re.fullmatch('<iframe srcdoc="([^"]*)"[^>]*></iframe>', told._repr_html_())
    assert html.unescape(frame[1]) == told.html()
    assert ET.fromstring(told._repr_svg_()).tag == f"{SVG}svg"


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        ("html", "<!doctype html>"),
        ("svg", "<svg"),
        ("mmd", "flowchart"),
        ("dot", "digraph"),
        ("txt", "loss: 9 operations"),
    ],
)
def test_save(tmp_path, ending, start):
    loss = small()[-1]
    path = tmp_path / f"graph.{ending}"
    tg.explain(loss).save(path)
    assert path.read_text("utf-8").startswith(start)


def test_save_refuses_other_endings(tmp_path):
    with pytest.raises(ValueError, match=r"\.html, \.svg"):
        telling().save(tmp_path / "graph.png")


# Who looks on.


def test_observers_see_operations_and_are_sent_away():
    seen = []
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with observed(lambda *told: seen.append(told)):
        y = x * 3
        with pytest.raises(TypeError):
            y.reshape("two")
    x * 4
    ((node, arguments, output),) = seen
    assert node is y.node
    np.testing.assert_array_equal(arguments[0], [1, 2])
    assert arguments[1] == 3
    np.testing.assert_array_equal(output, [3, 6])
    assert not observers


def test_observers_within_each_other():
    inner, outer = [], []
    x = tg.Tensor([1.0], requires_grad=True)
    with observed(lambda *told: outer.append(told)):
        with observed(lambda *told: inner.append(told)):
            x * 2
        x * 3
    assert (len(inner), len(outer)) == (1, 2)


# The how-to shows what is printed.


def test_the_page_of_the_documentation_shows_what_is_printed(tmp_path):
    page = (ROOT / "docs/howto/explain.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    shown = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1]
    (tmp_path / "example.py").write_text(code, "utf-8")
    command = [sys.executable, "example.py"]
    child = subprocess.run(
        command, capture_output=True, check=True, cwd=tmp_path, text=True
    )
    assert child.stdout == shown
    picture = (ROOT / "docs/_static/explain.svg").read_text("utf-8")
    assert (tmp_path / "explain.svg").read_text("utf-8") == picture, (
        "run python docs/make_explanation.py"
    )
