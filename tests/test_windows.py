"""Windows: two ways from what a convolution returned to its samples are one."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.ops.networks import convolutions
from tensorgrad.ops.networks.convolutions import convolution, convolution_transposed
from tensorgrad.ops.networks.windows import Window


@pytest.mark.parametrize("seed", range(40))
def test_filters_slide_back_as_they_are_added_up(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    axes, groups = rng.integers(1, 3), int(rng.integers(1, 3))
    kernel, dilation = (tuple(map(int, rng.integers(1, most, axes))) for most in (4, 3))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 4, (axes, 2)))
    window = Window(kernel, (1,) * axes, padding, dilation)
    lengths = tuple(map(int, rng.integers(5, 8, axes)))
    x = rng.standard_normal((2, 8 * groups, *lengths))
    weight = rng.standard_normal((3 * groups, 8, *kernel))
    z = convolution(x, weight, None, window, groups)
    slid = convolution_transposed(z, weight, lengths, window, groups)
    monkeypatch.setattr(convolutions, "_is_cheaper", lambda *_: False)
    added = convolution_transposed(z, weight, lengths, window, groups)
    np.testing.assert_allclose(slid, added, rtol=1e-12, atol=1e-12)
    assert slid.shape == x.shape


def test_both_ways_are_taken():
    narrow, wide = (Window((2,), (1,), ((n, n),), (1,)) for n in (1, 2))
    assert convolutions._inverse(narrow) is not None
    assert convolutions._inverse(wide) is None
    assert convolutions._inverse(narrow._replace(stride=(2,))) is None
    assert convolutions._is_cheaper((16, 16, 3, 3), 1)
    assert convolutions._is_cheaper((16, 1, 3, 3), 16)
    assert not convolutions._is_cheaper((16, 6, 5, 5), 1)
    assert not convolutions._is_cheaper((64, 16, 3), 1)


F, X, W = tg.nn.functional, np.ones((1, 4, 6, 6)), np.ones((4, 4, 3, 3))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: F.conv2d(X, W, stride=0), "conv2d: stride must be at least 1, got 0"),
        (lambda: F.conv2d(X, W, stride=1.5), "conv2d: stride must be an integer"),
        (lambda: F.conv2d(X, W, padding=-1), "conv2d: padding must be at least 0"),
        (lambda: F.conv2d(X, W, groups=0), "conv2d: groups must be at least 1"),
        (lambda: F.conv2d(X, W, dilation=(1, 0)), "dilation must be at least 1"),
        (lambda: F.conv2d(X, W, stride=(1, 1, 1)), "one number or 2"),
        (lambda: F.max_pool2d(X, 0), "max_pool2d: kernel_size must be at least 1"),
        (lambda: F.max_pool2d(X, 2.0), "kernel_size must be an integer, got 2.0"),
        (lambda: F.avg_pool2d(X, 2, stride=0), "avg_pool2d: stride must be at least"),
        (lambda: F.adaptive_avg_pool2d(X, 0), "output_size must be at least 1, got 0"),
        (lambda: F.adaptive_max_pool2d(X, (None, 2.5)), "output_size must be an int"),
        (lambda: F.unfold(X, 0), "unfold: kernel_size must be at least 1"),
        (lambda: F.interpolate(X, size=0), "interpolate: size must be at least 1"),
        (lambda: F.interpolate(X, scale_factor=0.1), "interpolate: nothing is left"),
        (lambda: tg.nn.Conv2d(3, 4, 0), "Conv2d: kernel_size must be at least 1"),
        (lambda: tg.nn.Conv1d(3, 4, 3, stride=0), "Conv1d: stride must be at least 1"),
        (lambda: tg.nn.Conv2d(3.0, 4, 3), "Conv2d: in_channels must be an integer"),
    ],
)
def test_what_is_no_number_of_elements_is_refused(call, text):
    with pytest.raises((TypeError, ValueError), match=text):
        call()


def test_lengths_that_are_none_are_kept():
    assert F.adaptive_avg_pool2d(X, (None, 2)).shape == (1, 4, 6, 2)
    assert F.adaptive_max_pool2d(X, (3, None)).shape == (1, 4, 3, 6)
