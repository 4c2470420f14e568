"""Log stream whose content is dictated by a test."""

from __future__ import annotations

import queue
from collections.abc import Iterator

from fakes import FakeRuntime

from relay_tui.domain.errors import EngineUnreachableError
from relay_tui.domain.log_batch import EMPTY_BATCH, LogBatch
from relay_tui.ports import ContainerState, LineStream


class Dictated:
    """Stream that yields the batches and exceptions given to it; None ends it."""

    def __init__(self) -> None:
        self._says: queue.SimpleQueue[tuple[LogBatch, LogBatch] | Exception | None] = queue.SimpleQueue()
        self._begun = EMPTY_BATCH

    def say(self, whole: LogBatch, begun: LogBatch) -> None:
        self._says.put((whole, begun))

    def end(self, error: Exception | None = None) -> None:
        self._says.put(error)

    def __iter__(self) -> Iterator[LogBatch]:
        while said := self._says.get():
            if isinstance(said, Exception):
                raise said
            whole, self._begun = said
            yield whole

    def partial_lines(self) -> LogBatch:
        return self._begun

    def close(self) -> None:
        self._says.put(None)


class Dictation(FakeRuntime):
    """Hands out streams that a test made."""

    def __init__(self, *streams: Dictated) -> None:
        super().__init__()
        self.ready = list(streams)

    def inspect(self, container_id: str) -> ContainerState:
        """It runs, while there is a stream to hand out."""
        if not self.ready:
            raise EngineUnreachableError("The engine does not answer")
        return ContainerState(container_id, "", "", "running")

    def log_lines(  # type: ignore[override]
        self, container_id: str, *, follow: bool, tail: int | None = None, since: str = "", until: str = ""
    ) -> LineStream:
        del container_id, follow, tail, since, until
        if not self.ready:
            raise EngineUnreachableError("The engine does not answer")
        return self.ready.pop(0)
