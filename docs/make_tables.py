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
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent)]

from battery import CHECKS, described_calls, is_numpy  # noqa: E402
from mapped import MAPPED, is_looped  # noqa: E402

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
    looped = ", ".join(f"`{name}`" for name in MAPPED if is_looped(name))
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
functions with a gradient, each checked to second order.

- **forward**: equals NumPy bit for bit, in value and dtype
- **through NumPy**: the NumPy function, called on tensors, gives the same
- **gradient**: passes `tensorgrad.testing.gradcheck`: it agrees with finite
  differences, entry by entry or for random incoming gradients; it is linear in the
  incoming gradient; it has the same bits when repeated; no input is written to or
  shared
- **second order**: the same for the gradient of the gradient, which is symmetric and
  the adjoint of the forward derivative
- **float32**: float32 inputs give what NumPy gives, and the gradient of float64 up to
  rounding

`tg.vmap` maps every operation, and its gradients to second order: the results are
those of a loop over the samples. All samples are computed at once, but for some forms
of these operations, which are called for one sample in turn:
{looped}.

{table(["operation", "stands for", "kind", *COLUMNS, "kinks"], rows)}
"""


def kinks():
    """Return the page of kinks."""
    rows = [[f"`{n}`", e.kinks] for n, e in sorted(registry.items()) if e.kinks]
    return f"""# Kinks

Made by `python docs/make_tables.py` from the registry of operations; do not edit. At a
point where a function has no derivative, the library always takes the same value: an
element of the subdifferential that treats equal arguments equally.

- Elements that a selection leaves out (`relu`, `clip`, `where`, `max`, `sort`,
  dropout, ...) get exactly 0, whatever gradient arrives: `sqrt(relu(x))` has gradient
  0 at x < 0.
- Elsewhere a slope of 0 times an infinite gradient is 0, and so is a gradient of 0
  times any slope: `sqrt(x * x)` has gradient 0 at 0. A gradient that is NaN stays
  NaN.
- Sums of several products (`matmul`, `einsum`, `convolve`, `solve`, ..., `softmax`)
  are computed by NumPy. There an infinite gradient gives NaN where the other terms
  sum to 0 or infinity, and so does a value that is NaN, even if the gradient is 0.
  Everywhere else a later selection still works: `where(y > 0, y, 0)` has gradient 0
  where y is NaN.
- Outside its domain, where its value is NaN, a function has the slope NaN, except for
  the logarithms. At an infinite argument it has the limit of its slope.
- Where a value overflows, or underflows to 0, so does a gradient computed from it.
- Counts are not rounded to float16, which ends at 65,504: means and shares are right.
- The slope taken at a kink counts as constant there: `abs(x)**2` and
  `sqrt(sum(x * x))**2` have the second derivative 0 at 0, not 2. The squares of
  `np.linalg.norm`, `np.hypot` and `np.std` have the right one.

{table(["operation", "where: value taken"], rows)}
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
