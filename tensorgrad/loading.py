"""Ctrl-C while the command `tensorgrad` still loads: one line, and no traceback.

The package is imported before the command can catch anything.
"""

import os
import signal
import sys
import threading
from types import FrameType


def _guard() -> None:
    ours = threading.current_thread() is threading.main_thread() and _is_command()
    if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def release() -> None:
    """Let Ctrl-C be what it is in any program."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_command() -> bool:
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    if name == "-m":
        options = sys.orig_argv
        return options[options.index("-m") + 1 :][:1] == ["tensorgrad"]
    return name in ("tensorgrad", "tensorgrad.exe")


def _stop(signum: int, frame: FrameType | None) -> None:
    print("tensorgrad: stopped by Ctrl-C", file=sys.stderr, flush=True)
    # An exception may be taken for another one by a module that is being imported.
    os._exit(130)


_guard()
