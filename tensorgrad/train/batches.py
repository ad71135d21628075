"""Batches of anything that can be indexed."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..random import normals

T = TypeVar("T")
Array = NDArray[Any]
Generator = np.random.Generator | np.random.RandomState

__all__ = ["Batches"]


class Batches:
    """The batches of an epoch, each time it is iterated over.

    Parameters
    ----------
    *data : array_like, data frame or sequence
        All of one length, a sample at each index. Of arrays, data frames of numbers
        (pandas, polars) and what has a shape as an array (memory maps, datasets of
        HDF5), batches are arrays. Of other sequences, such as a list of pairs, samples
        are stacked field by field.
    batch_size : int
        Samples of a batch; the last one of an epoch may have fewer.
    shuffle : bool
        Whether each epoch has an order of its own. In the order they have, batches of
        arrays are views, and nothing is copied.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the order is drawn from; fresh entropy for None.
    drop_last : bool
        Whether to leave out a last batch of fewer samples.
    prefetch : int
        Batches that a thread gets ready while others are used; 0 for no thread.

    Attributes
    ----------
    position : int
        Batches of the present epoch that have been yielded.

    Raises
    ------
    TypeError
        If data have no length, or are not numbers.
    ValueError
        If their lengths differ, there are no samples, a count is out of range, or data
        of pandas have the same index in different orders.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> for inputs, labels in Batches(x, y, batch_size=2, shuffle=False):
    ...     print(inputs.shape, labels)
    (2, 2) [0 1]
    (2, 2) [2 3]
    (1, 2) [4]
    """

    def __init__(
        self,
        *data: Any,
        batch_size: int = 32,
        shuffle: bool = True,
        rng: Generator | int | None = None,
        drop_last: bool = False,
        prefetch: int = 0,
    ) -> None:
        _check_order(data)
        self.sources = [_source(i, part) for i, part in enumerate(data)]
        self.samples = _common_length(self.sources)
        if batch_size < 1 or prefetch < 0:
            raise ValueError(
                "Batches: expected batch_size of at least 1 and prefetch of at least "
                f"0, got {batch_size} and {prefetch}"
            )
        self.batch_size = min(batch_size, self.samples)
        self.shuffle, self.drop_last, self.prefetch = shuffle, drop_last, prefetch
        # The protocol asks for less than is needed here.
        self.rng: Any = normals(rng)
        self.position = 0
        self._drawn: Any = None
        self._resumed: dict[str, Any] | None = None

    def __len__(self) -> int:
        if self.drop_last:
            return self.samples // self.batch_size
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        order, first = self._order(), self.position
        batches = (self._batch(order, i) for i in range(first, len(self)))
        for batch in ahead(batches, self.prefetch) if self.prefetch else batches:
            self.position += 1
            yield batch
        self.position = 0

    def at(self, number: int) -> tuple[Any, ...]:
        """Return a batch of the data in the order they have.

        Parameters
        ----------
        number : int
            From 0.

        Returns
        -------
        tuple of arrays
            One for each of the data, or each field of their samples.
        """
        return self._batch(None, number)

    def state_dict(self) -> dict[str, Any]:
        """Return where in which epoch this is, for a checkpoint.

        Returns
        -------
        dict
            For `load_state_dict`, after which the next iteration yields the batches
            that are left of this epoch.
        """
        now = random_state(self.rng)
        drawn = self._drawn if self.position else now
        return {"position": self.position, "drawn": drawn, "now": now}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was called.

        Parameters
        ----------
        state : dict
            What `state_dict` returned.
        """
        self.position, self._resumed = state["position"], state
        set_random_state(self.rng, state["now"])

    def _order(self) -> Array | None:
        """Draw the order of an epoch, or draw again that of the epoch to go on with."""
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            self.position = 0
        if not self.shuffle:
            return None
        now = random_state(self.rng)
        if resumed is not None:
            set_random_state(self.rng, resumed["drawn"])
        self._drawn = random_state(self.rng)
        order: Array = self.rng.permutation(self.samples)
        # Others may draw from it as well, and have since.
        if resumed is not None and resumed["position"]:
            set_random_state(self.rng, now)
        return order

    def _batch(self, order: Array | None, number: int) -> tuple[Any, ...]:
        part = slice(number * self.batch_size, (number + 1) * self.batch_size)
        indices = part if order is None else order[part]
        batch: list[Any] = []
        for source in self.sources:
            fields = _taken(source, indices, self.samples)
            batch += fields if isinstance(fields, list) else [fields]
        return tuple(batch)


def ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """Yield items that a thread computes up to `count` ahead."""
    ready: queue.Queue[Callable[[], T] | None] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: Callable[[], T] | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.05)
                return

    def work() -> None:
        try:
            for item in items:
                put(lambda item=item: item)  # type: ignore[misc]
                if stopped.is_set():
                    return
        except BaseException as error:
            put(lambda error=error: _raised(error))  # type: ignore[misc]
        put(None)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            yield item()
    finally:
        stopped.set()
        thread.join()


def _raised(error: BaseException) -> Any:
    raise error


def random_state(rng: Any) -> Any:
    """Return the state of a generator, of either kind NumPy has."""
    if isinstance(rng, np.random.RandomState):
        return rng.get_state(legacy=False)
    return rng.bit_generator.state


def set_random_state(rng: Any, state: Any) -> None:
    """Put a generator into the state that `random_state` returned."""
    if isinstance(rng, np.random.RandomState):
        rng.set_state(state)
    else:
        rng.bit_generator.state = state


def _source(number: int, data: Any) -> Any:
    """Return data as an array where they are one, or as they are."""
    if hasattr(data, "to_numpy"):  # of pandas or polars
        data = _values(number, data)
    elif hasattr(data, "numpy") and not isinstance(data, np.ndarray):
        data = data.numpy()
    elif not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise TypeError(
            f"Batches: data {number} must have a length and items, got "
            f"{type(data).__name__}; make a list of it first"
        )
    if isinstance(data, np.ndarray) and data.dtype.hasobject:
        raise TypeError(
            f"Batches: data {number} are not numbers but of dtype {data.dtype}; encode "
            "text and categories first, with scikit-learn's OrdinalEncoder for example"
        )
    return data


def _values(number: int, frame: Any) -> Any:
    """Return what a data frame or a series holds as one array."""
    array = frame.to_numpy()
    if not array.dtype.hasobject or not hasattr(frame, "columns"):
        return array
    # Numbers and booleans side by side are objects to pandas, not to NumPy.
    polars = hasattr(frame, "get_columns")
    series = frame.get_columns() if polars else [s for _, s in frame.items()]
    columns = [s.to_numpy() for s in series]
    pairs = zip(series, columns, strict=True)
    if others := [s.name for s, x in pairs if x.dtype.kind not in "biuf"]:
        raise TypeError(
            f"Batches: columns {others!s:.60} of data {number} are not numbers; "
            "encode text and categories first, with scikit-learn's OrdinalEncoder for "
            "example, and fill in what is missing"
        )
    return np.stack(columns, axis=1)


def _check_order(data: tuple[Any, ...]) -> None:
    """Raise ValueError where the rows of pandas' data are of different samples."""
    indices = [x.index for x in data if hasattr(x, "to_numpy") and hasattr(x, "index")]
    for index in indices[1:]:
        if not index.equals(indices[0]) and set(index) == set(indices[0]):
            raise ValueError(
                "Batches: two of the data have the same index in different orders, and "
                "samples are paired by position; align them, as with y.loc[X.index], "
                "or pass .to_numpy() where the positions are right"
            )


def _common_length(sources: list[Any]) -> int:
    lengths = [len(source) for source in sources]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(
            "Batches: expected data of one length, of at least one sample, got "
            f"lengths {lengths}"
        )
    return lengths[0]


def _taken(source: Any, indices: Any, samples: int) -> Any:
    """Return the samples at a slice or at indices: an array, or a list of fields."""
    if isinstance(source, np.ndarray):
        return source[indices]
    if hasattr(source, "shape") and hasattr(source, "dtype"):
        if isinstance(indices, slice):
            return np.asarray(source[indices])
        # Files are read in increasing order.
        back = np.empty(len(indices), np.intp)
        back[order := np.argsort(indices)] = np.arange(len(indices))
        return np.asarray(source[indices[order]])[back]
    if isinstance(indices, slice):
        indices = range(*indices.indices(samples))
    return stacked([source[int(i)] for i in indices])


def stacked(items: list[Any]) -> Any:
    """Stack samples; of tuples or lists, each field on its own."""
    if isinstance(items[0], tuple | list):
        return [stacked(list(field)) for field in zip(*items, strict=True)]
    arrays = [x.numpy() if hasattr(x, "numpy") else np.asarray(x) for x in items]
    if len({a.shape for a in arrays}) > 1:
        shapes = sorted({a.shape for a in arrays})
        raise ValueError(
            f"Batches: samples of one batch have shapes {shapes[0]} and {shapes[-1]}; "
            "pad or cut them to one shape first"
        )
    return np.stack(arrays)
