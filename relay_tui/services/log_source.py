"""Where the screen gets logs from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        """The lines before an edge; blocks. Raises RelayError."""
        return read_older(self.runtime, container_id, edge, held=held, wanted=wanted, since=since)
