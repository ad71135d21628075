"""The README and all other pages say what is true: their code runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest
from pages import NOT_RUN, blocks, run

ROOT = Path(__file__).resolve().parents[1]
MADE = {"_build", "auto_gallery", "generated"}
"""Folders that the build of the documentation makes."""
README = ROOT / "README.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(
        page
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if not MADE.intersection(page.relative_to(ROOT).parts)
    ),
]
COMMANDS = [
    "pip install -e . && tensorgrad train spiral",
    "pip install -e '.[test]' && pytest -m smoke && pytest -n auto",
]
OPTIONAL = ("matplotlib", "onnx", "onnxruntime", "pandas", "safetensors", "sklearn")
NEEDS = {
    "plot": {"matplotlib"},
    "tensorgrad.cli import main": {"pandas", "sklearn"},
    "tensorgrad.sklearn": {"sklearn"},
    "export_onnx": {"onnx"},
}
"""What pages need that say this, besides what they import."""


def optional(text: str) -> set[str]:
    """Return the optional libraries that a page needs."""
    named = {m for m in OPTIONAL if re.search(rf"^(import|from) {m}\b", text, re.M)}
    return named.union(*(needs for word, needs in NEEDS.items() if word in text))


def run_alone(page: Path, where: Path) -> str:
    """Run the blocks of a page as a reader does: nothing else has been imported."""
    child = subprocess.run(
        [sys.executable, pages.__file__, page],
        capture_output=True,
        cwd=where,
        text=True,
    )
    return child.stderr


WITH_CODE = [page for page in PAGES if blocks(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path):
    for module in optional(page.read_text("utf-8")):
        pytest.importorskip(module)
    assert run_alone(page, tmp_path) == ""


def test_a_module_that_is_not_imported_would_be_missed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nimport tensorgrad\ntensorgrad.cli\n```\n", "utf-8")
    assert "AttributeError" in run_alone(page, tmp_path)


def test_the_readme_shows_code():
    assert len(blocks(README.read_text("utf-8"))) >= 4


def test_the_explanation_in_the_readme_is_what_is_printed(tmp_path):
    text = README.read_text("utf-8")
    (block,) = (b.text for b in blocks(text) if "tg.explain" in b.text)
    example = tmp_path / "example.py"
    example.write_text(block, "utf-8")
    command = [sys.executable, example]
    child = subprocess.run(command, capture_output=True, cwd=tmp_path, text=True)
    assert f"{block}```\n\n```text\n{child.stdout}```" in text


def medians(case):
    """Return the medians of a case on one thread, as docs/performance.json has them."""
    record = json.loads((ROOT / "docs" / "performance.json").read_text("utf-8"))
    groups = (g for g in record["groups"] if (g["case"], g["threads"]) == (case, 1))
    return {row["peer"]: row["median"] for row in next(groups)["rows"]}


def test_the_readme_gives_the_figures_that_were_measured():
    text = README.read_text("utf-8")
    for case in ("spiral", "deep", "digits", "wide", "classes"):
        found = medians(case)
        peers = ("eager", "replay", "fused", "hand", "torch", "jax")
        assert f" | {' | '.join(f'{found[p]:,.0f}' for p in peers)} |\n" in text
    for case, unit, scale in (("spiral", "µs", 1), ("classes", "ms", 1e3)):
        found = medians(case)
        torch = min(found["torch"], found["torch-compile"])
        times = (found["fused"], torch, found["jax"], found["autograd"])
        first, *rest = (f"{t / scale:,.0f} {unit}" for t in times)
        assert f"| **{first}** | {' | '.join(rest)} |\n" in text
    checkers = (ROOT / "docs" / "checker_power.md").read_text("utf-8")
    row = re.search(r"^\| subtle \| (\d+) \| fail \|(.*)\|$", checkers, re.MULTILINE)
    ours, torch, jax, autograd, _ = map(int, row[2].split("|"))
    shown = f"of {row[1]} gradients that are nearly right"
    assert f"{shown} | **{ours}** | {torch} | {jax} | {autograd} |\n" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands_stand_in_the_readme(command):
    assert command in README.read_text("utf-8").splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8"))
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_a_wrong_session_would_be_seen():
    text = "text\n\n```python\nx = 1\n```\n\n```python\n>>> x + 1\n3\n```\n"
    assert "Expected:\n    3\nGot:\n    2" in run("page.md", text)


def test_a_failing_block_would_be_seen_with_its_line():
    text = "text\n\n```python\nx = 1\nx / 0\n```\n"
    with pytest.raises(ZeroDivisionError) as caught:
        run("page.md", text)
    assert caught.traceback[-1].lineno + 1 == 5


def test_a_block_marked_as_not_run_is_left_out():
    text = f"{NOT_RUN}\n```python\n1 / 0\n```\n\n```python\nx = 1\n```\n"
    assert [b.text for b in blocks(text)] == ["x = 1\n"]
