"""How Ctrl-C and SIGTERM end the command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .errors import TerminatedError


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """Note Ctrl-C and SIGTERM within the block; yield a getter of the signal, or 0.

    So a step is never cut in half. A second Ctrl-C is a KeyboardInterrupt.
    """
    noted = 0

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal noted
        if noted:
            raise TerminatedError if signum == signal.SIGTERM else KeyboardInterrupt
        noted = signum

    with handled(note, signal.SIGINT, signal.SIGTERM):
        yield lambda: noted


@contextmanager
def handled(handler: Callable[..., None], *signals: signal.Signals) -> Iterator[None]:
    """Handle signals within the block, where they are not handled by others."""
    # A process started in the background may be meant to ignore one, and only the
    # main thread may choose.
    usual = (signal.default_int_handler, signal.SIG_DFL, terminate)
    is_main = threading.current_thread() is threading.main_thread()
    before = {s: signal.getsignal(s) for s in signals if is_main}
    ours = [s for s, previous in before.items() if previous in usual]
    for s in ours:
        signal.signal(s, handler)
    try:
        yield
    finally:
        for s in ours:
            signal.signal(s, before[s])


def terminate(signum: int, frame: FrameType | None) -> None:
    """Handle SIGTERM by an exception that ends the command."""
    raise TerminatedError
