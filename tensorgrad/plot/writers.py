"""What an animation is made of, and files of pictures; the ending of a name chooses."""

from __future__ import annotations

import base64
import html
import importlib.resources
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..extras import load
from .figures import STILL
from .palette import CLASSES, as_bytes, diverging, light_of

__all__ = ["MOVING", "STILL", "Film", "Frame", "Make", "check", "frames", "write"]

Frame = tuple[str, NDArray[np.uint8]]
"""What a frame shows, in words, and the picture, of shape (height, width, 3)."""


class Film(Protocol):
    """A figure that can be put to each moment of a run, in turn."""

    figure: Any
    title: str
    count: int

    def show(self, i: int) -> None:
        """Put moment i on the figure."""

    def label(self, i: int) -> str:
        """Say which moment it is."""

    @property
    def settled(self) -> bool:
        """Whether nothing lags behind the moment shown."""

    def picture(self) -> NDArray[np.uint8]:
        """Return the figure as it is."""


Make = Callable[[], Film]
"""Makes a film that has shown nothing yet."""


def frames(film: Film) -> Iterator[Frame]:
    """Yield a frame for each moment, and of the last until it shows it as it is."""
    last = film.count - 1
    for i in range(film.count):
        film.show(i)
        yield film.label(i), film.picture()
    while not film.settled:
        film.show(last)
        yield film.label(last), film.picture()


def check(path: str | Path) -> Path:
    """Return a path whose ending can be written with what is installed.

    Raises
    ------
    ValueError
        If the ending is none of those.
    ImportError
        If a package is missing; the message names the extra that brings it.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in STILL and ending not in MOVING:
        raise ValueError(
            f"tg.plot: expected a file name ending in {', '.join([*STILL, *MOVING])}, "
            f"got {path.name!r}"
        )
    load("matplotlib", "plot", "tg.plot")
    if ending == ".mp4":
        _ffmpeg(path)
    return path


def write(make: Make, path: Path, fps: float) -> None:
    """Write a film, or of it the last moment, in place of what was there."""
    # Under another name at first, so that what was there outlives a failure.
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    ending = path.suffix.lower()
    try:
        if ending in STILL:
            film = make()
            film.show(film.count - 1)
            film.figure.savefig(unfinished, dpi=150)
        else:
            MOVING[ending](make, unfinished, fps)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_mp4(make: Make, path: Path, fps: float) -> None:
    film = make()
    height, width, _ = film.picture().shape
    quality = ["-crf", "20", "-preset", "medium", "-movflags", "+faststart"]
    writer = _ffmpeg(path).write_frames(
        str(path), (width, height), fps=fps, macro_block_size=2, output_params=quality
    )
    writer.send(None)
    try:
        for _, picture in frames(film):
            writer.send(np.ascontiguousarray(picture))
    finally:
        writer.close()


def _ffmpeg(path: Path) -> Any:
    try:
        return load("imageio_ffmpeg", "video", f"writing {path.suffix}")
    except ImportError as error:
        raise ImportError(
            f"{error}, or choose a name that ends in .webp, .gif or .html"
        ) from error


def _write_webp(make: Make, path: Path, fps: float) -> None:
    _write_with_pillow(_images(make()), path, fps, quality=75, method=4)


def _write_gif(make: Make, path: Path, fps: float) -> None:
    # One table of colours for all frames: with one each, still parts would flicker.
    table = _colours(make())
    images = (image.quantize(palette=table, dither=0) for image in _images(make()))
    _write_with_pillow(images, path, fps)


def _colours(film: Film) -> Any:
    """Return an image whose 256 colours suit the whole film.

    Squares and marks are small beside the other coloured areas, so their colours are
    fixed, and only the others chosen by the picture.
    """
    image = load("PIL.Image", "plot", "tg.plot")
    pictures = []
    for i in np.linspace(0, film.count - 1, 4).astype(int):
        film.show(int(i))
        pictures.append(film.picture())
    marks = as_bytes(np.array([light_of(colour) for colour in CLASSES]))
    fixed = np.concatenate([diverging(np.linspace(-1, 1, 49)), marks])
    quantized = image.fromarray(np.concatenate(pictures)).quantize(256 - len(fixed))
    table = image.new("P", (1, 1))
    table.putpalette(fixed.ravel().tolist() + quantized.getpalette())
    return table


def _images(film: Film) -> Iterator[Any]:
    image = load("PIL.Image", "plot", "tg.plot")
    return (image.fromarray(picture) for _, picture in frames(film))


def _write_with_pillow(
    images: Iterator[Any], path: Path, fps: float, **options: Any
) -> None:
    next(images).save(
        path,
        save_all=True,
        append_images=images,
        duration=round(1000 / fps),
        loop=0,
        **options,
    )


def _write_html(make: Make, path: Path, fps: float) -> None:
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


MOVING: dict[str, Callable[[Make, Path, float], None]] = {
    ".mp4": _write_mp4,
    ".webp": _write_webp,
    ".gif": _write_gif,
    ".html": _write_html,
}
