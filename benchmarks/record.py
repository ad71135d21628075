"""The record of a run: what is written as JSON, and read again."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .machine import in_child, machine, versions
from .session import Result, Settings

FORMAT = 1
FIELDS = (
    *("format", "made", "command", "machine", "versions"),
    *("blas", "settings", "missing", "results"),
)


def begin(threads: list[int], settings: Settings, missing: dict[str, str]) -> Any:
    """Return a record without results."""
    found = {str(count): in_child(count) for count in threads}
    misleading = [name for child in found.values() for name in child["misleading"]]
    if misleading:
        raise RuntimeError(f"expected children without {misleading}, got them set")
    return {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "machine": machine(),
        "versions": versions(),
        "blas": {count: child["blas"] for count, child in found.items()},
        "settings": asdict(settings),
        "missing": missing,
        "results": [],
    }


def add(record: dict[str, Any], results: list[Result]) -> None:
    """Add the results of a case."""
    record["results"] += [asdict(result) for result in results]


def write(record: dict[str, Any], path: Path) -> None:
    """Write a record, a line for each result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({**record, "results": None}, indent=1)
    lines = ",\n  ".join(json.dumps(result) for result in record["results"])
    text = head.replace('"results": null', f'"results": [\n  {lines}\n ]')
    path.write_text(text + "\n", "utf-8")


def read(path: Path) -> dict[str, Any]:
    """Return a record; raise ValueError for what is none."""
    record = json.loads(path.read_text("utf-8"))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a record of format {FORMAT}")
    absent = [name for name in FIELDS if name not in record]
    if absent:
        raise ValueError(f"{path}: expected the fields {absent}, found none")
    return record
