"""Batches of whatever can be indexed, in an order that can be resumed."""

import threading

import numpy as np
import pytest

from tensorgrad.train import Batches

X = np.arange(22.0).reshape(11, 2)
Y = np.arange(11)


def indices(batches):
    return [labels.tolist() for _, labels in batches]


def test_batches_in_order_are_views():
    batches = Batches(X, Y, batch_size=4, shuffle=False)
    assert len(batches) == 3
    assert indices(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert all(np.shares_memory(x, X) for x, _ in batches)


def test_drop_last():
    batches = Batches(X, Y, batch_size=4, shuffle=False, drop_last=True)
    assert [len(b) for b in indices(batches)] == [4, 4]
    assert len(batches) == 2


@pytest.mark.parametrize("rng", [0, np.random.default_rng(1), np.random.RandomState(1)])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_each_epoch_has_all_samples_in_an_order_of_its_own(rng, prefetch):
    batches = Batches(X, Y, batch_size=3, rng=rng, prefetch=prefetch)
    first, second = indices(batches), indices(batches)
    for epoch in (first, second):
        assert sorted(i for batch in epoch for i in batch) == Y.tolist()
    assert first != second
    for x, y in batches:
        assert (x == X[y]).all()


@pytest.mark.parametrize("kind", ["default", "MT19937", "legacy"])
@pytest.mark.parametrize("taken", [0, 1, 3, 4, 5, 9])
def test_resumed_batches_are_those_that_were_left(kind, taken):
    def made():
        rng = {
            "default": np.random.default_rng,
            "MT19937": lambda s: np.random.Generator(np.random.MT19937(s)),
            "legacy": np.random.RandomState,
        }[kind](5)
        # Others draw from the generator, too.
        return Batches(X, Y, batch_size=3, rng=rng), rng

    def stream(batches, rng):
        while True:
            for _, y in batches:
                yield [*y.tolist(), float(rng.standard_normal())]

    batches, rng = made()
    drawn = stream(batches, rng)
    before = [next(drawn) for _ in range(taken)]
    state = batches.state_dict()
    after = [next(drawn) for _ in range(10)]
    again, rng = made()
    again.load_state_dict(state)
    assert again.position == (taken and (taken - 1) % 4 + 1)
    resumed = stream(again, rng)
    assert [next(resumed) for _ in range(10)] == after
    assert before + after == [*_first(made, stream, taken + 10)]


def _first(made, stream, count):
    whole = stream(*made())
    return (next(whole) for _ in range(count))


def test_samples_of_a_sequence_are_stacked_by_field():
    samples = [(X[i], int(Y[i])) for i in range(11)]
    for x, y in Batches(samples, batch_size=4, rng=0):
        assert (x == X[y]).all()


def test_files_are_read_in_increasing_order():
    class File:
        shape, dtype = X.shape, X.dtype

        def __len__(self):
            return len(X)

        def __getitem__(self, i):
            assert isinstance(i, slice) or (np.diff(i) > 0).all()
            return X[i]

    for x, y in Batches(File(), Y, batch_size=4, rng=0):
        assert (x == X[y]).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    for x, y in Batches(frame, frames.Series(Y), batch_size=4, rng=0):
        assert (x == X[y]).all()
    mixed = frames.DataFrame({"a": X[:, 0], "even": Y % 2 == 0})
    for x, y in Batches(mixed, Y, batch_size=4, rng=0):
        assert x.dtype == X.dtype
        assert (x == np.stack([X[y, 0], y % 2 == 0], axis=1)).all()
    with pytest.raises(TypeError, match=r"\['b'\] of data 1 are not numbers; "):
        Batches([1, 2], frames.DataFrame({"a": [1, 2], "b": ["u", "v"]}))


def test_series_of_pandas_in_another_order():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0]})
    shuffled = pandas.Series(Y).sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match="the same index in different orders"):
        Batches(frame, shuffled)
    Batches(frame, shuffled.loc[frame.index])
    Batches(frame, shuffled.to_numpy())
    Batches(frame, shuffled.set_axis([f"row {i}" for i in Y]))


def test_an_error_of_the_thread_is_raised_where_the_batch_is_asked_for():
    class Broken(list):
        def __getitem__(self, i):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(Batches(Broken([1, 2]), prefetch=1))


def test_a_loop_that_is_left_stops_its_thread():
    for _ in Batches(X, Y, batch_size=1, prefetch=1):
        break
    assert not any(t.name == "batches" for t in threading.enumerate())


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((X, Y[:-1]), {}, r"lengths \[11, 10\]"),
        ((X[:0],), {}, r"lengths \[0\]"),
        ((), {}, r"lengths \[\]"),
        ((X,), {"batch_size": 0}, "batch_size of at least 1"),
        ((X,), {"prefetch": -1}, "prefetch of at least 0"),
        ((iter(X),), {}, "make a list of it first"),
    ],
)
def test_bad_input(data, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Batches(*data, **options)


def test_samples_of_different_shapes():
    with pytest.raises(ValueError, match="pad or cut"):
        list(Batches([np.ones(2), np.ones(3)]))
