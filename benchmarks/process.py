"""The parent's end of a process with one library and one case in it."""

import json
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from .cases import Case
from .fair import clean_environment
from .peers import Peer
from .worker import describe

ROOT = Path(__file__).resolve().parents[1]


class PeerError(Exception):
    """A peer cannot do a case, or not within the time it is given."""


class Process:
    """A process that answers requests; `patience` is how many seconds each may take."""

    def __init__(self, peer: Peer, case: Case, threads: int, patience: float) -> None:
        self.patience = patience
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", describe(peer), describe(case)],
            cwd=ROOT,
            env=clean_environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.requests, self.answers = self.child.stdin, self.child.stdout

    def ask(self, what: str, **details: Any) -> dict[str, Any]:
        """Return the answer; raise PeerError where it says or takes too much."""
        alarm = threading.Timer(self.patience, self.child.kill)
        alarm.start()
        with suppress(BrokenPipeError):
            print(json.dumps({"do": what, **details}), file=self.requests, flush=True)
        line = self.answers.readline()
        late = alarm.finished.is_set()
        alarm.cancel()
        if not line:
            raise PeerError(f"took over {self.patience:g} s" if late else self.words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"].splitlines()[0])
        return answer

    def words(self) -> str:
        """Return the last that a process wrote which ended unasked."""
        self.child.wait()
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return lines[-1] if lines else f"ended with {self.child.returncode}"

    def close(self) -> None:
        """End the process."""
        self.child.kill()
        self.child.wait()
        for stream in (self.requests, self.answers, self.log):
            with suppress(BrokenPipeError):
                stream.close()
