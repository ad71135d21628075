"""Numerical derivatives with error bars, from values along lines through a point.

Central differences at a geometric sequence of steps are extrapolated to step 0, and the
spread of the extrapolation tableau, with the rounding of the values, is the error bar
(Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering
Software 4, 1982).

Steps are in units of the direction, which is scaled by max(1, |x|) by the caller; where
|x| is smaller they go on in units of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .problem import EPS, Array

# Steps without a simple ratio, against aliasing with a periodic or quantised function.
LARGE = tuple(1.07 * 10.3**k for k in range(14, 0, -2))
EXACT = (1.0, 0.5306)
WIDE = (0.8713, 0.4307, 0.2171)
COARSE = tuple(0.1093 * 0.4713**k for k in range(6))
FINE = tuple(6.13e-4 * 0.2217**k for k in range(5))
TINY = tuple(3.11e-7 * 0.2417**k for k in range(13))
NEAR = tuple(0.2113 * 0.3071**k for k in range(10))
"""Steps in units of |x|, where that is small."""

ORDER = 4
TARGET = 1e-9


class Estimate(NamedTuple):
    """Derivatives and their error bars: one row for each line."""

    value: Array
    error: Array


class Lines:
    """Values of a function along several lines through one point, kept for reuse."""

    def __init__(
        self,
        # From the number of a line and a step to the values there, a vector.
        along: Callable[[int, float], Array],
        count: int,
        *,
        # Size of the terms each value is summed from, where more than the value.
        magnitude: Array | None = None,
        # Relative rounding error of the values.
        eps: float = EPS,
        # From the number of a line to the derivative by a step in the imaginary
        # direction, or None where the function does not take complex numbers.
        imaginary: Callable[[int], Array | None] | None = None,
        # Whether the values are linear along each line.
        exact: bool = False,
        # The step along each line at which the point moves by its own size, 0 at 0.
        sizes: Array | None = None,
        # From the number of a line and a step to one close by that is exact: the point
        # moves by it without rounding.
        snap: Callable[[int, float], float] | None = None,
    ) -> None:
        self.along, self.count, self.eps = along, count, eps
        self.sizes = np.ones(count) if sizes is None else sizes
        self.snap, self.snaps = snap or (lambda j, t: t), snap is not None
        self.imaginary, self.exact = imaginary, exact
        self.base = along(0, 0.0)
        self.magnitude = np.abs(self.base) if magnitude is None else magnitude
        self._seen: dict[tuple[int, float], Array] = {}

    def at(self, line: int, step: float) -> Array:
        """Return the values at a step along a line, computed once."""
        values = self._seen.get((line, step))
        if values is None:
            values = self._seen[line, step] = self.along(line, step)
        return values

    def values(self, lines: Sequence[int], steps: Sequence[float]) -> Array:
        """Return values, shape (steps, lines, outputs)."""
        values = [self.at(j, t) for t in steps for j in lines]
        return np.array(values).reshape(len(steps), len(lines), -1)


def extrapolate(
    steps: Sequence[float],
    slopes: Array,
    rounding: Array,
    power: int,
    wary: bool = False,
) -> Estimate:
    """Return the limit of `slopes`, one for each of decreasing steps, at step 0.

    They are a polynomial in ``step**power``; `wary` where they may be anything else, as
    a fractional power or noise.
    """
    value = np.full(slopes.shape[1:], np.nan)
    error, high = np.full((2, *slopes.shape[1:]), np.inf)
    low = -high
    rows = _wary_rows if wary else _rows
    for at, bar in reversed(list(rows(steps, slopes, rounding, power))):
        # What coarser steps say counts where it is sharper and all finer ones allow it.
        allowed = (at - bar <= high) & (at + bar >= low)
        better = (bar < error) & allowed
        value, error = np.where(better, at, value), np.where(better, bar, error)
        low = np.where(allowed, np.maximum(low, at - bar), low)
        high = np.where(allowed, np.minimum(high, at + bar), high)
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
            ratio = np.float64(steps[k - j] / steps[k]) ** power
            best = row[j - 1] + (row[j - 1] - coarser[j - 1]) / (ratio - 1)
            far = np.abs(best - coarser[j - 1]) * np.minimum(1.0, 10 / ratio)
            bar = np.maximum(np.abs(best - row[j - 1]), far) + 2 * rounding[k]
            value = np.where(bar < error, best, value)
            error = np.where(bar < error, bar, error)
            row.append(best)
        yield value, error
        coarser = row


def _wary_rows(
    steps: Sequence[float], slopes: Array, rounding: Array, power: int
) -> Iterator[tuple[Array, Array]]:
    """Give the best extrapolation that ends at each step, with an error bar that holds
    for slopes that are no polynomial: what the last step changed, and the next order
    would, and the rounding of all that it is made of.
    """
    last: list[tuple[Array, Array, Array]] = []
    for k, slope in enumerate(slopes):
        row = [(slope, rounding[k], np.full(slope.shape, np.inf))]
        for j in range(min(k, ORDER)):
            ratio = np.float64(steps[k - j - 1] / steps[k]) ** power
            (at, noise, _), (before, noise_before, _) = row[j], last[j]
            best = at + (at - before) / (ratio - 1)
            amplified = noise + (noise + noise_before) / (ratio - 1)
            row.append((best, amplified, np.full(slope.shape, np.inf)))
            row[j] = (at, noise, np.abs(at - before))
        value, error = slope, np.full(slope.shape, np.inf)
        for j in range(min(k, ORDER)):
            at, noise, move = row[j]
            bar = np.maximum(move, np.abs(row[j + 1][0] - at)) + noise
            # Changes that do not get smaller lead to no limit.
            bar = np.where(move <= 0.7 * last[j][2] + 2 * noise, bar, np.inf)
            value = np.where(bar < error, at, value)
            error = np.where(bar < error, bar, error)
        yield value, error
        last = row


def central_slopes(
    lines: Lines, which: Sequence[int], steps: Sequence[float], exact: bool = False
) -> tuple[Array, Array]:
    """Return central difference quotients and their rounding errors; `exact` where the
    point moves by these steps without rounding.
    """
    h = np.array(steps)[:, None, None]
    ahead, behind = lines.values(which, steps), lines.values(which, [-t for t in steps])
    slopes = (ahead - behind) / (2 * h)
    size = lines.magnitude + np.abs(ahead) + np.abs(behind)
    # Where x + h is rounded too, the slope carries that over; within the function its
    # terms are, and at a minimum they have slopes where it has none.
    moves = np.abs(ahead - 2 * lines.base + behind) / h
    moves += 0 if exact else np.abs(slopes)
    sizes = lines.sizes[list(which)]
    size += moves * np.where(sizes == 0, 1.0, sizes)[:, None]
    return slopes, lines.eps * size / h


def derivatives(lines: Lines) -> tuple[Estimate, Array]:
    """Return the derivative of each value along each line, with error bars, and which
    lines need a closer look.

    Smaller steps are taken only for the lines that need them.
    """
    shape = (lines.count, lines.base.size)
    estimate = Estimate(np.full(shape, np.nan), np.full(shape, np.inf))
    check = (check_step(lines.eps),)
    unsettled = np.zeros(lines.count, dtype=bool)
    with np.errstate(all="ignore"):
        pending = list(range(lines.count))
        if lines.exact:
            pending = _settle(lines, pending, EXACT, estimate)
        for count in range(2, 1 + len(COARSE)):
            pending = _settle(lines, pending, COARSE[:count] + check, estimate)
        pending = _settle(lines, pending, COARSE + FINE, estimate)
        # Rounding that is no smaller than what a step shows has to be measured.
        unsettled[pending if lines.eps < 1e-10 else slice(None)] = True
        small = (lines.sizes > 0) & (lines.sizes < 0.1 * COARSE[-1])
        for j in np.flatnonzero(small & ~unsettled):
            unsettled[j] = _is_other_near(lines, int(j), estimate)
    return estimate, unsettled


def _is_other_near(lines: Lines, j: int, estimate: Estimate) -> bool:
    """Whether the derivative differs over steps smaller than the point."""
    slopes, rounding = central_slopes(lines, [j], (0.05 * lines.sizes[j],))
    value, error = estimate.value[j], estimate.error[j]
    same = np.abs(slopes[0, 0] - value) <= 2 * rounding[0, 0] + error + 1e-6 * np.abs(
        value
    )
    return not bool((same | ~np.isfinite(lines.base)).all())


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
        reliable = (np.abs(value) > 4 * error) & ~farther.any(axis=0)
        return Estimate(value, np.where(reliable, error, np.inf))


def fitted(lines: Lines, which: list[int]) -> Estimate:
    """Return derivatives along some lines by least squares, with error bars from what
    the fit leaves.

    Rounding may change slowly from point to point, as that of iterations does. At small
    steps it looks like a slope then, and not like noise; here it does not.
    """
    steps = np.array(COARSE + FINE)
    with np.errstate(all="ignore"):
        slopes, _ = central_slopes(lines, which, COARSE + FINE)
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
    lines: Lines, which: list[int], steps: Sequence[float], estimate: Estimate
) -> list[int]:
    """Enter the derivatives along `which` lines; return the lines not yet settled."""
    if not which or not lines.base.size:
        return []
    slopes, rounding = central_slopes(lines, which, steps)
    value, error = extrapolate(steps, slopes, rounding, power=2)
    settled = _settled(steps, value, error, slopes, rounding)
    settled |= ~np.isfinite(lines.base)
    if lines.imaginary is not None:
        settled |= by_imaginary_step(lines, which, value, error)
    estimate.value[which], estimate.error[which] = value, error
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


def by_imaginary_step(
    lines: Lines, which: list[int], value: Array, error: Array
) -> Array:
    """Replace what the complex step knows exactly, where it can be trusted: where it
    agrees with the real difference, and the difference says something.
    """
    replaced = np.zeros(value.shape, dtype=bool)
    assert lines.imaginary is not None
    for i, j in enumerate(which):
        exact = lines.imaginary(j)
        if exact is None:
            continue
        agrees = np.abs(exact - value[i]) <= 2 * error[i]
        # 0 is what a function gives that loses the imaginary part on its way, and what
        # cannot be distinguished from it may be the step's own error, as of x**3 at 0.
        replaced[i] = agrees & (error[i] < 0.5 * np.abs(exact))
        value[i] = np.where(replaced[i], exact, value[i])
        error[i] = np.where(replaced[i], 8 * lines.eps * np.abs(exact), error[i])
    return replaced


Around = Callable[[int, float, int, float], Array]
"""From the number of a line, a step, the number of a point close by and how far off it
may be, to the values there.
"""

ASKED = tuple(range(32, 513, 32))


def nearby(
    lines: Lines,
    around: Around,
    j: int,
    claimed: Array,
    step: float,
    noise: Array,
    counts: Sequence[int] = ASKED,
) -> tuple[Array, Array, Array]:
    """Return the least and the greatest derivative along line `j` at points close by,
    and where that is for a kink: these differ as much at a tenth of the distance then.

    Between them lies what is a generalised derivative in the sense of Clarke
    ("Optimization and Nonsmooth Analysis", 1983), whatever the kink. `step` is the
    smallest with which differences tell; after so many points as each of the `counts`
    it is enough if what is `claimed` lies between the two.
    """
    low, high = np.full((2, 2, lines.base.size), np.nan)
    differ = np.zeros(lines.base.size, dtype=bool)
    for k in range(counts[-1]):
        radius = (100 if k % 2 == 0 else 10) * step
        with np.errstate(all="ignore"):
            ahead, behind = (around(j, t, k, radius) for t in (step, -step))
            slopes = (ahead - behind) / (2 * step)
        low[k % 2] = np.fmin(low[k % 2], slopes)
        high[k % 2] = np.fmax(high[k % 2], slopes)
        if k + 1 in counts:
            far, close = high - low
            size = 1e-3 * np.fmax(np.abs(low[1]), np.abs(high[1]))
            differ = (close > 0.4 * far) & (close > size + 32 * noise / step)
            outside = (claimed < low[1]) | (claimed > high[1])
            if not (differ & outside).any():
                break
    return low[1], high[1], differ
