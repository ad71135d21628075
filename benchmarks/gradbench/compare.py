"""Compare tools on evals of GradBench, tensorgrad's modes among them.

    python benchmarks/gradbench/compare.py --root GRADBENCH \
        --eval lse="python evals/lse/run.py -n 10000" \
        --tool pytorch="python tools/pytorch/run.py"

Eval and tool are processes that talk to each other as under `gradbench run`. Each tool
has the same one core, and all take turns, round after round. A figure is the median
over the rounds of the median of the later half of the runs that the eval asked for: the
earlier ones record and compile. On a busy machine --least takes the least of both.

JAX's own tool does not wait for what it computes, and goes to the first core: start it
by `python benchmarks/gradbench/waiting.py tools/jax/run.py --multithreaded`, which
leaves it on the core of all.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.fair import clean_environment
from benchmarks.gradbench.function import MODES

TOOL = Path(__file__).with_name("run.py").resolve()

Middle = Callable[[list[float]], float]
Key = tuple[str, str, str]
"""Eval, function, description of the input."""


@dataclass
class Measured:
    """What a tool took for an input, in seconds, and what was wrong."""

    seconds: list[float] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)

    def add(self, answer: dict[str, Any], middle: Middle) -> None:
        """Take an answer to an evaluate message."""
        if not answer.get("success"):
            self.problems.add(str(answer.get("error", "failed")))
            return
        runs = [t["nanoseconds"] for t in answer["timings"] if t["name"] == "evaluate"]
        self.seconds.append(middle(runs[len(runs) // 2 :]) / 1e9)


Results = dict[Key, dict[str, Measured]]


class Talk:
    """An eval and a tool, two processes that talk through this one."""

    def __init__(self, eval: str, tool: str, options: argparse.Namespace) -> None:
        environment = clean_environment(1)
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.patience = options.patience
        self.eval = subprocess.Popen(
            shlex.split(eval), cwd=options.root, env=environment, **pipes
        )
        self.tool = subprocess.Popen(
            shlex.split(tool), cwd=options.root, env=environment, **pipes
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.tool.pid, {options.core})

    def __iter__(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield each message with its answer, until one of them has no more."""
        for line in self.eval.stdout:  # type: ignore[union-attr]
            alarm = threading.Timer(self.patience, self.tool.kill)
            alarm.start()
            answer = self.passed(line)
            late = alarm.finished.is_set()
            alarm.cancel()
            if not answer:
                why = f"took over {self.patience:g} s" if late else "ended"
                yield json.loads(line), {"success": False, "error": why}
                return
            yield json.loads(line), json.loads(answer)
            print(answer, end="", file=self.eval.stdin, flush=True)

    def passed(self, line: str) -> str:
        """Return what the tool answers to a line, nothing where it has ended."""
        try:
            print(line, end="", file=self.tool.stdin, flush=True)
        except BrokenPipeError:
            return ""
        return self.tool.stdout.readline()  # type: ignore[union-attr]

    def close(self) -> None:
        """End both."""
        for process in (self.eval, self.tool):
            process.kill()
            process.communicate()


def take_turn(
    results: Results, eval: str, tool: str, options: argparse.Namespace
) -> None:
    """Let a tool do an eval once, and note what it took."""
    talk = Talk(options.eval[eval], options.tool[tool], options)
    asked: dict[int, Measured] = {}
    try:
        for message, answer in talk:
            if message["kind"] == "evaluate":
                key = eval, message["function"], message.get("description", "")
                asked[message["id"]] = results[key].setdefault(tool, Measured())
                asked[message["id"]].add(answer, options.middle)
            elif message["kind"] == "analysis" and not message["valid"]:
                asked[message["of"]].problems.add("invalid")
            elif not answer.get("success", True):
                print(f"{tool} has no {eval}: {answer.get('error')}", file=sys.stderr)
    finally:
        talk.close()


def table(results: Results, tools: list[str], middle: Middle) -> Iterator[str]:
    """Yield a line for each input: microseconds, and times those of the first tool."""
    yield f"{'eval':36}" + "".join(f"{name:>20}" for name in tools)
    for key, measured in results.items():
        found = {name: m for name, m in measured.items() if not m.problems}
        times = {name: 1e6 * middle(m.seconds) for name, m in found.items()}
        cells = [cell(times, tools[0], name) for name in tools]
        yield f"{' '.join(key):36}" + "".join(f"{text:>20}" for text in cells)


def cell(times: dict[str, float], first: str, name: str) -> str:
    """Return microseconds and their ratio to the first tool's."""
    if name not in times:
        return "-"
    ratio = f" ({times[name] / times[first]:.2f})" if first in times else ""
    return f"{times[name]:,.0f}{ratio}"


def named(text: str) -> tuple[str, str]:
    """Return name and command of NAME=COMMAND."""
    name, equals, command = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=COMMAND, got {text!r}")
    return name, command


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    command: Any = {"action": "append", "metavar": "NAME=COMMAND", "type": named}
    option("--eval", **command, required=True, help="an eval; may be given again")
    option("--tool", **command, default=[], help="another tool; may be given again")
    option(
        "--mode", action="append", choices=MODES, help="of tensorgrad; all by default"
    )
    option("--root", type=Path, help="where evals and tools run: GradBench's folder")
    option("--rounds", type=int, default=3, help="turns of each (default %(default)s)")
    option("--core", type=int, default=0, help="of all tools (default %(default)s)")
    option("--patience", type=float, default=120.0, help="seconds for an answer")
    option(
        "--least",
        dest="middle",
        action="store_const",
        const=min,
        default=statistics.median,
        help="the least time instead of the median: for a busy machine",
    )
    option("--output", type=Path, help="a file for the figures, in JSON")
    options = parser.parse_args()
    own = {
        m: shlex.join([sys.executable, str(TOOL), "--mode", m])
        for m in options.mode or MODES
    }
    options.tool, options.eval = own | dict(options.tool), dict(options.eval)
    return options


def main() -> int:
    options = parsed()
    results: Results = defaultdict(dict)
    for eval in options.eval:
        for _ in range(options.rounds):
            for tool in options.tool:
                take_turn(results, eval, tool, options)
    print(*table(results, [*options.tool], options.middle), sep="\n")
    problems = [
        (*key, tool, problem)
        for key, measured in results.items()
        for tool, found in measured.items()
        for problem in sorted(found.problems)
    ]
    for problem in problems:
        print(*problem)
    if options.output:
        figures = [
            {"input": " ".join(key), "tool": tool, "seconds": found.seconds}
            for key, measured in results.items()
            for tool, found in measured.items()
        ]
        options.output.write_text(json.dumps(figures, indent=1), "utf-8")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
