"""Captures: a step recorded twice for one signature, and replayed from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.foreign import fetch
from ..core.tensor import Tensor
from ..core.writes import Key, is_stamped, stamp, watched
from .checking import State, both
from .numpy.prune import Eliminated, pruned
from .numpy.replay import Replay
from .overlap import WrittenMemory
from .program import Array, Program, without_views, written_by
from .recording.compare import Comparison
from .recording.reads import uncollected
from .recording.recording import Recording, builder, record, tensors_of
from .recording.search import Past, Search, watch
from .recording.signature import FlatArguments
from .recording.watch import AGAIN, FIRM, LOOSE, Watch
from .xla.private import CAPTURES, RECORDED

if TYPE_CHECKING:
    from .compiled import Compiled

_RENEWED = 5
"""How often a step is recorded anew for what it reads and is not told to be read."""

_LONG = 20_000
"""Calls of a program whose kernels take so long that few steps could make up for it."""

_LATE = 100
"""Replays of such a program before its kernels are compiled.

A number, not a thread that is done some time, so that each run has the same bits.
"""

_BETWEEN = "changed between the first call and the second"

_SINCE = "was replaced after the step was captured"

_PASS = "pass it to the step as an argument, or compile the step again"

_RETURN = "return what is new from the step, and keep it outside"


class Capture:
    """The recordings of a step for one signature, and their replay.

    Attributes
    ----------
    program : Program
        What the step computes, without what nobody reads.
    replay : callable or None
        What makes the calls again, once the step has been recorded twice.
    """

    def __init__(self, compiled: Compiled[..., Any]) -> None:
        self.compiled = compiled
        self.replay: Any = None
        self.watch: Watch
        self._first: Recording | None = None
        self._search: Search
        self._stamped: list[Key] = []
        self._received: list[Tensor] = []
        self._renewed = 0
        self._past = Past()
        self._state: State | None = None
        self._shown: Callable[[list[Any]], Any] = list
        self.program: Program
        self._arrays: list[Array] = []
        self._written: WrittenMemory | None = None
        self._unfused: Replay | None = None
        self._until_kernels = 0
        CAPTURES.add(self)

    @property
    def outlook(self) -> str:
        """When the replay will be another one, for the plan."""
        if not self._until_kernels:
            return ""
        return (
            f"kernels\n  compiled after {self._until_kernels} more steps, as it takes "
            "long; with fused=True at once"
        )

    def compile_kernels(self) -> None:
        """Compile the kernels that were put off."""
        if self._until_kernels:
            self._until_kernels = 0
            with uncollected():
                self._use(ready(self.program, self.replay.eliminated, None))

    def _use(self, replay: Any) -> None:
        self.replay, self._unfused = replay, None
        alone = self._arrays and replay.has_kernels
        self._written = WrittenMemory(self._arrays) if alone else None

    def __call__(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], flat: FlatArguments
    ) -> Any:
        """Record the step in the first two calls, and replay it from then on."""
        if self.replay is None:
            return self._record(args, kwargs)
        if not self._is_unchanged():
            fetch()
            if self._is_outdated(_SINCE):
                self.replay = self._state = None
                return self._record(args, kwargs)
            if self.compiled.target:
                self.replay.hold()
                self.watch.prepare()
        if self._state is not None:
            return self._checked(args, kwargs, flat, self._state)
        return self._replayed(flat)

    def _is_unchanged(self) -> bool:
        """Whether all that the step reads is as it was, wherever its values are."""
        if self.compiled.target:
            return self.replay.is_away and self.watch.unchanged()
        return self.watch.unchanged() or (fetch() and self.watch.unchanged())

    def choice(self, flat: FlatArguments) -> Any:
        """Return the replay for such arguments."""
        if self._written is None or not any(map(self._written.meets, flat.arrays)):
            return self.replay
        # Kernels take it that no two arrays share memory; NumPy sees the writes.
        fetch()
        self._unfused = self._unfused or ready(self.program, [], False)
        return self._unfused

    def _replayed(self, flat: FlatArguments) -> Any:
        replay = self.replay if self._written is None else self.choice(flat)
        result = replay(flat.arrays, flat.numbers)
        self._forget_gradients()
        if self._until_kernels == 1:
            self.compile_kernels()
        elif self._until_kernels:
            self._until_kernels -= 1
        if self._stamped:
            stamp(self._stamped, "a compiled step")
        return self._shown(result)

    def _checked(
        self, args: Any, kwargs: Any, flat: FlatArguments, state: State
    ) -> Any:
        def eager() -> Any:
            result = self.compiled.step(*args, **kwargs)
            self._forget_gradients()
            return result

        def replayed() -> Any:
            result = self._replayed(flat)
            fetch()
            return result

        fetch()
        return both(replayed, eager, state, not self.replay.has_kernels)

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        fetch()
        step, own, before = self.compiled.step, self.compiled.own, self._first
        if before is not None and self._is_outdated(_BETWEEN):
            before = None
        if before is None:
            self._first = record(step, args, kwargs, own)
            self._search = Search(step, self._first)
            self.watch = Watch(self._search.watched.values())
            self._past.add(self._search)
            own.update((id(t), t) for t in tensors_of(self._first.recorder))
            return self._first.result
        tensors = tensors_of(before.recorder)
        left = {id(tensor) for tensor in tensors if tensor._grad is not None}
        self._search.mark()
        recording = record(step, args, kwargs, own, before.recorder, self._search.draws)
        self.watch.check("changes while the step runs", _RETURN, LOOSE)
        Comparison(before, recording).check()
        with uncollected():
            self._keep(recording, left)
        return recording.result

    def _is_outdated(self, when: str) -> bool:
        """Whether to record the step anew; raise for a change that must be an error."""
        most = FIRM if self._renewed < _RENEWED else AGAIN
        changes = self.watch.check(when, _PASS, most)
        if any(change.level == AGAIN for change in changes):
            self._renewed += 1
            return True
        if changes and self.replay is None:
            self._search.forget(changes)
        return bool(changes) and self.replay is not None

    def _keep(self, recording: Recording, left: set[int]) -> None:
        """Make the replay of the second recording, and drop the first."""
        recorder = recording.recorder
        self._received = [*recorder.received.values()]
        self._forget_gradients()
        alone = [t for t in self._received if id(t) not in left]
        self.watch = watch(recording, self._search, self._past, alone)
        written = [v.array for v in written_by(recorder.program)]
        # Of the others, as an optimizer's state, the engine keeps no stamps.
        self._stamped = watched(a for a in written if is_stamped(a))
        self._shown = builder(recording.returned)
        self.program, gone = pruned(recorder.program)
        self._arrays = written
        self._use(self._ready(gone, tensors_of(recorder)))
        self._first = None
        RECORDED.set()
        del self._search
        if self.compiled.check:
            lives = [v for v in written_by(recorder.program) if not v.scratch]
            self._state = State(recorder.program, [v.array for v in lives])

    def _ready(self, gone: list[Eliminated], tensors: list[Tensor]) -> Any:
        """Return the first replay of a program."""
        compiled = self.compiled
        if compiled.target is not None:
            from .xla.step import XLAStep

            known = [*compiled.own.values(), *tensors]
            return XLAStep(self.program, known, compiled.devices)
        fused, self._until_kernels = compiled.fused, 0
        if fused is None and len(self.program.calls) > _LONG:
            from .kernels.compile import unusable

            if not unusable():
                self._until_kernels, fused = _LATE, False
        return ready(self.program, gone, fused)

    def _forget_gradients(self) -> None:
        for tensor in self._received:
            tensor._grad = None


def ready(program: Program, gone: list[Eliminated], fused: bool | None) -> Replay:
    """Return the replay of a pruned program, in kernels where these are wanted."""
    program = without_views(program)
    if fused is not False:
        from .gemm.matmul import tiled
        from .kernels.fuse import in_kernels

        program = in_kernels(program, required=bool(fused), alone=tiled)
    return Replay(program, gone)
