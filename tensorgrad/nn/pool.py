"""Pooling: of each window that slides over samples the largest element, or the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, final

from ..core.tensor import Tensor
from ..core.types import Operand
from . import functional
from .module import Module

Numbers = int | tuple[int, ...]


class _Pool(Module):
    _function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Numbers,
        stride: Numbers | None = None,
        padding: Numbers = 0,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Operand) -> Tensor:
        """Return one element for each window.

        Parameters
        ----------
        x : (n, channels, ...) Tensor or array_like
            Samples, or one without the first axis.

        Returns
        -------
        (n, channels, ...) Tensor or ndarray
            A Tensor where `x` is one.

        Raises
        ------
        ValueError
            If there are other axes, or a window does not fit.
        """
        numbers = self.kernel_size, self.stride, self.padding
        return type(self)._function(x, *numbers)

    def __repr__(self) -> str:
        shown = f"{self.kernel_size}"
        if self.stride is not None:
            shown += f", stride={self.stride}"
        if self.padding:
            shown += f", padding={self.padding}"
        return f"{type(self).__name__}({shown})"


class _Adaptive(Module):
    _function: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Numbers) -> None:
        self.output_size = output_size

    def forward(self, x: Operand) -> Tensor:
        """Return one element for each window.

        Parameters
        ----------
        x : (n, channels, ...) Tensor or array_like
            Samples, or one without the first axis.

        Returns
        -------
        (n, channels, ...) Tensor or ndarray
            Of the output size; a Tensor where `x` is one.

        Raises
        ------
        ValueError
            If there are other axes.
        """
        return type(self)._function(x, self.output_size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.output_size})"


@final
class MaxPool1d(_Pool):
    """The largest element of each window; of equal ones the first has the gradient.

    Parameters
    ----------
    kernel_size : int
        Length of a window.
    stride : int, optional
        Steps from one window to the next; the kernel size for None.
    padding : int
        Elements around the samples, at most half of the kernel size.
    """

    _function = functional.max_pool1d


@final
class MaxPool2d(_Pool):
    """The largest element of each window; of equal ones the first has the gradient.

    Parameters
    ----------
    kernel_size : int or pair of int
        Length of a window along each axis.
    stride : int or pair of int, optional
        Steps from one window to the next; the kernel size for None.
    padding : int or pair of int
        Elements around the samples, at most half of the kernel size.
    """

    _function = functional.max_pool2d


@final
class AvgPool1d(_Pool):
    """The mean of each window, zeros of the padding among it.

    Parameters
    ----------
    kernel_size : int
        Length of a window.
    stride : int, optional
        Steps from one window to the next; the kernel size for None.
    padding : int
        Elements around the samples, at most half of the kernel size.
    """

    _function = functional.avg_pool1d


@final
class AvgPool2d(_Pool):
    """The mean of each window, zeros of the padding among it.

    Parameters
    ----------
    kernel_size : int or pair of int
        Length of a window along each axis.
    stride : int or pair of int, optional
        Steps from one window to the next; the kernel size for None.
    padding : int or pair of int
        Elements around the samples, at most half of the kernel size.
    """

    _function = functional.avg_pool2d


@final
class AdaptiveAvgPool1d(_Adaptive):
    """The means of so many windows as the output is long.

    Parameters
    ----------
    output_size : int
        Length of the output.
    """

    _function = functional.adaptive_avg_pool1d


@final
class AdaptiveAvgPool2d(_Adaptive):
    """The means of so many windows as the output is long.

    Parameters
    ----------
    output_size : int or pair of int
        Length of the output along each axis.
    """

    _function = functional.adaptive_avg_pool2d


@final
class AdaptiveMaxPool1d(_Adaptive):
    """The largest elements of so many windows as the output is long.

    Parameters
    ----------
    output_size : int
        Length of the output.
    """

    _function = functional.adaptive_max_pool1d


@final
class AdaptiveMaxPool2d(_Adaptive):
    """The largest elements of so many windows as the output is long.

    Parameters
    ----------
    output_size : int or pair of int
        Length of the output along each axis.
    """

    _function = functional.adaptive_max_pool2d
