"""Colours: one palette that colour-blind readers can tell apart, and its luminance.

Tints of classes share one luminance, and so do the two ends of the scale of weights:
where one turns into another the picture grows neither lighter nor darker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BLUE",
    "CLASSES",
    "INK",
    "LINE",
    "MARKERS",
    "ORANGE",
    "PALE",
    "RED",
    "diverging",
    "encoded",
    "is_saturated_red",
    "linear",
    "luminance",
    "tints",
]

Array = NDArray[Any]

# Okabe and Ito, "Color universal design", 2008, without the yellow: too pale on white.
CLASSES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#4D4D4D")
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
BLUE, ORANGE = CLASSES[:2]
RED = "#B24C54"
"""As dark as BLUE, and not saturated as WCAG's red flashes are."""
INK, PALE, LINE = "#333333", "#C8C8C8", "#DCDCDC"

# The same hues, as vivid as they can be where they are light.
_VIVID = ("#9CCBFF", "#FFC478", "#78D7B4", "#EBB4D7", "#FFAA82", "#78D7F0", "#C8C8C8")
_TINT = 0.64
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


def linear(srgb: ArrayLike) -> Array:
    """Return light intensities for sRGB values, both from 0 to 1 [1]_.

    References
    ----------
    .. [1] IEC 61966-2-1, "Default RGB colour space - sRGB", 1999.
    """
    c = np.asarray(srgb, dtype=float)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def encoded(light: ArrayLike) -> Array:
    """Return sRGB values for light intensities, both from 0 to 1."""
    c = np.asarray(light, dtype=float)
    return np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)


def luminance(picture: Array) -> Array:
    """Return WCAG's relative luminance, from 0 to 1, of a uint8 picture (..., 3)."""
    levels = linear(np.arange(256) / 255)
    result: Array = levels[picture] @ _WEIGHTS
    return result


def is_saturated_red(picture: Array) -> Array:
    """Tell which pixels of a uint8 picture (..., 3) WCAG calls a saturated red."""
    light = linear(np.arange(256) / 255)[picture]
    total = light.sum(axis=-1)
    is_red: Array = (light[..., 0] >= 0.8 * total) & (total > 0)
    return is_red


def light_of(colour: str) -> Array:
    """Return the light intensities of a colour written as #RRGGBB."""
    return linear([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def class_colour(k: int) -> str:
    """Return the colour of a class; they repeat after seven."""
    return CLASSES[k % len(CLASSES)]


def class_marker(k: int) -> str:
    """Return the marker of a class; with its colour it repeats after 49."""
    return MARKERS[(k + k // len(CLASSES)) % len(MARKERS)]


def tints(count: int) -> Array:
    """Return light intensities (count, 3) of class colours, all of one luminance."""
    full = np.array([light_of(_VIVID[k % len(_VIVID)]) for k in range(count)])
    own = (full @ _WEIGHTS)[:, None]
    share = (_TINT - own) / (1 - own)
    colours: Array = full + share * (1 - full)
    return colours


def diverging(values: Array) -> Array:
    """Return uint8 colours of values from -1, blue, over 0, white, to 1, red.

    The luminance falls linearly with the magnitude, alike on both sides.
    """
    v = np.clip(np.nan_to_num(values), -1, 1)[..., None]
    ends = np.where(v > 0, light_of(RED), light_of(BLUE))
    return as_bytes(1 + np.abs(v) * (ends - 1))


def as_bytes(light: Array) -> Array:
    """Return uint8 sRGB for light intensities from 0 to 1."""
    return (255 * encoded(np.clip(light, 0, 1)) + 0.5).astype(np.uint8)
