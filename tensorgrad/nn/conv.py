"""Convolutions: filters that slide over samples (n, channels, ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import DTypeLike

from ..core.tensor import Tensor
from ..core.types import Operand
from . import functional
from .cast import samples
from .functional.common import lengths
from .init import Initialiser, Random, he_normal
from .module import Module
from .parameter import drawn, filled, sizes

Numbers = int | tuple[int, ...]


class _Convolution(Module):
    axes: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: Numbers | str = 0,
        dilation: Numbers = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: Random = None,
        init: Initialiser = he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        name = type(self).__name__
        sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: {groups} groups do not divide {in_channels} channels in and "
                f"{out_channels} out"
            )
        kernel = lengths(kernel_size, self.axes, name, "kernel_size")
        lengths(stride, self.axes, name, "stride")
        lengths(dilation, self.axes, name, "dilation")
        shape = (out_channels, in_channels // groups, *kernel)
        self.weight = drawn(init, shape, rng, dtype)
        self.bias = filled(0, (out_channels,), dtype) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups = groups

    def forward(self, x: Operand) -> Tensor:
        """Return the convolution of samples with the filters.

        Parameters
        ----------
        x : (n, in_channels, ...) Tensor or array_like
            Samples, or one without the first axis; cast to the dtype of the filters.

        Returns
        -------
        (n, out_channels, ...) Tensor
            One channel for each filter.

        Raises
        ------
        ValueError
            If there are other channels, or a filter does not fit.
        """
        x = samples(x, self.weight, type(self).__name__)
        numbers = self.stride, self.padding, self.dilation, self.groups
        try:
            return type(self)._function(x, self.weight, self.bias, *numbers)
        except ValueError:
            self._check(x.shape)
            raise

    def _check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError for samples that do not have the channels of the filters."""
        inputs = self.weight.shape[1] * self.groups
        if len(shape) - self.axes in (1, 2) and shape[-1 - self.axes] == inputs:
            return
        lengths = "length" if self.axes == 1 else "height, width"
        moved = "; move the channels there" if inputs in shape[-1:] else ""
        raise ValueError(
            f"{type(self).__name__}: expected {inputs} channels, samples of shape "
            f"(n, {inputs}, {lengths}), got {shape}{moved}"
        ) from None

    def __repr__(self) -> str:
        out, inputs, *kernel = self.weight.shape
        shown = f"{inputs * self.groups}, {out}, kernel_size={tuple(kernel)}"
        for what, usual in {
            "stride": 1,
            "padding": 0,
            "dilation": 1,
            "groups": 1,
        }.items():
            if (value := getattr(self, what)) != usual:
                shown += f", {what}={value!r}"
        return f"{type(self).__name__}({shown})"


@final
class Conv1d(_Convolution):
    """Filters that slide along samples (n, channels, length), plus biases.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of a sample going in and coming out.
    kernel_size : int
        Length of a filter.
    stride : int
        Steps between two places of a filter.
    padding : int, "same" or "valid"
        Zeros at either end; "same" keeps the length, "valid" is none.
    dilation : int
        Steps between two elements that a filter takes.
    groups : int
        Parts of the channels, each with filters of its own.
    bias : bool
        False leaves out the bias, which is then None.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the filters are drawn from; fresh entropy for None.
    init : callable
        What draws them, one of :mod:`tensorgrad.nn.init`.
    dtype : dtype
        Of the parameters, to which samples are cast.

    Attributes
    ----------
    weight : Tensor of shape (out_channels, in_channels / groups, kernel_size)
    bias : Tensor of shape (out_channels,)

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.nn.Conv1d(2, 4, 3, padding="same", rng=0)(np.ones((5, 2, 8))).shape
    (5, 4, 8)
    """

    axes = 1
    _function = functional.conv1d


@final
class Conv2d(_Convolution):
    """Filters that slide over images (n, channels, height, width), plus biases.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of an image going in and coming out.
    kernel_size : int or pair of int
        Height and width of a filter; one number for both, as of all that follow.
    stride : int or pair of int
        Steps between two places of a filter.
    padding : int, pair of int, "same" or "valid"
        Zeros at the edges; "same" keeps height and width, "valid" is none.
    dilation : int or pair of int
        Steps between two elements that a filter takes.
    groups : int
        Parts of the channels, each with filters of its own.
    bias : bool
        False leaves out the bias, which is then None.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the filters are drawn from; fresh entropy for None.
    init : callable
        What draws them, one of :mod:`tensorgrad.nn.init`.
    dtype : dtype
        Of the parameters, to which images are cast.

    Attributes
    ----------
    weight : Tensor of shape (out_channels, in_channels / groups, height, width)
    bias : Tensor of shape (out_channels,)

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.nn.Conv2d(1, 6, 5, rng=0)(np.ones((2, 1, 28, 28))).shape
    (2, 6, 24, 24)
    """

    axes = 2
    _function = functional.conv2d


@final
class ConvTranspose2d(Module):
    """Filters added up, each times a pixel: the gradient of Conv2d in its images.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of an image going in and coming out.
    kernel_size : int or pair of int
        Height and width of a filter; one number for both, as of all that follow.
    stride : int or pair of int
        Pixels between the filters of two pixels.
    padding : int or pair of int
        Pixels taken away at the edges.
    output_padding : int or pair of int
        Pixels more at the far edges, less than the stride.
    groups : int
        Parts of the channels, each with filters of its own.
    bias : bool
        False leaves out the bias, which is then None.
    dilation : int or pair of int
        Pixels between two elements of a filter.
    rng : int, numpy.random.Generator or RandomState, optional
        Where the filters are drawn from; fresh entropy for None.
    init : callable
        What draws them, one of :mod:`tensorgrad.nn.init`.
    dtype : dtype
        Of the parameters, to which images are cast.

    Attributes
    ----------
    weight : Tensor of shape (in_channels, out_channels / groups, height, width)
    bias : Tensor of shape (out_channels,)

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.nn.ConvTranspose2d(6, 1, 2, stride=2, rng=0)(np.ones((2, 6, 7, 7))).shape
    (2, 1, 14, 14)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Numbers,
        stride: Numbers = 1,
        padding: Numbers = 0,
        output_padding: Numbers = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Numbers = 1,
        *,
        rng: Random = None,
        init: Initialiser = he_normal,
        dtype: DTypeLike = np.float32,
    ) -> None:
        name = "ConvTranspose2d"
        sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        kernel = lengths(kernel_size, 2, name, "kernel_size")
        shape = (in_channels, out_channels // groups, *kernel)
        self.weight = drawn(init, shape, rng, dtype)
        self.bias = filled(0, (out_channels,), dtype) if bias else None
        self.numbers = (stride, padding, output_padding, groups, dilation)

    def forward(self, x: Operand) -> Tensor:
        """Return the sum of the filters.

        Parameters
        ----------
        x : (n, in_channels, height, width) Tensor or array_like
            Images, or one without the first axis; cast to the dtype of the filters.

        Returns
        -------
        (n, out_channels, height, width) Tensor
            Larger images.

        Raises
        ------
        ValueError
            If there are other channels.
        """
        x = samples(x, self.weight, "ConvTranspose2d")
        return functional.conv_transpose2d(x, self.weight, self.bias, *self.numbers)

    def __repr__(self) -> str:
        inputs, out, *kernel = self.weight.shape
        stride, _, _, groups, _ = self.numbers
        return (
            f"ConvTranspose2d({inputs}, {out * groups}, kernel_size={tuple(kernel)}, "
            f"stride={stride})"
        )
