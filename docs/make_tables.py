"""Write the pages of coverage and of kinks from the registry and the battery's checks.

    python docs/make_tables.py

Each described case of each operation is put through the checks of the test suite, and
the page says what passed. A test fails where a page does not name what the registry
holds.
"""

import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from battery import CHECKS, described_calls, is_numpy  # noqa: E402

from tensorgrad.ops.support.registry import registry  # noqa: E402

COLUMNS = list(CHECKS)


def numpy_name(entry):
    """Return the public name of the NumPy function an operation stands for."""
    module = getattr(entry.reference, "__module__", "") or ""
    name = getattr(entry.reference, "__name__", "")
    if isinstance(entry.reference, type(abs)) or module.startswith("numpy"):
        module = module.replace("numpy._core", "numpy").split(".")
        inner = ["linalg"] if "linalg" in module else []
        return ".".join(["np", *inner, name])
    if type(entry.reference).__name__ == "ufunc":
        return f"np.{name}"
    return ""


def passes(check, name):
    """Whether every described case of an operation passes a check."""
    try:
        for call in described_calls(name):
            CHECKS[check](call)
    except AssertionError:
        return False
    return True


def mark(entry, check):
    """Return a cell: passed, failed, or without meaning for the operation."""
    if check == "through NumPy" and not is_numpy(entry):
        return "-"
    if entry.kind == "constant" and check not in ("forward", "through NumPy"):
        return "-"
    return "✓" if passes(check, entry.name) else "✗"


def coverage():
    """Return the page of coverage."""
    rows = []
    for name in sorted(registry):
        entry = registry[name]
        cells = [mark(entry, check) for check in COLUMNS]
        kinks = "; ".join(entry.kinks.split("; ")) or "-"
        reference = f"`{numpy_name(entry)}`" if numpy_name(entry) else "-"
        rows.append([f"`{name}`", reference, entry.kind, *cells, kinks])
    covered = sum(
        1 for e in registry.values() if numpy_name(e) and e.kind != "constant"
    )
    return f"""# Coverage

Made by `python docs/make_tables.py` from the registry of operations and the checks of
the test suite; do not edit. {len(registry)} operations, of which {covered} are NumPy
functions that a gradient flows through, each to second order.

- **forward**: equals NumPy bit for bit, in value and dtype
- **through NumPy**: the NumPy function gives the same, called on tensors
- **gradient**: agrees with `tensorgrad.testing.gradcheck`: with differences, entry by
  entry or for random cotangents; linear in the cotangent; the same bits when repeated;
  no input is written to or shared
- **second order**: so does the gradient of the gradient, which is symmetric and the
  adjoint of the forward derivative
- **float32**: float32 in gives what NumPy gives, and the gradient of float64 up to
  rounding

{table(["operation", "stands for", "kind", *COLUMNS, "kinks"], rows)}
"""


def kinks():
    """Return the page of kinks."""
    rows = [[f"`{n}`", e.kinks] for n, e in sorted(registry.items()) if e.kinks]
    return f"""# Kinks

Made by `python docs/make_tables.py` from the registry of operations; do not edit. Where
a function has no derivative, the library takes one value, the same everywhere: an
element of the subdifferential that treats equals equally.

- What a selection leaves out (`relu`, `clip`, `where`, `max`, `sort`, dropout, ...)
  gets exactly 0, whatever gradient arrives: `sqrt(relu(x))` has 0 at x < 0.
- Elsewhere a slope of 0 annihilates an infinite gradient, and a gradient of 0 any
  slope: `sqrt(x * x)` has the gradient 0 at 0. A gradient that is NaN stays NaN.
- Sums of several products (`matmul`, `einsum`, `convolve`, `solve`, ..., `softmax`) are
  NumPy's: an infinite gradient there gives NaN where the others' sum is 0 or infinite,
  and so does a value that is NaN, be the gradient 0. Everywhere else what follows may
  select: `where(y > 0, y, 0)` has the gradient 0 where y is NaN.
- Outside its domain, where the value is NaN, a function has the slope NaN, but for the
  logarithms; at an infinite argument it has the limit.
- Where a value overflows, or underflows to 0, so does the gradient that is made of it.
- Counts are not rounded to float16, which ends at 65,504: means and shares are right.
- A slope taken at a kink does not change there: `abs(x)**2` and `sqrt(sum(x * x))**2`
  have the second derivative 0 at 0, not 2. `np.linalg.norm`, `np.hypot` and `np.std`,
  squared, have the right one.

{table(["operation", "where: what is taken"], rows)}
"""


def table(header, rows):
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


def main():
    """Write both pages."""
    warnings.simplefilter("ignore")
    for page, text in (("kinks.md", kinks()), ("coverage.md", coverage())):
        (HERE / page).write_text(text, encoding="utf-8")
        print(f"wrote docs/{page}")


if __name__ == "__main__":
    main()
