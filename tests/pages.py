"""The Python on a page of the documentation, found and run.

``python tests/pages.py PAGE`` runs it as a reader does: nothing that the page may need
has been imported before.
"""

import doctest
import re
import sys
import warnings
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

NOT_RUN = "<!-- not run -->"
BLOCK = re.compile(
    r"^```(?:python|\{code-cell\})\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A block of Python on a page: the line it starts after, and its text."""

    line: int
    text: str

    @property
    def is_session(self) -> bool:
        """Whether it shows an interactive session, with what was printed."""
        return self.text.startswith(">>>")

    def compiled(self, page: str) -> CodeType:
        """Return its code, numbered by the lines of the page."""
        return compile("\n" * self.line + self.text, page, "exec")


def blocks(text: str) -> list[Block]:
    """Return the Python blocks of a page, but for those marked as not run."""
    found = []
    for match in BLOCK.finditer(text):
        before = text[: match.start()]
        if not before.rstrip().endswith(NOT_RUN):
            found.append(Block(before.count("\n") + 1, match[1]))
    return found


def run(page: str, text: str) -> str:
    """Run the blocks of a page, one after another, and return what went wrong.

    They share their names, as they do for a reader who goes down the page.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    wrong: list[str] = []
    for block in blocks(text):
        if not block.is_session:
            exec(block.compiled(page), names)
            continue
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block.text, names, page, page, block.line)
        runner.run(test, out=wrong.append, clear_globs=False)
        names.update(test.globs)
    return "".join(wrong)


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.exit(run(sys.argv[1], Path(sys.argv[1]).read_text("utf-8")) or None)
