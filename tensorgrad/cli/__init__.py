"""The command `tensorgrad`: train networks and use them, check gradients.

Exit status: 0 done; 1 a run that failed, or a wrong gradient; 2 a request that cannot
be met; 130 stopped by Ctrl-C, 143 by SIGTERM; 141 the reader of the output went away.
What goes wrong is one sentence on standard error.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Callable, Sequence

from ..loading import release
from .errors import CommandError, TerminatedError
from .parser import parser
from .progress import drop_output
from .signals import handled, terminate

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.
    """
    try:
        _print_any_text()
        status = _run(argv)
        # Now, so that a reader that went away is noticed here and not at exit.
        print(end="", flush=True)
    except CommandError as error:
        return _complain(str(error), error.status)
    except TerminatedError:
        return _complain("stopped by SIGTERM", 143)
    except KeyboardInterrupt:
        return _complain("stopped by Ctrl-C", 130)
    except MemoryError:
        return _complain("out of memory; try a smaller --batch-size or --layers", 1)
    except BrokenPipeError:
        drop_output()
        return 141
    except ImportError as error:
        return _complain(str(error), 2)
    except OSError as error:
        drop_output()
        return _complain(f"the output cannot be written: {error.strerror}", 1)
    return status


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = parser().parse_args(argv)
    except SystemExit as done:  # --help and --version have been printed
        return int(done.code or 0)
    run = _command(args.command)
    release()
    with handled(terminate, signal.SIGTERM):
        return run(args)


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """Import the module of a command, and return what runs it."""
    module = name if name in ("check", "reproduce", "train") else "use"
    run: Callable[[argparse.Namespace], int] = getattr(
        importlib.import_module(f"{__name__}.{module}"), name
    )
    return run


def _print_any_text() -> None:
    """Escape what standard output cannot encode, as standard error does."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="backslashreplace")


def _complain(message: str, status: int) -> int:
    print(f"tensorgrad: {message}", file=sys.stderr)
    return status
