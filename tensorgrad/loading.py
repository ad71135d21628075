"""Ctrl-C while the command `tensorgrad` still loads: one line, and no traceback.

The package is imported before the command can catch anything.
"""

# What `signal` is made of: it needs no other module, and loading those takes time too.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys


def _guard() -> None:
    if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        try:
            signal.signal(signal.SIGINT, _stop)
        except ValueError:
            return  # in a thread, which Ctrl-C does not reach


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


def _stop(signum: int, frame: object) -> None:
    print("tensorgrad: stopped by Ctrl-C", file=sys.stderr, flush=True)
    # An exception may be taken for another one by a module that is being imported.
    os._exit(130)


_guard()
