"""Draw the picture of the page on explanations, and print what its example prints.

    python docs/make_explanation.py

Runs the example of howto/explain.md, puts its output into the page and its picture into
_static. A test fails where they are not up to date.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE / "howto" / "explain.md"


def main():
    """Run the example in a directory of its own."""
    page = PAGE.read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    with tempfile.TemporaryDirectory() as where:
        (Path(where) / "example.py").write_text(code, "utf-8")
        command = [sys.executable, "example.py"]
        child = subprocess.run(
            command, capture_output=True, check=True, cwd=where, text=True
        )
        picture = (Path(where) / "explain.svg").read_text("utf-8")
    (HERE / "_static" / "explain.svg").write_text(picture, "utf-8")
    before, _, rest = page.partition("```text\n")
    after = rest.partition("```")[2]
    PAGE.write_text(f"{before}```text\n{child.stdout}```{after}", "utf-8")


if __name__ == "__main__":
    main()
