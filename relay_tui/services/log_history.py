"""Reads a log backwards, some thousand lines at a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from relay_tui.services.log_join import Edge, before
from relay_tui.services.ports import LogBatch, Runtime

STEP = 5_000


@dataclass(frozen=True, slots=True)
class Older:
    """What lies before an edge, oldest first. `complete`: there is nothing before it."""

    batches: list[LogBatch]
    complete: bool


def read_older(runtime: Runtime, container_id: str, edge: Edge, *, held: int, wanted: int, since: str = "") -> Older:
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
            return Older(fresh, complete=False)
    return Older([], complete=True)
