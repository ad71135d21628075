"""Which of the user's code runs while a step is recorded, and on which objects."""

from __future__ import annotations

import functools
import gc
import io
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from types import CodeType, FrameType
from typing import Any, TypeVar

import numpy as np

from ...core.node import root
from ...core.observe import current_recorder
from ...core.place import PACKAGE, Place, user_frame
from ...core.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

_SITE = os.path.dirname(os.path.dirname(os.path.abspath(np.__file__))) + os.sep
_STANDARD = sysconfig.get_path("stdlib") + os.sep

_OURS = (f"{PACKAGE}nn", f"{PACKAGE}optim")
"""Layers and optimizers read attributes that a user may change."""

_COMPUTING = tuple(f"{_SITE}{name}{os.sep}" for name in ("numpy", "scipy"))

_FILES = ("copy.py", "dataclasses.py", "enum.py", "os.py", f"json{os.sep}")
_READERS = (*(os.path.join(_STANDARD, file) for file in _FILES), "<frozen os>")
"""Modules of the standard library that read all attributes of what they are given."""

_CACHING = (
    "importlib",
    "linecache",
    f"re{os.sep}",
    "tokenize",
    "traceback",
    "warnings",
)
_ASIDE = (*(os.path.join(_STANDARD, name) for name in _CACHING), "<frozen importlib")
"""Modules of the standard library whose caches and files have no part in a result."""

_SYSTEM = {os.stat, os.lstat, os.listdir, os.scandir, os.access, os.open, os.getcwd}

_EVENTS = ("call", "return", "c_call")
_OF_SHAPES = {"ndim", "ravel", "reshape", "shape", "size", "squeeze", "swapaxes"}
_OF_SHAPES |= {"transpose", "view"}
"""Functions that look at no values."""

PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
"""Values that cannot change, and are compared by what they are."""


class _Followed(dict[str, bool]):
    """Whether the code of a source file is followed, by file name."""

    def __missing__(self, file: str) -> bool:
        if file.startswith(PACKAGE):
            followed = file.startswith(_OURS)
        elif file.startswith(_READERS):
            followed = True
        elif file.startswith(_COMPUTING) or file.startswith(("<frozen", "<__array")):
            followed = False
        else:
            followed = not file.startswith(_ASIDE)
        self[file] = followed
        return followed


_followed = _Followed()


def _is_standard(file: str) -> bool:
    """Whether a file is of the standard library."""
    site = "site-packages" in file or "dist-packages" in file
    return file.startswith("<frozen") or (file.startswith(_STANDARD) and not site)


def _asking(frame: FrameType | None) -> CodeType | None:
    """Return whose code the standard library works for."""
    while frame is not None and _is_standard(frame.f_code.co_filename):
        if frame.f_code.co_filename.startswith(_ASIDE):
            return None
        frame = frame.f_back
    return None if frame is None else frame.f_code


def _is_ours(frame: FrameType) -> bool:
    """Whether generated code, or the standard library's, works for this package."""
    file = frame.f_code.co_filename
    if file.startswith("<") and not file.startswith("<frozen"):
        module = str(frame.f_globals.get("__name__", ""))
        return module.startswith(("tensorgrad.", "namedtuple_"))
    return _is_standard(file) and not is_users(_asking(frame))


def is_followed(code: CodeType) -> bool:
    """Whether what code reads is watched: the user's, our layers' and optimizers'."""
    return _followed[code.co_filename]


def is_users(code: CodeType | None) -> bool:
    """Whether code is the user's own."""
    if code is None or code.co_filename.startswith(PACKAGE):
        return False
    return is_followed(code)


def reads_all(code: CodeType) -> bool | None:
    """Whether code reads attributes by any names, if that is known."""
    if code.co_filename.startswith(PACKAGE):
        return False
    return True if code.co_filename.startswith(_READERS) else None


@dataclass
class Ran:
    """Code that ran.

    Attributes
    ----------
    code : code
    variables : dict
        The globals of its module.
    objects : dict
        What it worked on, under its id: name and object.
    """

    code: CodeType
    variables: dict[str, Any]
    objects: dict[int, tuple[str, Any]] = field(default_factory=dict)

    def saw(self, name: str, x: Any) -> None:
        """Note an object that the code worked on."""
        # A tuple of what the step has made, as of arguments, would keep it alive.
        if not (_is_fresh(x) or (type(x) is tuple and all(map(_is_fresh, x)))):
            self.objects.setdefault(id(x), (name, x))


def _is_fresh(x: Any) -> bool:
    """Whether the step itself has made it, or it cannot change."""
    kind = type(x)
    return issubclass(kind, PLAIN) or (kind is Tensor and _is_new(x)) or _is_traced(x)


def _is_asked(frame: FrameType) -> bool:
    """Whether code of NumPy or SciPy was called by code that is followed."""
    caller, file = frame.f_back, frame.f_code.co_filename
    return (
        file.startswith(_COMPUTING)
        and caller is not None
        and _followed[caller.f_code.co_filename]
    )


