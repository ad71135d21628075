"""Recurrent layers: a state that goes along a sequence, and what it was at each place.

Parameters have PyTorch's names and shapes: ``weight_ih_l0`` of shape (gates * hidden,
input) for the input of the first layer, ``weight_hh_l0`` for the state, and so on, with
``_reverse`` for those that read backwards.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import DTypeLike

from ..core.tensor import Tensor
from ..core.types import Operand
from ..ops.elementwise.logspace import sigmoid
from ..ops.networks.neural import relu
from ..ops.shapes.splitting import cut, unstack
from ..random import normals
from .cast import samples
from .init import Random, uniform
from .module import Module
from .parameter import drawn, sizes

State = Any


class _Recurrent(Module):
    """Layers and directions of a cell, which subclasses define.

    Attributes
    ----------
    gates : int
        How many times the length of the state a product with the weights is.
    parts : int
        Of how many arrays the state consists.
    """

    weight_ih_l0: Tensor
    gates: ClassVar[int] = 1
    parts: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        bidirectional: bool = False,
        rng: Random = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        name = type(self).__name__
        sizes(name, input_size=input_size, hidden_size=hidden_size)
        sizes(name, num_layers=num_layers)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers, self.batch_first = num_layers, batch_first
        self.bias, self.bidirectional = bias, bidirectional
        init = partial(uniform, bound=1 / math.sqrt(hidden_size))
        rng = normals(rng)
        rows = self.gates * hidden_size
        for layer, suffix in self._passes():
            width = hidden_size * (1 + bidirectional) if layer else input_size
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, width),
                "weight_hh": (rows, hidden_size),
            }
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            for what, shape in shapes.items():
                setattr(self, f"{what}_{suffix}", drawn(init, shape, rng, dtype))

    def _passes(self) -> list[tuple[int, str]]:
        """Return the layer of each pass along the sequence, and what ends its names."""
        ends = ("", "_reverse")[: 1 + self.bidirectional]
        return [(i, f"l{i}{end}") for i in range(self.num_layers) for end in ends]

    def forward(self, x: Operand, state: State = None) -> tuple[Tensor, State]:
        """Return the states of the last layer along the sequence, and the last of all.

        Parameters
        ----------
        x : (length, n, input_size) Tensor or array_like
            Sequences; (n, length, input_size) with `batch_first`, or a single one
            without the axis for n.
        state : (layers, n, hidden_size) Tensor or array_like, optional
            What each layer, and of two directions each, begins with; zeros for None. A
            pair of them for LSTM.

        Returns
        -------
        y : (length, n, hidden_size) Tensor
            Axes as of `x`, twice the length where it reads in both directions.
        state : (layers, n, hidden_size) Tensor
            What each layer ends with; a pair for LSTM.

        Raises
        ------
        ValueError
            If axes or lengths are others.
        """
        first = self.weight_ih_l0
        x = samples(x, first, type(self).__name__)
        self._check(x.shape)
        single = x.ndim == 2
        if single:
            x = x[:, None]
        elif self.batch_first:
            x = np.swapaxes(x, 0, 1)
        begun = self._begun(state, x.shape[1], single, first)
        ended = []
        passes = self._passes()
        for at in range(0, len(passes), 1 + self.bidirectional):
            outputs = []
            for i, (_, suffix) in enumerate(passes[at : at + 1 + self.bidirectional]):
                steps, last = self._along(x, begun[at + i], suffix, backwards=i == 1)
                outputs.append(np.stack(steps))
                ended.append(last)
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, -1)
        if single:
            x, ended = x[:, 0], [[part[0] for part in last] for last in ended]
        elif self.batch_first:
            x = np.swapaxes(x, 0, 1)
        stacked = [np.stack(parts) for parts in zip(*ended, strict=True)]
        return x, stacked[0] if self.parts == 1 else tuple(stacked)

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) not in (2, 3) or shape[-1] != self.input_size or 0 in shape[:1]:
            axes = "n, length" if self.batch_first else "length, n"
            raise ValueError(
                f"{type(self).__name__}: expected sequences of shape ({axes}, "
                f"{self.input_size}), got {shape}"
            )

    def _begun(self, state: Any, n: int, single: bool, like: Tensor) -> list[list[Any]]:
        """Return the arrays of the state that each pass begins with."""
        passes = len(self._passes())
        shape = (passes, n, self.hidden_size)
        if state is None:
            zeros = np.zeros(shape[1:], like.dtype)
            return [[zeros] * self.parts] * passes
        arrays = []
        for part in [state] if self.parts == 1 else state:
            array = samples(part, like, type(self).__name__)
            array = array[:, None] if single and array.ndim == 2 else array
            if array.shape != shape:
                raise ValueError(
                    f"{type(self).__name__}: expected a state of shape {shape}, got "
                    f"{array.shape}"
                )
            arrays.append(unstack(array))
        return [list(parts) for parts in zip(*arrays, strict=True)]

    def _along(
        self, x: Any, state: list[Any], suffix: str, backwards: bool
    ) -> tuple[list[Any], list[Any]]:
        """Return the states along a sequence, in its order, and the last."""
        own: Any = vars(self)
        w, u = own[f"weight_ih_{suffix}"], own[f"weight_hh_{suffix}"]
        b, c = own.get(f"bias_ih_{suffix}"), own.get(f"bias_hh_{suffix}")
        # The products with the inputs do not wait for the state: one for all of them.
        inputs = np.matmul(x, w.T)
        inputs = inputs if b is None else inputs + b
        places = list(unstack(inputs))
        made = []
        for z in reversed(places) if backwards else places:
            kept = np.matmul(state[0], u.T)
            state = self._step(z, kept if c is None else kept + c, state)
            made.append(state[0])
        return made[::-1] if backwards else made, state

    def _step(self, z: Any, kept: Any, state: list[Any]) -> list[Any]:
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        for what, usual in (
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("bidirectional", False),
        ):
            if (value := getattr(self, what)) != usual:
                shown += f", {what}={value}"
        return f"{type(self).__name__}({shown})"


@final
class RNN(_Recurrent):
    """h' = tanh(w x + b + u h + c), along sequences [1]_.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of what is read at each place, and of the state.
    num_layers : int
        Layers, each reading the states of the one before.
    nonlinearity : {"tanh", "relu"}
        What is taken of the sum.
    bias : bool
        False leaves out the biases.
    batch_first : bool
        Whether sequences are (n, length, features), not (length, n, features).
    bidirectional : bool
        Whether each layer reads backwards too, with parameters of its own.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the parameters are drawn from: uniform up to 1 / sqrt(hidden_size).
    dtype : dtype
        Of the parameters, to which sequences are cast.

    References
    ----------
    .. [1] Elman, "Finding structure in time", Cognitive Science 1990.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> y, h = tg.nn.RNN(3, 5, rng=0)(np.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *,
        bias: bool = True,
        batch_first: bool = False,
        bidirectional: bool = False,
        rng: Random = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f'RNN: nonlinearity must be "tanh" or "relu", got {nonlinearity!r}'
            )
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            bidirectional=bidirectional,
            rng=rng,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity

    def _step(self, z: Any, kept: Any, state: list[Any]) -> list[Any]:
        """Return the next state, from the products with input and state."""
        return [np.tanh(z + kept) if self.nonlinearity == "tanh" else relu(z + kept)]


