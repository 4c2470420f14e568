"""Source of logs for the screen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from relay_tui.domain.log_batch import LogBatch
from relay_tui.ports import Runtime
from relay_tui.services.logs.feed import ROOM, LogFeed, Rest, no_pause
from relay_tui.services.logs.resume import LogCursor, before


@dataclass(frozen=True, slots=True)
class LogSource:
    """Access to containers' logs: new lines and older lines."""

    runtime: Runtime

    def follow(
        self,
        container_id: str,
        wake: Callable[[], None],
        *,
        tail: int,
        since: str = "",
        room: int = ROOM,
        rest: Rest = no_pause,
    ) -> LogFeed:
        """Follow a log, starting with its last `tail` lines. At most `room` bytes are read ahead.

        `wake` and `rest` are called in another thread.
        """
        return LogFeed(self.runtime, container_id, wake, tail=tail, since=since, room=room, rest=rest)

    def older(self, container_id: str, edge: LogCursor, *, held: int, wanted: int, since: str = "") -> OlderLines:
        """Return the lines before a cursor. Blocks. Raises RelayError."""
        return read_older(self.runtime, container_id, edge, held=held, wanted=wanted, since=since)


STEP = 5_000


@dataclass(frozen=True, slots=True)
class OlderLines:
    """Lines before a cursor, oldest first. `complete`: there are no older lines."""

    batches: list[LogBatch]
    complete: bool


def read_older(
    runtime: Runtime, container_id: str, edge: LogCursor, *, held: int, wanted: int, since: str = ""
) -> OlderLines:
    """Return the `wanted` lines before `edge`. About `held` lines follow it. Raises RelayError from the runtime.

    The engine counts a tail from the log's end, whatever end time is requested. So the request includes the held lines.
    """
    for tail in (held + wanted, None):  # the whole log if more lines arrived meanwhile than requested
        kept: deque[LogBatch] = deque()
        count = 0
        for batch in runtime.log_lines(container_id, follow=False, tail=tail, since=since, until=edge.time):
            kept.append(batch)
            count += len(batch)
            while count - len(kept[0]) > wanted + edge.known.total():
                count -= len(kept.popleft())
        fresh = before(edge, list(kept))
        if fresh:
            return OlderLines(fresh, complete=False)
    return OlderLines([], complete=True)
