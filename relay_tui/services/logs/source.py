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
    """Containers' logs: as they come, and backwards."""

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
        """Begin to follow a log with its last `tail` lines, and read `room` bytes ahead at most.

        `wake` and `rest` are called in another thread.
        """
        return LogFeed(self.runtime, container_id, wake, tail=tail, since=since, room=room, rest=rest)

    def older(self, container_id: str, edge: LogCursor, *, held: int, wanted: int, since: str = "") -> OlderLines:
        """The lines before an edge; blocks. Raises RelayError."""
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
    """The `wanted` lines before `edge`, where about `held` lines lie behind it. Raises what the runtime raises.

    The engine counts a tail from the log's end whatever time is asked for, so what is held is asked for with it.
    """
    for tail in (held + wanted, None):  # all of it where more came meanwhile than was asked for
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
