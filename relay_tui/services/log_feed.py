"""A session's live log: one daemon thread reads, the screen drains at its own pace.

When the connection to the engine breaks, the thread tries again and goes on where it was; when the container ends,
the feed has ended, until it is told to go on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from relay_tui.errors import EngineUnreachableError, NotFoundError, RelayError
from relay_tui.services.log_join import OVERLAP, Unknown, newest_edge
from relay_tui.services.log_repeats import Repeats
from relay_tui.services.ports import LineStream, LogBatch, Observed, Runtime
from relay_tui.services.ports.log import NOTHING, NOTICE, TIMELESS, packed

ROOM = 8 << 20  # bytes read ahead of the screen; then the reader waits, and the engine keeps the rest: nothing drops
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between tries to reach the engine again
_MISSING = packed(["── lines are missing here: the engine no longer has them ──".encode()], bytes([NOTICE | TIMELESS]))
_AGAIN = (0.005, 0.01, 0.02, 0.04)  # seconds between looks at one whose output ended: the engine says so a bit later
_RUNNING = frozenset({"running", "paused", "restarting"})


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How a feed is: following, trying to reach the engine again, or ended, with an exit code or an error."""

    word: str = "following"
    exit_code: int | None = None
    error: RelayError | None = None

    @property
    def ended(self) -> bool:
        """Whether no more comes by itself."""
        return self.word == "ended"


Rest = Callable[[], float]
"""Tells for how many seconds more nothing should be read, 0 or less: go on."""


def never() -> float:
    """No rest."""
    return 0.0


class LogFeed:
    """Follows one container's log. `wake` is called (in the reader's thread) when there is something to drain."""

    def __init__(
        self,
        runtime: Runtime,
        container_id: str,
        wake: Callable[[], None],
        *,
        tail: int,
        since: str = "",
        room: int = ROOM,
        rest: Rest = never,
    ) -> None:
        self._runtime = runtime
        self._container_id = container_id
        self._wake = wake
        self._tail = tail
        self._since = since
        self._most = room
        self._rest = rest
        self._batches: deque[LogBatch] = deque()
        self._recent: deque[LogBatch] = deque()
        self._recent_lines = 0
        self._repeats = Repeats()
        self._begun = NOTHING
        self._told = False  # whether there is something to drain, and the one who drains knows
        self.begun = NOTHING
        """The lines whose ends had not come at the last drain."""
        self._size = self._came = 0
        self._room = threading.Condition()
        self._closed = self._at_once = False
        self._stream: LineStream | None = None
        self.status = FeedStatus()
        """How it is now."""
        self._begin()

    def _begin(self) -> None:
        threading.Thread(target=self._run, name=f"log {self._container_id[:12]}", daemon=True).start()

    def resume(self) -> None:
        """Go on after the end: the container was started again."""
        if self.status.ended and not self._closed:
            self.status = FeedStatus()
            self._begin()

    def _run(self) -> None:
        attempt = 0
        while not self._closed:
            try:
                if self._follow():
                    attempt = 0
                seen = self._seen()
            except EngineUnreachableError as error:
                self._say(FeedStatus("reconnecting", error=error))
            except RelayError as error:
                self._say(FeedStatus("ended", error=None if isinstance(error, NotFoundError) else error))
                return
            else:
                if seen.status not in _RUNNING:
                    self._say(_ended(seen))
                    return
            with self._room:
                self._room.wait_for(lambda: self._closed or self._at_once, BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt = 0 if self._at_once else attempt + 1
                self._at_once = False

    def _seen(self) -> Observed:
        """How the container is, whose output has come to an end."""
        seen = self._runtime.inspect(self._container_id)
        for pause in _AGAIN:
            if seen.status not in _RUNNING:
                break
            with self._room:
                self._room.wait_for(lambda: self._closed or self._at_once, pause)
            seen = self._runtime.inspect(self._container_id)
        return seen

    def retry(self) -> None:
        """Wait no longer, if it waits, before trying to reach the engine: it is back."""
        with self._room:
            self._at_once = self.status.word == "reconnecting"
            self._room.notify_all()

    def _follow(self) -> bool:
        """Read until the stream ends; answer whether anything new came. Begins where the last one ended."""
        edge = newest_edge(self._recent)
        since, tail = (edge.time, None) if edge is not None else (self._since, self._tail)
        unknown = Unknown(edge) if edge is not None else None
        stream = self._runtime.log_lines(self._container_id, follow=True, tail=tail, since=since)
        with self._room:
            self._stream = stream
            if self._closed:
                stream.close()
                return False
        self._say(FeedStatus())
        came = False
        for batch in stream:
            fresh = unknown.sift(batch) if unknown is not None else batch
            fresh = self._repeats.without(fresh, self._recent)
            if fresh and unknown is not None and not unknown.met:
                unknown.met = True
                if not self._take(_MISSING, NOTHING):
                    break
            came = came or bool(fresh)
            begun = stream.begun()
            if (fresh or begun or self._begun) and not self._take(fresh, begun):
                break
        return came

    def _take(self, batch: LogBatch, begun: LogBatch) -> bool:
        if batch:
            self._recent.append(batch)
        self._recent_lines += len(batch)
        while self._recent and self._recent_lines - len(self._recent[0]) > 2 * OVERLAP:
            self._recent_lines -= len(self._recent.popleft())
        with self._room:
            self._room.wait_for(lambda: self._size < self._most or self._closed)
            if self._closed:
                return False
            if batch:
                self._batches.append(batch)
            self._begun = begun
            self._size += len(batch.data)
            opened, self._came = self.opened, self._came + len(batch)
            told, self._told = self._told, True
        if not told or opened is not self.opened:
            self._wake()
        if (rest := self._rest()) > 0:
            with self._room:
                self._room.wait_for(lambda: self._closed, rest)
        return True

    def _say(self, status: FeedStatus) -> None:
        if status != self.status and not self._closed:
            self.status = status
            self._wake()

    @property
    def opened(self) -> bool:
        """Whether as many lines came as were asked for of what was there; of a short log they never do."""
        return self._came >= self._tail

    def drain(self) -> list[LogBatch]:
        """Everything read since the last drain, in order."""
        with self._room:
            batches = list(self._batches)
            self._batches.clear()
            self.begun = self._begun
            self._size = 0
            self._told = False
            self._room.notify()
        return batches

    def close(self) -> None:
        """Stop following; `wake` is not called any more."""
        with self._room:
            self._closed = True
            stream = self._stream
            self._room.notify_all()
        if stream is not None:
            stream.close()


def _ended(seen: Observed) -> FeedStatus:
    return FeedStatus("ended", seen.exit_code)
