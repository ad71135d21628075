import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tensorgrad as tg
from tensorgrad import data

SIZES = [(100, 3), (1, 1), (7, 2), (2, 256), (1000, 5)]
SEEDS = [0, 1, 42, 2**32 - 1]
SINES = [1, 10, 1000]

# nnfs.init() replaces functions of NumPy for the whole process, hence another one.
# It prints its arrays' digests, and in between finds ours equal under its changes.
NNFS = f"""
import hashlib
import numpy as np
import nnfs
import nnfs.datasets as theirs
nnfs.init()
from tensorgrad import data as ours

def digest(arrays):
    text = [f"{{a.dtype}}{{a.shape}}".encode() + a.tobytes() for a in arrays]
    return hashlib.sha256(b"".join(text)).hexdigest()

for name in ("spiral", "vertical"):
    for size in {SIZES}:
        for seed in {SEEDS}:
            np.random.seed(seed)
            expected = digest(getattr(theirs, name + "_data")(*size))
            assert digest(getattr(ours, name)(*size, seed)) == expected, name
            print(expected)
for samples in {SINES}:
    expected = digest(theirs.sine_data(samples))
    assert digest(ours.sine(samples)) == expected
    print(expected)
"""


def digest(arrays):
    text = [f"{a.dtype}{a.shape}".encode() + a.tobytes() for a in arrays]
    return hashlib.sha256(b"".join(text)).hexdigest()


@pytest.fixture(scope="module")
def nnfs_digests():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NNFS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def our_digests(shift=0):
    for make in (data.spiral, data.vertical):
        for size in SIZES:
            for seed in SEEDS:
                yield digest(make(*size, (seed + shift) % 2**32))
    for samples in SINES:
        yield digest(data.sine(samples))


def test_the_arrays_have_the_bits_of_nnfs(nnfs_digests):
    assert list(our_digests()) == nnfs_digests


def test_another_seed_is_told_from_those_of_nnfs(nnfs_digests):
    same = [a == b for a, b in zip(our_digests(1), nnfs_digests, strict=True)]
    # A spiral of one sample is at the origin but for signs, and a sine has no seed.
    assert len(SINES) <= sum(same) <= len(SEEDS) + len(SINES)


@pytest.mark.parametrize("make", [data.spiral, data.vertical])
def test_points_and_sorted_labels(make):
    points, labels = make(5, 3)
    assert points.dtype == np.float32
    assert points.shape == (15, 2)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_a_spiral_arm_goes_outwards():
    points, _ = data.spiral(50, 2)
    radius = np.linalg.norm(points.reshape(2, 50, 2), axis=2)
    np.testing.assert_allclose(radius, [np.linspace(0, 1, 50)] * 2, atol=1e-6)


def test_vertical_blobs_stand_a_third_apart():
    points, labels = data.vertical(4000, 3)
    for k in range(3):
        blob = points[labels == k]
        # Standard errors of the mean and deviation are 0.0016 and 0.0011.
        np.testing.assert_allclose(blob.mean(axis=0), [k / 3, 0.5], atol=0.01)
        np.testing.assert_allclose(blob.std(axis=0), 0.1, atol=0.006)


def test_a_seed_is_an_explicit_stream_that_goes_on():
    rng = np.random.RandomState(7)
    points, _ = data.spiral(10, 2, rng)
    assert np.array_equal(points, data.spiral(10, 2, 7)[0])
    expected = np.random.RandomState(7).standard_normal(25)[20:]
    assert np.array_equal(rng.standard_normal(5), expected)


def test_a_generator_is_used_as_given():
    first = data.vertical(10, 2, np.random.default_rng(3))[0]
    again = data.vertical(10, 2, np.random.default_rng(3))[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, data.vertical(10, 2, 3)[0])


def test_none_is_fresh_entropy():
    assert not np.array_equal(data.spiral(10, 2, None)[0], data.spiral(10, 2, None)[0])


def test_a_numpy_integer_is_a_seed():
    assert np.array_equal(data.spiral(9, 2, np.int64(4))[0], data.spiral(9, 2, 4)[0])


@pytest.mark.parametrize("make", [data.spiral, data.vertical])
@pytest.mark.parametrize(
    ("given_", "error", "words"),
    [
        ((0, 3), ValueError, "samples must be at least 1, got 0"),
        ((-1, 3), ValueError, "samples must be at least 1, got -1"),
        ((5, 0), ValueError, "classes must be at least 1, got 0"),
        ((5, 257), ValueError, "at most 256 classes.* got 257"),
        ((5, 3, "seed"), TypeError, "rng must be a seed.* got 'seed'"),
        ((5, 3, -1), ValueError, "[Ss]eed"),
    ],
)
def test_what_cannot_be_drawn(make, given_, error, words):
    with pytest.raises(error, match=words):
        make(*given_)


def test_sine_needs_a_sample():
    with pytest.raises(ValueError, match="sine: samples must be at least 1, got 0"):
        data.sine(0)


SCORES = arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(1, 5)),
    # Few values, so that ties are frequent.
    elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0]),
)


@given(SCORES, st.data())
def test_accuracy_counts_rows_one_by_one(scores, draw):
    n, classes = scores.shape
    row = st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)
    labels = draw.draw(row)
    hits = sum(
        list(s).index(max(s)) == t for s, t in zip(scores.tolist(), labels, strict=True)
    )
    assert data.accuracy(scores, labels) == hits / n
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    assert data.accuracy(scores, one_hot) == hits / n
    soft = 0.9 * one_hot + 0.1 / classes
    assert data.accuracy(tg.Tensor(scores), tg.Tensor(soft)) == hits / n


def test_accuracy_takes_tensors_in_a_graph():
    scores = tg.Tensor([[0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    assert data.accuracy(scores * 2, np.array([1, 1], dtype=np.uint8)) == 0.5


@pytest.mark.parametrize(
    ("scores", "labels", "error", "words"),
    [
        ([1.0, 2.0], [0, 1], ValueError, r"\(n, classes\).* got \(2,\)"),
        (np.zeros((0, 3)), [], ValueError, r"got \(0, 3\)"),
        (np.zeros((2, 0)), [0, 0], ValueError, r"got \(2, 0\)"),
        ([[1, 2]], [0, 1], ValueError, r"shape \(1,\) or rows .* got shape \(2,\)"),
        ([[1, 2]], [[0]], ValueError, r"got shape \(1, 1\)"),
        ([[1, 2]], 0, ValueError, r"got shape \(\)"),
        ([[1, 2]], [0.0], TypeError, "integers, got float64; convert"),
        ([[1, 2]], [2], IndexError, "from 0 to 1 .* got 2"),
        ([[1, 2], [1, 2]], [0, -1], IndexError, "from 0 to 1 .* got -1"),
        ([[1, 2], [np.nan, 2]], [0, 1], ValueError, "row 1 .* NaN"),
        ([["a", "b"]], [0], TypeError, "real numbers"),
    ],
)
def test_what_accuracy_refuses(scores, labels, error, words):
    with pytest.raises(error, match=words):
        data.accuracy(scores, labels)
