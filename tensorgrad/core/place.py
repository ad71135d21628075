"""Where in the user's code something happened: cheap to note, resolved when printed."""

import os
import sys
import sysconfig
from types import CodeType, FrameType
from typing import NamedTuple

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class _Inside(dict[str, bool]):
    """Whether a source file belongs to this package, by file name."""

    def __missing__(self, filename: str) -> bool:
        inside = self[filename] = filename.startswith(PACKAGE)
        return inside


_inside = _Inside()


def is_inside(code: CodeType) -> bool:
    """Whether code belongs to this package."""
    return _inside[code.co_filename]


class Place(NamedTuple):
    """A code object and the offset of an instruction in it.

    A frame would keep its locals alive and a line number costs a table walk, so
    neither is kept.
    """

    code: CodeType
    offset: int

    def __str__(self) -> str:
        return f"{self.code.co_filename}:{self.line} in {self.code.co_name}"

    @property
    def line(self) -> int:
        """Line number, resolved now."""
        line = self.code.co_firstlineno
        for start, end, number in self.code.co_lines():
            if start <= self.offset < end and number is not None:
                line = number
        return line


def user_level() -> int:
    """Return the ``stacklevel`` with which the caller warns of the user's line."""
    frame, level = sys._getframe(1), 1
    while _inside[frame.f_code.co_filename] and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return level


def user_place(depth: int = 2) -> tuple[CodeType, int]:
    """Return code and offset of the innermost caller outside this package."""
    frame = sys._getframe(depth)
    while _inside[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def outer_frame() -> FrameType:
    """Return the frame of the innermost caller outside this package."""
    frame = sys._getframe(1)
    while _inside[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    return frame


def user_frame(frame: FrameType) -> FrameType:
    """Return the innermost caller that is nobody's library.

    Where all are, as in a script among the installed packages, the innermost outside
    this package. For messages alone: it is slower than `user_place`.
    """
    paths = sysconfig.get_paths()
    libraries = tuple(
        paths[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
    )
    outside: FrameType | None = None
    at: FrameType | None = frame
    while at is not None:
        file = at.f_code.co_filename
        if not _inside[file]:
            outside = outside or at
            if not file.startswith((*libraries, "<frozen ")):
                return at
        at = at.f_back
    return outside or frame
