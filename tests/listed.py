"""What the pages of the reference list."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def entries(text: str) -> Iterator[str]:
    """Yield the names that the tables of a reference page list, with their module."""
    module = ""
    for line in text.splitlines():
        if found := re.match(r"\.\. currentmodule:: (\S+)$", line):
            module = found[1]
        elif found := re.match(r" {3}(\w+)$", line):
            yield f"{module}.{found[1]}"


REFERENCE = [
    name
    for page in sorted((DOCS / "reference").glob("*.md"))
    for name in entries(page.read_text("utf-8"))
    # Not there without scikit-learn.
    if not name.startswith("tensorgrad.sklearn.") or find_spec("sklearn")
]
