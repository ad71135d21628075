"""Normalisation: mean 0 and variance 1 over a batch, a sample or a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
from numpy.typing import DTypeLike

from ..core.tensor import Tensor
from ..core.types import Operand
from . import functional
from .cast import samples
from .module import Module
from .parameter import filled, sizes


class _BatchNorm(Module):
    axes: ClassVar[tuple[int, ...]]
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        affine: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        sizes(type(self).__name__, num_features=num_features)
        shape = (num_features,)
        self.weight = filled(1, shape, dtype) if affine else None
        self.bias = filled(0, shape, dtype) if affine else None
        self.register_buffer("running_mean", np.zeros(shape, dtype))
        self.register_buffer("running_var", np.ones(shape, dtype))
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Operand) -> Tensor:
        """Return samples whose features have mean 0 and variance 1 over the batch.

        Parameters
        ----------
        x : (n, num_features, ...) Tensor or array_like
            Samples, cast to the dtype of the parameters.

        Returns
        -------
        (n, num_features, ...) Tensor
            Of the same shape.

        Raises
        ------
        ValueError
            If there are other axes or features, or a single value for each in training.
        """
        x = samples(x, self.running_mean, type(self).__name__)
        features = self.running_mean.shape[0]
        if x.ndim not in self.axes or x.shape[1] != features:
            raise ValueError(
                f"{type(self).__name__}: expected samples (n, {features}, ...) of "
                f"{' or '.join(map(str, self.axes))} axes, got {x.shape}"
            )
        parameters = self.running_mean, self.running_var, self.weight, self.bias
        options = self.training, self.momentum, self.eps
        y: Operand = functional.batch_norm(x, *parameters, *options)
        return y

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.running_mean.shape[0]})"


@final
class BatchNorm1d(_BatchNorm):
    """Features of samples (n, features) or (n, features, length) over a batch [1]_.

    (x - mean) / sqrt(variance + eps) * weight + bias, with mean and variance of each
    feature over the batch in training. In use, after ``eval()``, they are the running
    ones, which each batch in training moves towards its own.

    Parameters
    ----------
    num_features : int
        Features, or channels.
    eps : float
        Added to the variance.
    momentum : float
        Share of a batch in the running mean and variance.
    affine : bool
        False leaves out weight and bias, which are then None.
    dtype : dtype
        Of parameters and buffers, to which samples are cast.

    Attributes
    ----------
    weight, bias : Tensor of shape (num_features,)
    running_mean, running_var : Tensor of shape (num_features,)
        Buffers.

    References
    ----------
    .. [1] Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """

    axes = (2, 3)


@final
class BatchNorm2d(_BatchNorm):
    """Features of images (n, features, height, width) over a batch [1]_.

    (x - mean) / sqrt(variance + eps) * weight + bias, with mean and variance of each
    feature over the batch in training. In use, after ``eval()``, they are the running
    ones, which each batch in training moves towards its own.

    Parameters
    ----------
    num_features : int
        Features, or channels.
    eps : float
        Added to the variance.
    momentum : float
        Share of a batch in the running mean and variance.
    affine : bool
        False leaves out weight and bias, which are then None.
    dtype : dtype
        Of parameters and buffers, to which samples are cast.

    Attributes
    ----------
    weight, bias : Tensor of shape (num_features,)
    running_mean, running_var : Tensor of shape (num_features,)
        Buffers.

    References
    ----------
    .. [1] Ioffe and Szegedy, "Batch normalization", ICML 2015.
    """

    axes = (4,)


@final
class LayerNorm(Module):
    """Each sample brought to mean 0 and variance 1 over its last axes [1]_.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Lengths of these axes.
    eps : float
        Added to the variance.
    affine : bool
        False leaves out weight and bias, which are then None.
    bias : bool
        False leaves out the bias.
    dtype : dtype
        Of the parameters, to which samples are cast.

    Attributes
    ----------
    weight, bias : Tensor of the normalized shape

    References
    ----------
    .. [1] Ba, Kiros and Hinton, "Layer normalization", 2016.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.shape = _shape(normalized_shape)
        self.weight = filled(1, self.shape, dtype) if affine else None
        self.bias = filled(0, self.shape, dtype) if affine and bias else None
        self.eps = eps

    def forward(self, x: Operand) -> Tensor:
        """Return samples of mean 0 and variance 1, times weight plus bias.

        Parameters
        ----------
        x : (...) + normalized_shape Tensor or array_like
            Samples.

        Returns
        -------
        (...) + normalized_shape Tensor
            Of the same shape.

        Raises
        ------
        ValueError
            If the last lengths are others.
        """
        x = x if self.weight is None else samples(x, self.weight, "LayerNorm")
        y: Operand = functional.layer_norm(
            x, self.shape, self.weight, self.bias, self.eps
        )
        return y

    def __repr__(self) -> str:
        return f"LayerNorm({self.shape})"


@final
class RMSNorm(Module):
    """Each sample divided by the root of its mean square over its last axes [1]_.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Lengths of these axes.
    eps : float, optional
        Added to the mean square; the spacing of the dtype at 1 for None.
    affine : bool
        False leaves out the weight, which is then None.
    dtype : dtype
        Of the weight, to which samples are cast.

    Attributes
    ----------
    weight : Tensor of the normalized shape

    References
    ----------
    .. [1] Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.shape = _shape(normalized_shape)
        self.weight = filled(1, self.shape, dtype) if affine else None
        self.eps = eps

    def forward(self, x: Operand) -> Tensor:
        """Return samples of mean square 1, times the weight.

        Parameters
        ----------
        x : (...) + normalized_shape Tensor or array_like
            Samples.

        Returns
        -------
        (...) + normalized_shape Tensor
            Of the same shape.

        Raises
        ------
        ValueError
            If the last lengths are others.
        """
        x = x if self.weight is None else samples(x, self.weight, "RMSNorm")
        y: Operand = functional.rms_norm(x, self.shape, self.weight, self.eps)
        return y

    def __repr__(self) -> str:
        return f"RMSNorm({self.shape})"


@final
class GroupNorm(Module):
    """Groups of channels of each sample brought to mean 0 and variance 1 [1]_.

    Parameters
    ----------
    num_groups, num_channels : int
        The one divides the other.
    eps : float
        Added to the variance.
    affine : bool
        False leaves out weight and bias, which are then None.
    dtype : dtype
        Of the parameters, to which samples are cast.

    Attributes
    ----------
    weight, bias : Tensor of shape (num_channels,)

    References
    ----------
    .. [1] Wu and He, "Group normalization", ECCV 2018.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: {num_groups} groups do not divide {num_channels} channels"
            )
        self.weight = filled(1, (num_channels,), dtype) if affine else None
        self.bias = filled(0, (num_channels,), dtype) if affine else None
        self.groups, self.channels, self.eps = num_groups, num_channels, eps

    def forward(self, x: Operand) -> Tensor:
        """Return samples whose groups have mean 0 and variance 1.

        Parameters
        ----------
        x : (n, num_channels, ...) Tensor or array_like
            Samples.

        Returns
        -------
        (n, num_channels, ...) Tensor
            Of the same shape.

        Raises
        ------
        ValueError
            If there are other channels.
        """
        x = x if self.weight is None else samples(x, self.weight, "GroupNorm")
        y: Operand = functional.group_norm(
            x, self.groups, self.weight, self.bias, self.eps
        )
        return y

    def __repr__(self) -> str:
        return f"GroupNorm({self.groups}, {self.channels})"


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(normalized_shape, Sequence):
        return tuple(normalized_shape)
    return (normalized_shape,)
