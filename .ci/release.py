"""Check that a tag may be released, and print what the changelog says of it.

Run as ``python .ci/release.py v0.1.0``.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version() -> str:
    """Return the version that the package says it has."""
    text = (ROOT / "tensorgrad" / "__init__.py").read_text("utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


def notes(tag: str, changelog: str) -> str:
    """Return the section of the changelog that a tag names, or exit with a sentence."""
    if tag != f"v{version()}":
        sys.exit(f"{tag}: expected v{version()}, as tensorgrad/__init__.py says")
    heading, _, text = changelog.partition("\n## [")[2].partition("\n")
    if not re.fullmatch(rf"{re.escape(version())}\] - \d{{4}}-\d\d-\d\d", heading):
        sys.exit(
            f"{tag}: expected the first section of CHANGELOG.md to be "
            f"'[{version()}] - ' and the date of the release, got '[{heading}'"
        )
    return text.partition("\n## [")[0].strip()


if __name__ == "__main__":
    print(notes(sys.argv[1], (ROOT / "CHANGELOG.md").read_text("utf-8")))