def _is_traced(x: Any) -> bool:
    return type(x).__module__ == "tensorgrad.capture.recording.traced"


def _is_new(x: Tensor) -> bool:
    return _is_traced(x._value)


def _place(frame: FrameType) -> Place:
    user = user_frame(frame)
    return Place(user.f_code, user.f_lasti)


_counting = Lock()
_uncollecting = 0
_collects = True


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage while any thread is inside: it would run code of others.

    The collector is one for all threads, and runs in whichever makes an object.
    """
    global _uncollecting, _collects
    with _counting:
        if not _uncollecting:
            _collects = gc.isenabled()
            gc.disable()
        _uncollecting += 1
    try:
        yield
    finally:
        with _counting:
            _uncollecting -= 1
            if _collects and not _uncollecting:
                gc.enable()


class Reads:
    """What ran while a step was recorded.

    Attributes
    ----------
    ran : dict
        Code of the user's, and of layers and optimizers, under its id.
    lent : dict
        Pairs of code: one has returned an iterator to the other.
    asked : tuple of str and Place, or None
        What the system was asked for, and the line that did.
    computed_with : dict
        Arrays that plain NumPy was seen to compute with, by the id of who owns them.
    """

    def __init__(self) -> None:
        self.ran: dict[int, Ran] = {}
        self.lent: dict[Any, tuple[Ran, Ran]] = {}
        self.asked: tuple[str, Place] | None = None
        self.computed_with: dict[int, Any] = {}
        self._recorder: Any = None
        self._before: Any = None

    @contextmanager
    def noted(self, recorder: Any) -> Iterator[None]:
        """Note what runs inside, as far as `recorder` records it."""
        self._recorder, self._before = recorder, sys.getprofile()
        # A profiler in C cannot be called, nor set again.
        paused = self._before is not None and not callable(self._before)
        if paused:
            self._before.disable()
        with uncollected():
            sys.setprofile(self._note)
            try:
                yield
            finally:
                sys.setprofile(None if paused else self._before)
                if paused:
                    self._before.enable()
                self._recorder = None

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        if callable(self._before):
            self._before(frame, event, argument)
        writer = getattr(current_recorder(), "writer", None)
        if event not in _EVENTS or writer is not self._recorder:
            return  # What a host call does is done at each replay.
        if event == "c_call":
            self._note_builtin(frame, argument)
        elif _followed[frame.f_code.co_filename]:
            self._note_frame(frame, event, argument)
        elif event == "call" and _is_asked(frame):
            self._note_computing(frame.f_code.co_name, frame.f_locals.values())

    def _note_builtin(self, frame: FrameType, function: Any) -> None:
        if function is io.open and _asking(frame):
            self.asked = "opens a file", _place(frame)
        elif function in _SYSTEM and is_users(_asking(frame)):
            self.asked = "asks for files and folders", _place(frame)
        elif function.__name__ == "__subclasses__":
            self.asked = "asks for the subclasses of a class", _place(frame)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, np.ndarray) and _followed[frame.f_code.co_filename]:
            self._note_computing(function.__name__, [owner])

    def _note_computing(self, function: str, arguments: Iterable[Any]) -> None:
        """Note the arrays that the user's code has NumPy compute with."""
        arguments = [*arguments]
        if any(type(x) is Tensor or _is_traced(x) for x in arguments):
            return
        if function.strip("_").removesuffix("_dispatcher") not in _OF_SHAPES:
            for x in arguments:
                if isinstance(x, np.ndarray):
                    self.computed_with[id(root(x))] = root(x)

    def _note_frame(self, frame: FrameType, event: str, argument: Any) -> None:
        if _is_ours(frame):
            return
        ran = self._of(frame)
        standard = _is_standard(frame.f_code.co_filename)
        if frame.f_locals is not frame.f_globals:
            for name, x in frame.f_locals.items():
                # Its `inspect` looks at the variables of modules, and at few of them.
                if not (standard and type(x) is dict and "__builtins__" in x):
                    ran.saw(name, x)
        caller = frame.f_back
        if event == "return" and caller and _followed[caller.f_code.co_filename]:
            self._of(caller).saw(f"{frame.f_code.co_name}()", argument)
            if hasattr(type(argument), "__next__"):
                # The caller reads what the iterator gives, which nobody else sees.
                self.lent[id(ran), id(caller.f_code)] = ran, self._of(caller)

    def _of(self, frame: FrameType) -> Ran:
        code = frame.f_code
        if id(code) not in self.ran:
            self.ran[id(code)] = Ran(code, frame.f_globals)
        return self.ran[id(code)]


def unnoted(function: F) -> F:
    """Let a function of the recorder run unseen: no code of the user's runs in it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        noting = sys.getprofile()
        if noting is None or getattr(noting, "__func__", None) is not Reads._note:
            return function(*args, **kwargs)
        sys.setprofile(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.setprofile(noting)

    return call  # type: ignore[return-value]
