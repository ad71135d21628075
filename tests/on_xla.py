"""Every captured step of the suite on XLA: what ``pytest --target xla`` changes.

A step compiled without a target, and not in kernels by name, is compiled for XLA, and
bits are compared as numbers: to rounding.
"""

import functools

import numpy as np
import tensors

from tensorgrad.capture.compiled import Compiled

OTHERWISE = {
    *("test_reference_run_has_the_bits_of_eager", "test_an_embedding_is_captured"),
    *("test_dropout_draws_anew_in_each_call", "test_the_seed_of_a_slope_is_made_once"),
    "test_derivatives_are_compiled_for_numbers_of_any_kind",
    "test_ordinary_loops_are_captured",
    "test_a_cast_of_a_number_is_a_copy",
    "test_replayed_run_has_the_bits_of_the_plain_loop",
    "test_compiled[lenet]",
    "test_it_is_the_loop_that_people_write",
    "test_numpy_replays_have_the_bits_of_eager",
    "test_a_warning_of_a_replay_is_of_the_users_line",
    "test_a_run_that_is_killed_has_the_bits_of_one_that_is_not",
}
"""Tests of bits or of the text of a plan, which XLA has otherwise: all, or one case."""

ELSEWHERE = {
    *("test_capture_kernels", "test_capture_plan", "test_capture_profile", "test_cli"),
}
"""Modules of tests of NumPy's replay, of kernels, and of processes that fork."""

QUANTILES = ("quantile", "percentile", "nanquantile", "nanpercentile")
REFUSED = {
    *(f"test_operation_has_the_bits_of_eager[{name}]" for name in QUANTILES),
    *(
        f"test_an_array_that_a_function_writes_to_is_written_in_every_call[{name}]"
        for name in [f"{name} in place" for name in (*QUANTILES, "median", "nanmedian")]
    ),
}
"""Tests with calls that JAX has not: an error names the line."""

ROUNDING = {2: 1e-2, 4: 1e-4, 8: 1e-8}
"""By the size of a float."""


class Number:
    """An array, equal to what is so but for rounding."""

    def __init__(self, array):
        self.array = np.array(array)

    def __eq__(self, other):
        a, b = self.array, other.array
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            return False
        bound = ROUNDING[a.dtype.itemsize] if a.dtype.kind == "f" else 0
        return np.allclose(a, b, rtol=bound, atol=bound, equal_nan=a.dtype.kind == "f")

    __hash__ = None

    def __repr__(self):
        return repr(self.array)


def numbers(x):
    """Return what is compared in place of bits."""
    if x is None:
        return None
    if isinstance(x, tuple | list):
        return [numbers(item) for item in x]
    return Number(x.numpy() if hasattr(x, "numpy") else x)


def assert_equal_numbers(a, b, *args, **kwargs):
    """Compare arrays to rounding, where shapes and dtypes are arguments too."""
    a, b = (x.numpy() if hasattr(x, "numpy") else np.asarray(x) for x in (a, b))
    if "f" in a.dtype.kind + b.dtype.kind:
        bound = ROUNDING[min(x.dtype.itemsize for x in (a, b) if x.dtype.kind == "f")]
        kwargs.pop("strict", None)
        np.testing.assert_allclose(a, b, bound, bound, *args, **kwargs)
    else:
        exactly(a, b, *args, **kwargs)


exactly = np.testing.assert_array_equal


def install():
    """Let steps be compiled for XLA, and compare them to rounding."""
    init = Compiled.__init__

    @functools.wraps(init)
    def for_xla(self, step, check, fused, target, devices):
        if target is None and not fused:
            target, fused = "xla", None
        init(self, step, check, fused, target, devices)

    Compiled.__init__ = for_xla
    tensors.bits = numbers
    np.testing.assert_array_equal = assert_equal_numbers
