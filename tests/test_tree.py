"""Nests of containers: what is looked into, and what comes out as it went in."""

from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field

import pytest

from tensorgrad.core.tree import (
    MISSING,
    container,
    leaves,
    mapped,
    named_leaves,
    nest,
    pairs,
    refilled,
)

Pair = namedtuple("Pair", "a b")


class Stack(list):
    """A list of its own class."""


class Table(dict):
    """A dict of its own class, with an attribute."""

    unit = "m"


@dataclass
class Weights:
    """Two leaves, and what is computed of them."""

    w: object
    b: object
    total: object = field(init=False, default=0)


CONTAINERS = [
    (1, 2),
    [1, 2],
    {"a": 1, "b": 2},
    OrderedDict(b=1, a=2),
    defaultdict(list, a=1, b=2),
    Counter(a=1, b=2),
    deque([1, 2], maxlen=3),
    Pair(1, 2),
]


@pytest.mark.parametrize("x", [*CONTAINERS, slice(1, 2, 3)], ids=repr)
def test_a_container_is_made_again_of_its_own_kind(x):
    again = mapped(x, lambda leaf: 10 * leaf)
    assert type(again) is type(x)
    assert leaves(again) == [10 * leaf for leaf in leaves(x)]
    assert refilled(again, leaves(x)) == x
    assert getattr(again, "maxlen", None) == getattr(x, "maxlen", None)
    assert getattr(again, "default_factory", None) is getattr(
        x, "default_factory", None
    )


@pytest.mark.parametrize("x", [*CONTAINERS, Stack([1, 2]), Weights(1, 2)], ids=repr)
def test_a_nest_may_be_of_any_class(x):
    again = mapped(x, lambda leaf: 10 * leaf, nest)
    assert type(again) is type(x)
    assert leaves(again, nest) == [10, 20]


def test_a_subclass_keeps_its_attributes_where_it_is_looked_into():
    table = Table(a=1)
    table.unit = "s"
    assert mapped(table, lambda leaf: 10 * leaf, nest).unit == "s"
    assert leaves([table]) == [table]
    assert leaves([Stack([1])]) == [Stack([1])]


@pytest.mark.parametrize("x", [1.0, None, "ab", b"ab", {1, 2}, range(3), int], ids=repr)
def test_anything_else_is_a_leaf(x):
    for look in (container, nest):
        assert leaves(x, look) == [x]
        assert mapped((x,), lambda leaf: leaf, look) == (x,)


def test_a_slice_is_looked_into_as_a_container_alone():
    assert leaves((slice(1, None), 2)) == [1, None, None, 2]
    assert leaves((slice(1, None), 2), nest) == [slice(1, None), 2]


def test_each_leaf_is_named_by_its_path():
    x = {"w": [1, Pair(2, 3)], 0: Weights(4, (5,))}
    assert dict(named_leaves("x", x, nest)) == {
        "x['w'][0]": 1,
        "x['w'][1].a": 2,
        "x['w'][1].b": 3,
        "x[0].w": 4,
        "x[0].b[0]": 5,
    }


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1, (2, 3)], [4, (5, 6)], [(1, 4), (2, 5), (3, 6)]),
        ({"a": 1, "b": 2}, {"b": 3, "a": 4}, [(1, 4), (2, 3)]),
        ([1, 2], [1], [(1, 1), (2, MISSING)]),
        ({"a": 1}, {"b": 2}, [(1, MISSING), (MISSING, 2)]),
        ([1], (1,), [([1], (1,))]),
        (slice(1), slice(2), [(None, None), (1, 2), (None, None)]),
    ],
    ids=["nested", "order", "shorter", "keys", "kinds", "slices"],
)
def test_the_leaves_of_two_nests_stand_side_by_side(a, b, expected):
    assert list(pairs(a, b)) == expected
