"""Refusals of what a step does and its replay could not do, at the user's line."""

import sys

from ...core.errors import CaptureError
from ...core.place import Place, user_frame


class Refused(CaptureError):  # noqa: N818
    """A value was asked for that only the step itself, not its replay, would have.

    Where that happens within an operation, the operation is recorded as one call.
    """


def refusal(what: str, remedy: str, kind: type[CaptureError] = Refused) -> CaptureError:
    """Return the error for what a captured step cannot do, with the user's line."""
    frame = user_frame(sys._getframe(1))
    place = Place(frame.f_code, frame.f_lasti)
    return kind(f"tg.compile: {place}: the step {what}; {remedy}")


def refusal_in(error: BaseException | None) -> Refused | None:
    """Return the refusal behind an error, which NumPy may have replaced by another."""
    while error is not None and not isinstance(error, Refused):
        error = error.__cause__ or error.__context__
    return error
