"""Where the screen gets logs from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay_tui.services.log_ends import ends_between, oldest, placed
from relay_tui.services.log_feed import ROOM, LogFeed, Rest, never
from relay_tui.services.log_history import Older, read_older
from relay_tui.services.log_join import Edge
from relay_tui.services.ports import Runtime


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
        rest: Rest = never,
    ) -> LogFeed:
        """Begin to follow a log with its last `tail` lines, and read `room` bytes ahead at most.

        `wake` and `rest` are called in another thread.
        """
        return LogFeed(self.runtime, container_id, wake, tail=tail, since=since, room=room, rest=rest)

    def older(self, container_id: str, edge: Edge, *, held: int, wanted: int, since: str = "") -> Older:
        """The lines before an edge, with the ends of runs among them; blocks. Raises RelayError."""
        older = read_older(self.runtime, container_id, edge, held=held, wanted=wanted, since=since)
        if not (begin := oldest(older.batches)):
            return older
        end = min(key[:-1] for key in edge.known).decode() if edge.known else edge.time
        return replace(older, batches=placed(older.batches, ends_between(self.runtime, container_id, begin, end)))
