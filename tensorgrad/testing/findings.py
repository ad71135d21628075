"""What a check has to say besides numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something found about a function or its gradient.

    Attributes
    ----------
    fault : str
        Its name, as in ``"mutates"`` or ``"unreached"``.
    sentence : str
        What was found, and the remedy.
    fatal : bool
        Whether the check fails for it; otherwise it is told as a note.
    """

    fault: str
    sentence: str
    fatal: bool = True
