"""The pages made from the registry name what it holds."""

from pathlib import Path

import numpy as np
import pytest

from tensorgrad.ops.support.registry import registry

DOCS = Path(__file__).resolve().parents[1] / "docs"


def rows(page):
    """Return the first cell and the last of each row of a page's table."""
    lines = (DOCS / page).read_text("utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return {line[0].strip("`"): line[-1] for line in cells}


@pytest.mark.parametrize("page", ["coverage.md", "kinks.md"])
def test_page_is_up_to_date(page):
    listed = {
        name: e for name, e in registry.items() if page == "coverage.md" or e.kinks
    }
    # The pages are made with the newest NumPy, which may have more.
    found = {
        name: kinks
        for name, kinks in rows(page).items()
        if name in registry or hasattr(np, name)
    }
    assert set(found) == set(listed), "run python docs/make_tables.py"
    for name, entry in listed.items():
        assert found[name] == (entry.kinks.replace("|", "\\|") or "-")


def test_every_check_passed():
    assert "✗" not in (DOCS / "coverage.md").read_text("utf-8")


def test_coverage_counts_numpy_functions():
    assert (DOCS / "coverage.md").read_text("utf-8").count("| `np.") >= 170
