"""Numerical derivatives with error bars, from values along lines through a point.

Central differences at a geometric sequence of steps are extrapolated to step 0, and the
spread of the extrapolation tableau, with the rounding of the values, is the error bar
(Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering
Software 4, 1982).

Steps are in units of the direction, which is scaled by max(1, |x|) by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .problem import EPS, Array

# Steps without a simple ratio, against aliasing with a periodic or quantised function.
LARGE = tuple(1.07 * 10.3**k for k in range(14, 0, -2))
EXACT = (1.0, 0.5306)
COARSE = tuple(0.1093 * 0.4713**k for k in range(6))
FINE = tuple(6.13e-4 * 0.2217**k for k in range(5))
TINY = tuple(1.07e-7 * 0.1009**k for k in range(6))

ORDER = 4
TARGET = 1e-9


class Estimate(NamedTuple):
    """Derivatives and their error bars: one row for each line."""

    value: Array
    error: Array


class Lines:
    """Values of a function along several lines through one point, kept for reuse.

    Parameters
    ----------
    along : callable
        From the number of a line and a step to the values there, a vector.
    count : int
        How many lines there are.
    magnitude : array, optional
        Size of the terms each value is summed from, where that is more than the value.
    eps : float
        Relative rounding error of the values.
    imaginary : callable, optional
        From the number of a line to the derivative by a step in the imaginary
        direction, or None where the function does not take complex numbers.
    """

    def __init__(
        self,
        along: Callable[[int, float], Array],
        count: int,
        *,
        magnitude: Array | None = None,
        eps: float = EPS,
        imaginary: Callable[[int], Array | None] | None = None,
        exact: bool = False,
    ) -> None:
        self.along, self.count, self.eps = along, count, eps
        self.imaginary, self.exact = imaginary, exact
        self.base = along(0, 0.0)
        self.magnitude = np.abs(self.base) if magnitude is None else magnitude
        self._seen: dict[tuple[int, float], Array] = {}

    def at(self, line: int, step: float) -> Array:
        """Return the values at a step along a line, computed once."""
        found = self._seen.get((line, step))
        if found is None:
            found = self._seen[line, step] = self.along(line, step)
        return found

    def values(self, lines: Sequence[int], steps: Sequence[float]) -> Array:
        """Return values, shape (steps, lines, outputs)."""
        found = [self.at(j, t) for t in steps for j in lines]
        return np.array(found).reshape(len(steps), len(lines), -1)


def extrapolate(
    steps: Sequence[float], slopes: Array, rounding: Array, power: int
) -> Estimate:
    """Return the limit of `slopes` at step 0, with error bars.

    Parameters
    ----------
    steps : sequence of float
        Decreasing.
    slopes, rounding : arrays
        First axis over steps; what is extrapolated, and its rounding error.
    power : int
        The slopes are a polynomial in ``step**power``.
    """
    value = np.full(slopes.shape[1:], np.nan)
    error = np.full(slopes.shape[1:], np.inf)
    for at, bar in reversed(list(_rows(steps, slopes, rounding, power))):
        # What coarser steps say counts where it is sharper and finer ones allow it.
        better = (bar < error) & ~(np.abs(at - value) > bar + error)
        value, error = np.where(better, at, value), np.where(better, bar, error)
    return Estimate(value, error)


def _rows(
    steps: Sequence[float], slopes: Array, rounding: Array, power: int
) -> Iterator[tuple[Array, Array]]:
    """Give the best extrapolation that ends at each step, with its error bar."""
    coarser: list[Array] = []
    for k, slope in enumerate(slopes):
        row = [slope]
        value, error = slope, np.full(slope.shape, np.inf)
        for j in range(1, min(k, ORDER) + 1):
            ratio = (steps[k - j] / steps[k]) ** power
            best = row[j - 1] + (row[j - 1] - coarser[j - 1]) / (ratio - 1)
            far = np.abs(best - coarser[j - 1]) * min(1.0, 10 / ratio)
            bar = np.maximum(np.abs(best - row[j - 1]), far) + 2 * rounding[k]
            value = np.where(bar < error, best, value)
            error = np.where(bar < error, bar, error)
            row.append(best)
        yield value, error
        coarser = row


def central(lines: Lines, which: Sequence[int], steps: Sequence[float]) -> Estimate:
    """Return derivatives along lines from values on both sides."""
    slopes, rounding = central_slopes(lines, which, steps)
    return extrapolate(steps, slopes, rounding, power=2)


def central_slopes(
    lines: Lines, which: Sequence[int], steps: Sequence[float]
) -> tuple[Array, Array]:
    """Return central difference quotients and their rounding errors."""
    h = np.array(steps)[:, None, None]
    ahead, behind = lines.values(which, steps), lines.values(which, [-t for t in steps])
    slopes = (ahead - behind) / (2 * h)
    return slopes, slope_rounding(lines, ahead, behind, slopes, h)


def _noisy_slopes(
    lines: Lines, which: Sequence[int], steps: Sequence[float], windows: Sequence[float]
) -> tuple[Array, Array]:
    """Return central difference quotients and their errors, with the noise of the
    values in `windows` of these widths.
    """
    slopes, rounding = central_slopes(lines, which, steps)
    if windows:
        rough = roughness(lines, which, windows)
        rounding = np.maximum(rounding, 2 * rough / np.array(steps)[:, None, None])
    return slopes, rounding


def slope_rounding(lines: Lines, a: Array, b: Array, slopes: Array, h: Array) -> Array:
    """Return the rounding error of difference quotients of `a` and `b`."""
    # The last term: x + h is rounded too, and the slope carries that over.
    size = lines.magnitude + np.abs(a) + np.abs(b) + np.abs(slopes)
    rounding: Array = lines.eps * size / h
    return rounding


def derivatives(lines: Lines) -> Estimate:
    """Return the derivative of each value along each line, with error bars.

    Smaller steps are taken only for the lines that need them.
    """
    shape = (lines.count, lines.base.size)
    found = Estimate(np.full(shape, np.nan), np.full(shape, np.inf))
    check = (check_step(lines.eps),)
    with np.errstate(all="ignore"):
        left = list(range(lines.count))
        if lines.exact:
            left = _settle(lines, left, EXACT, found)
        for count in range(2, 1 + len(COARSE)):
            left = _settle(lines, left, COARSE[:count] + check, found)
        left = _settle(lines, left, COARSE + FINE, found)
        _settle(lines, left, COARSE + FINE + TINY, found, EVERY)
    return found


def again(lines: Lines, which: list[int]) -> Estimate:
    """Return the derivatives along some lines with every means they need."""
    found = Estimate(*np.full((2, lines.count, lines.base.size), np.nan))
    with np.errstate(all="ignore"):
        left = set(_settle(lines, which, COARSE + FINE, found, LOCAL))
        left |= {j for j in which if j not in left and _is_staircase(lines, j)}
        _settle(lines, sorted(left), COARSE + FINE + TINY, found, EVERY)
        return _without_symmetry(lines, which, found)


def _without_symmetry(lines: Lines, which: list[int], found: Estimate) -> Estimate:
    """Correct derivatives where the curvature jumps at the point.

    The error of a central difference goes with the step there, not with its square.
    """
    value, error = found.value[which], found.error[which]
    slopes, rounding = _noisy_slopes(lines, which, COARSE + FINE, LOCAL)
    other = extrapolate(COARSE + FINE, slopes, rounding, power=1)
    apart = np.abs(other.value - value)
    # Both must be sharp for their difference to mean that.
    odd = (apart > other.error + error) & (apart < 1e-4 * np.abs(value))
    return Estimate(
        np.where(odd, other.value, value), np.where(odd, other.error, error)
    )


def _is_staircase(lines: Lines, j: int) -> bool:
    """Whether values along a line stay the same and then jump, as rounding makes them
    do; behind a kink they would move on from where they were.
    """
    close = FINE[2:]
    ahead = lines.values([j], close + COARSE)[:, 0]
    behind = lines.values([j], [-t for t in close])[:, 0]
    flat = (ahead[: len(close)] == lines.base).all(axis=0)
    flat &= (behind == lines.base).all(axis=0)
    moves = np.where(flat, np.abs(ahead - lines.base).max(axis=0), 0)
    if not np.any(moves > 0):
        return False
    row = int(np.argmax(moves))
    low, high = 0.0, min(t for t in COARSE if lines.at(j, t)[row] != lines.base[row])
    first = abs(lines.at(j, high)[row] - lines.base[row])
    for _ in range(16):
        middle = (low + high) / 2
        still = lines.at(j, middle)[row] == lines.base[row]
        low, high = (middle, high) if still else (low, middle)
    return bool(abs(lines.at(j, high)[row] - lines.base[row]) > 1e-2 * first)


def stretched(lines: Lines, which: list[int]) -> Estimate:
    """Return the derivatives along some lines from large steps too, for slopes so small
    beside the values that only a large step shows them.

    Only slopes that two steps share count, as those of a line do. The error is infinite
    where the values do not change beyond their rounding, or where the slopes are
    farther off at smaller steps, as those of x + sin(x) are.
    """
    with np.errstate(all="ignore"):
        slopes, rounding = central_slopes(lines, which, LARGE + EXACT)
        bars = np.abs(np.diff(slopes, axis=0)) + 2 * rounding[1:]
        bars[np.isnan(bars)] = np.inf
        best = np.argmin(bars, axis=0, keepdims=True)
        value = np.take_along_axis(slopes[1:], best, axis=0)[0]
        error = np.take_along_axis(bars, best, axis=0)[0]
        off = np.abs(slopes - value)
        farther = off[1:] > off[:-1] + 4 * rounding[1:] + error
        seen = (np.abs(value) > 4 * error) & ~farther.any(axis=0)
        return Estimate(value, np.where(seen, error, np.inf))


def fitted(lines: Lines) -> Estimate:
    """Return derivatives by least squares, with error bars from what the fit leaves.

    Rounding may change slowly from point to point, as that of iterations does. At small
    steps it looks like a slope then, and not like noise; here it does not.
    """
    steps = np.array(COARSE + FINE)
    with np.errstate(all="ignore"):
        slopes, _ = central_slopes(lines, range(lines.count), COARSE + FINE)
        odd = slopes * steps[:, None, None]
        powers = steps[:, None] ** [1, 3, 5]
        inverse = np.linalg.pinv(powers)
        left = odd - np.tensordot(powers @ inverse, odd, 1)
        noise = np.sqrt(np.sum(left**2, axis=0) / (len(steps) - 3))
    error = 3 * noise * np.linalg.norm(inverse[0])
    return Estimate(np.tensordot(inverse[0], odd, 1), error)


def check_step(eps: float) -> float:
    """Return a step so small that few functions have structure below it."""
    return float(0.87 * eps**0.25)


def _settle(
    lines: Lines,
    which: list[int],
    steps: Sequence[float],
    found: Estimate,
    windows: Sequence[float] = (),
) -> list[int]:
    """Enter the derivatives along `which` lines; return the lines not yet settled.

    Noise of the values is looked for in `windows` of these widths.
    """
    if not which or not lines.base.size:
        return []
    slopes, rounding = _noisy_slopes(lines, which, steps, windows)
    value, error = extrapolate(steps, slopes, rounding, power=2)
    settled = _settled(steps, value, error, slopes, rounding)
    settled |= ~np.isfinite(lines.base)
    if lines.imaginary is not None:
        settled |= _by_imaginary_step(lines, which, value, error)
    found.value[which], found.error[which] = value, error
    done = np.asarray(settled.all(axis=1))
    return [j for j, d in zip(which, done, strict=True) if not d]


def _settled(
    steps: Sequence[float], value: Array, error: Array, slopes: Array, rounding: Array
) -> Array:
    if len(steps) <= 3:
        # Two steps that agree to rounding: the function is linear along the line.
        settled = error <= 6 * rounding[1]
    else:
        settled = error <= TARGET * np.abs(value) + 16 * rounding[-2]
    return np.asarray(settled & _undisputed(steps, slopes, rounding))


def _undisputed(steps: Sequence[float], slopes: Array, rounding: Array) -> Any:
    """Whether the smallest step says the same as the others do: there is neither noise
    nor structure between them.
    """
    if steps == EXACT:
        return np.True_
    *_, (fine, bar) = _rows(steps, slopes, rounding, power=2)
    value, error = extrapolate(steps[:-1], slopes[:-1], rounding[:-1], power=2)
    return np.asarray(np.abs(value - fine) <= error + bar + 1e-8 * np.abs(value))


def _by_imaginary_step(
    lines: Lines, which: list[int], value: Array, error: Array
) -> Array:
    """Replace what the complex step knows exactly, where it can be trusted: where it
    agrees with the real difference, and the difference says something.
    """
    taken = np.zeros(value.shape, dtype=bool)
    assert lines.imaginary is not None
    for i, j in enumerate(which):
        exact = lines.imaginary(j)
        if exact is None:
            continue
        agrees = np.abs(exact - value[i]) <= 2 * error[i]
        # 0 is what a function gives that loses the imaginary part on its way.
        taken[i] = agrees & ((error[i] < 0.01 * np.abs(exact)) | (exact != 0))
        value[i] = np.where(taken[i], exact, value[i])
        error[i] = np.where(taken[i], 8 * lines.eps * np.abs(exact), error[i])
    return taken


LOCAL = (1e-5,)
EVERY = (*LOCAL, 1e-3, 1e-1, 1.0)
"""Widths of windows in which noise is looked for: next to the point, and further on."""


def roughness(lines: Lines, which: Sequence[int], widths: Sequence[float]) -> Array:
    """Return the noise of the values, which no small step makes smaller.

    It is what a polynomial of degree 4 leaves of the values at unevenly spaced points
    (after Hamming, and Moré and Wild, "Estimating computational noise", 2011). What the
    function does itself goes with the width of the window, noise does not: the window
    counts where least is left, but not one in which the values hardly change.
    """
    least = np.full((len(which), lines.base.size), np.inf)
    for width in widths:
        values = lines.values(which, (width * _UNEVEN).tolist())
        left = np.einsum("kt,tjm->kjm", _LEFT_BY_QUARTIC, values)
        noise = np.sqrt(np.sum(left**2, axis=0) / len(left))
        still = np.mean(np.diff(values, axis=0) == 0, axis=0) >= 0.6
        least = np.fmin(least, np.where(still, np.inf, noise))
    return np.where(np.isfinite(least), least, 0)


# Drawn once: a regular sequence can run in step with the rounding.
_UNEVEN = np.array(
    [
        0.037496,
        0.057999,
        0.069855,
        0.072436,
        0.090713,
        0.150849,
        0.323833,
        0.365689,
        0.424519,
        0.433646,
        0.507436,
        0.535882,
        0.650934,
        0.826852,
    ]
)
_LEFT_BY_QUARTIC = np.linalg.svd(_UNEVEN ** np.arange(5)[:, None])[2][5:]
