"""Windows: two ways from what a convolution returned to its samples are one."""

import numpy as np
import pytest

from tensorgrad.ops.networks import windows
from tensorgrad.ops.networks.windows import Window, convolution, convolution_transposed


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
    monkeypatch.setattr(windows, "_is_cheaper", lambda *_: False)
    added = convolution_transposed(z, weight, lengths, window, groups)
    np.testing.assert_allclose(slid, added, rtol=1e-12, atol=1e-12)
    assert slid.shape == x.shape


def test_both_ways_are_taken():
    narrow, wide = (Window((2,), (1,), ((n, n),), (1,)) for n in (1, 2))
    assert windows._inverse(narrow) is not None
    assert windows._inverse(wide) is None
    assert windows._inverse(narrow._replace(stride=(2,))) is None
    assert windows._is_cheaper((16, 16, 3, 3), 1)
    assert windows._is_cheaper((16, 1, 3, 3), 16)
    assert not windows._is_cheaper((16, 6, 5, 5), 1)
    assert not windows._is_cheaper((64, 16, 3), 1)
