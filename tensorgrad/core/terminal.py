"""Text for standard output, which may not have every letter."""

import sys

_WRITTEN = {
    "±": "+/-",
    "ᵀ": "^T",
    "²": "^2",
    "³": "^3",
    "·": "?",
    "…": "...",
}


def printable(text: str) -> str:
    """Return a text with letters that standard output cannot encode written otherwise.

    So that ``print`` of it does not raise, as on Windows where output goes to a file.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_in(encoding, letter) for letter in text)
    return text


def _in(encoding: str, letter: str) -> str:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        escaped = letter.encode("ascii", "backslashreplace").decode()
        return _WRITTEN.get(letter, escaped)
    return letter
