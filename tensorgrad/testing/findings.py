"""What a check has to say besides numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def renamed(sentence: str, names: Mapping[str, str]) -> str:
    """Return a sentence with the names of inputs and outputs for their numbers."""
    known = r"\b(?:input|output) \d+\b"
    return re.sub(known, lambda found: names.get(found[0], found[0]), sentence)


def told(fault: str, sentence: str, names: Mapping[str, str]) -> str:
    """As :func:`renamed`, but for sentences that quote what the user's code says."""
    return sentence if fault in ("raises", "rule") else renamed(sentence, names)