@final
class LSTM(_Recurrent):
    """A state that gates write to, keep and show, along sequences [1]_.

    With i, f, o = sigmoid and g = tanh of four sums w x + b + u h + c, in the order i,
    f, g, o: s' = f s + i g, and h' = o tanh(s').

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of what is read at each place, and of the state.
    num_layers : int
        Layers, each reading the states of the one before.
    bias : bool
        False leaves out the biases.
    batch_first : bool
        Whether sequences are (n, length, features), not (length, n, features).
    bidirectional : bool
        Whether each layer reads backwards too, with parameters of its own.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the parameters are drawn from: uniform up to 1 / sqrt(hidden_size).
    dtype : dtype
        Of the parameters, to which sequences are cast.

    References
    ----------
    .. [1] Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation
       1997; with forget gates, Gers, Schmidhuber and Cummins, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> y, (h, s) = tg.nn.LSTM(3, 5, rng=0)(np.ones((7, 2, 3)))
    >>> y.shape, h.shape, s.shape
    ((7, 2, 5), (1, 2, 5), (1, 2, 5))
    """

    gates = 4
    parts = 2

    def _step(self, z: Any, kept: Any, state: list[Any]) -> list[Any]:
        """Return the next state, from the products with input and state."""
        sums, h = z + kept, self.hidden_size
        # One sigmoid for all takes a third of the calls, though g does not need it.
        i, f, _, o = cut(sigmoid(sums), (h, 2 * h, 3 * h), -1)
        s = f * state[1] + i * np.tanh(sums[..., 2 * h : 3 * h])
        return [o * np.tanh(s), s]


@final
class GRU(_Recurrent):
    """A state between what it was and what is new, along sequences [1]_.

    With r and z the sigmoids of sums w x + b + u h + c, and n = tanh(w x + b + r (u h +
    c)), in the order r, z, n: h' = (1 - z) n + z h.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of what is read at each place, and of the state.
    num_layers : int
        Layers, each reading the states of the one before.
    bias : bool
        False leaves out the biases.
    batch_first : bool
        Whether sequences are (n, length, features), not (length, n, features).
    bidirectional : bool
        Whether each layer reads backwards too, with parameters of its own.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the parameters are drawn from: uniform up to 1 / sqrt(hidden_size).
    dtype : dtype
        Of the parameters, to which sequences are cast.

    References
    ----------
    .. [1] Cho et al., "Learning phrase representations using RNN encoder-decoder",
       EMNLP 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> y, h = tg.nn.GRU(3, 5, rng=0)(np.ones((7, 2, 3)))
    >>> y.shape, h.shape
    ((7, 2, 5), (1, 2, 5))
    """

    gates = 3

    def _step(self, z: Any, kept: Any, state: list[Any]) -> list[Any]:
        """Return the next state, from the products with input and state."""
        h = self.hidden_size
        (gates, new), (kept_gates, kept_new) = (cut(x, (2 * h,), -1) for x in (z, kept))
        r, keep = cut(sigmoid(gates + kept_gates), (h,), -1)
        n = np.tanh(new + r * kept_new)
        return [n + keep * (state[0] - n)]
