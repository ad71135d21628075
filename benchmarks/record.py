"""The record of a run: what is written as JSON, and read again.

It holds the medians, quartiles and ratios that the page shows, not the samples.
"""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .machine import in_child, machine, versions
from .rows import Group, Row
from .session import Settings

FORMAT = 2
DIGITS = 8
FIELDS = (
    *("format", "made", "command", "machine", "versions"),
    *("blas", "settings", "missing", "groups"),
)


def begin(threads: list[int], settings: Settings, missing: dict[str, str]) -> Any:
    """Return a record without a group."""
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
        "groups": [],
    }


def write(record: dict[str, Any], path: Path) -> None:
    """Write a record, a line for each row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({**record, "groups": None}, indent=1)
    groups = ",\n  ".join(map(text, record["groups"]))
    whole = head.replace('"groups": null', f'"groups": [\n  {groups}\n ]')
    path.write_text(whole + "\n", "utf-8")


def text(group: Group) -> str:
    """Return a group as JSON, a line for each row."""
    rows = ",\n   ".join(json.dumps(rounded(row)) for row in group.rows)
    head = json.dumps({"case": group.case, "threads": group.threads, "rows": None})
    return head.replace("null", f"[\n   {rows}]")


def rounded(row: Row) -> dict[str, Any]:
    """Return the fields of a row, numbers with no more digits than are shown."""
    return {
        name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
        for name, value in asdict(row).items()
    }


def read(path: Path) -> dict[str, Any]:
    """Return a record; raise ValueError for what is none."""
    record = json.loads(path.read_text("utf-8"))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{path}: expected a record of format {FORMAT}")
    absent = [name for name in FIELDS if name not in record]
    if absent:
        raise ValueError(f"{path}: expected the fields {absent}, found none")
    record["groups"] = [
        Group(g["case"], g["threads"], [Row(**row) for row in g["rows"]])
        for g in record["groups"]
    ]
    return record


def family(path: Path) -> dict[str, dict[str, Any]]:
    """Return a record and those named after it, as parts measured later, by name."""
    paths = [path, *sorted(path.parent.glob(f"{path.stem}-*.json"))]
    return {each.stem: read(each) for each in paths}
