"""Speak GradBench's protocol: a message a line comes in, an answer a line goes out.

    python benchmarks/gradbench/run.py --mode replay

is the command of a tool, `gradbench run --tool '$ python ...'`. The modes: eager as it
stands; replay and kernels through `tg.compile`, by NumPy or in kernels; auto replays
what is to run so often that recording it pays.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.gradbench.function import MODES, Function

EVALS = (
    "ba",
    "det",
    "gmm",
    "hello",
    "ht",
    "kmeans",
    "llsq",
    "lse",
    "lstm",
    "ode",
    "particle",
    "saddle",
)


class MessageError(Exception):
    """A message that cannot be answered as it asks."""


def known(names: Iterable[str], kind: str, name: Any) -> str:
    """Return a name that is among these."""
    if name not in names:
        listed = ", ".join(names)
        raise MessageError(f"expected as {kind} one of {listed}, got {name!r}")
    return str(name)


def functions(message: dict[str, Any]) -> dict[str, Function]:
    """Return the functions of the module that a message names."""
    name = known(EVALS, "module", message.get("module"))
    return importlib.import_module(f"benchmarks.gradbench.{name}").FUNCTIONS


def evaluate(message: dict[str, Any], mode: str) -> dict[str, Any]:
    """Return the output and the timings of a function at an input."""
    module = functions(message)
    name = known(module, "function", message.get("function"))
    try:
        return module[name].run(message.get("input"), mode)
    except KeyError as error:
        raise MessageError(
            f"expected an input with the field {error}, got none of that name"
        ) from error


def answer(message: dict[str, Any], mode: str) -> dict[str, Any]:
    """Return the answer to a message, without its id."""
    kind = message.get("kind")
    if kind == "start":
        return {"tool": "tensorgrad", "config": {"mode": mode}}
    if kind == "define":
        functions(message)
        return {"success": True}
    if kind == "evaluate":
        return {"success": True, **evaluate(message, mode)}
    return {}


def response(line: str, mode: str) -> dict[str, Any]:
    """Return the answer to a line; where there is none, a sentence that says why."""
    message: dict[str, Any] = {}
    try:
        message = json.loads(line)
        if not isinstance(message, dict):
            message = {}
            raise MessageError("expected a message that is a JSON object")
        told = answer(message, mode)
    except Exception as error:
        sentence = " ".join(str(error).split())
        if not isinstance(error, MessageError):
            sentence = f"{type(error).__name__}: {sentence}"
        told = {"success": False, "error": sentence}
    return {"id": message.get("id"), **told}


def serve(messages: TextIO, answers: TextIO, mode: str) -> None:
    """Answer each line of the input."""
    for line in messages:
        print(json.dumps(response(line, mode)), file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--mode",
        choices=[*MODES, "auto"],
        default="auto",
        help="how derivatives run (default %(default)s)",
    )
    options = parser.parse_args()
    # What prints to the standard output would break the protocol.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers, options.mode)


if __name__ == "__main__":
    main()
