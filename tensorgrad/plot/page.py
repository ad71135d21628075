"""An animation as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import html
import importlib.resources
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import load
from .film import Make, frames

__all__ = ["write_html"]


def write_html(make: Make, path: Path, fps: float) -> None:
    """Write a page with the frames in it, and buttons to play them."""
    film = make()
    labels, pictures = [], []
    for label, picture in frames(film):
        labels.append(label)
        pictures.append(_embedded(picture))
    height, width, _ = picture.shape
    template = importlib.resources.files(__package__) / "page.html"
    values = {
        "TITLE": html.escape(film.title or "A training run"),
        "WIDTH": str(width),
        "HEIGHT": str(height),
        "LAST": str(len(pictures) - 1),
        "FPS": json.dumps(fps),
        "LABELS": json.dumps(labels),
        "FRAMES": json.dumps(pictures),
    }
    page = template.read_text(encoding="utf-8")
    for name, value in values.items():
        page = page.replace(f"@{name}@", value)
    path.write_text(page, encoding="utf-8")


def _embedded(picture: NDArray[np.uint8]) -> str:
    """Return a picture as a data URI."""
    image: Any = load("PIL.Image", "plot", "tg.plot")
    buffer = io.BytesIO()
    image.fromarray(picture).save(buffer, "WEBP", quality=75, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
