"""Libraries take turns at a case, each in a process of its own."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, sleep
from typing import Any

from .agreement import disagreement, reference
from .cases import Case, Memory
from .peers import Peer
from .process import PeerError, Process


@dataclass
class Settings:
    """How long to measure, and to wait for an answer."""

    rounds: int = 30
    seconds: float = 0.1
    patience: float = 600.0
    budget: float = 120.0
    """Seconds for all rounds of a case; three are taken however long they last."""
    pause: float = 0.1
    """Seconds before a turn, in which idle threads of the one before stop spinning."""

    def rounds_of(self, lasting: float) -> int:
        """Return how many rounds of so many seconds are taken."""
        fitting = int(self.budget / max(lasting, 1e-9))
        return min(self.rounds, max(3, fitting))


@dataclass
class Result:
    """What a peer did in a case, at a number of threads (0: all)."""

    case: str
    threads: int
    peer: str
    numbers: list[float] | None = None
    problem: str | None = None
    """Why it was not measured: it failed, or did not agree."""
    values: list[float] = field(default_factory=list)
    """Seconds per call, one a round; or bytes."""
    cores: float = 0.0
    """Processor seconds per second, the most of any round."""


@dataclass
class Entrant:
    """A peer on its way: its process while there is one, and its result."""

    peer: Peer
    result: Result
    process: Process | None = None

    def ask(self, what: str, **details: float) -> dict[str, Any]:
        """Return the answer, or nothing and note the problem."""
        if self.process is None or self.result.problem:
            return {}
        try:
            return self.process.ask(what, **details)
        except PeerError as error:
            self.result.problem = str(error)
            return {}

    def close(self) -> None:
        """End the process."""
        if self.process:
            self.process.close()
            self.process = None


Turn = tuple[Entrant, dict[str, Any]]


def measure(
    case: Case, peers: Iterable[Peer], threads: int, settings: Settings
) -> list[Result]:
    """Start a process for each peer, see that they agree, measure them in turn."""
    entrants = [
        Entrant(peer, Result(case.name, threads, peer.name))
        for peer in peers
        if case.kind in peer.kinds
    ]
    try:
        if isinstance(case, Memory):
            weigh(case, entrants, settings)
        else:
            time(case, entrants, settings)
    finally:
        for entrant in entrants:
            entrant.close()
    return [entrant.result for entrant in entrants]


def time(case: Case, entrants: list[Entrant], settings: Settings) -> None:
    """Time those that agree, one batch after another, the first of each for nothing."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(partial(begin, case, settings), entrants))
    judge(entrants)
    start = perf_counter()
    take_turns(entrants, settings)
    for _ in range(settings.rounds_of(perf_counter() - start)):
        for entrant, answer in take_turns(entrants, settings):
            entrant.result.values.append(answer["seconds"])
            entrant.result.cores = max(entrant.result.cores, answer["cores"])


def take_turns(entrants: list[Entrant], settings: Settings) -> list[Turn]:
    """Have each time a batch; return the answers of those that give one."""
    answers: list[Turn] = []
    for entrant in entrants:
        if entrant.result.threads != 1:
            sleep(settings.pause)
        answer = entrant.ask("time", seconds=settings.seconds)
        if answer:
            answers.append((entrant, answer))
    return answers


def weigh(case: Case, entrants: list[Entrant], settings: Settings) -> None:
    """Take the peak memory of one after another, lest they do not fit together."""
    for entrant in entrants:
        begin(case, settings, entrant)
        answer = entrant.ask("memory")
        if answer:
            entrant.result.values.append(answer["bytes"])
        entrant.close()
    judge(entrants)


def begin(case: Case, settings: Settings, entrant: Entrant) -> None:
    """Start a process, and have it take the first steps."""
    threads = entrant.result.threads
    entrant.process = Process(entrant.peer, case, threads, settings.patience)
    entrant.result.numbers = entrant.ask("check").get("numbers")


def judge(entrants: list[Entrant]) -> None:
    """Note at each result that does not agree with the reference by how much."""
    sound = [entrant.result for entrant in entrants if not entrant.result.problem]
    found = reference({result.peer: result.numbers for result in sound})
    for result in sound:
        if found and result.numbers is not None:
            result.problem = disagreement(result.numbers, *found)
