"""A session's live log: one daemon thread reads, the screen drains at its own pace.

When the connection to the engine breaks, the thread tries again and goes on where it was; when the container ends,
the feed says so among the lines, and has ended until it is told to look again. Each run's end stands behind its lines,
also where the next one had begun before anybody looked.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from relay_tui.domain.errors import EngineUnreachableError, NotFoundError, RelayError
from relay_tui.domain.log_batch import EMPTY_BATCH, NOTICE, TIMELESS, LogBatch, pack_times
from relay_tui.ports import ContainerState, LineStream, Runtime
from relay_tui.services.logs.resume import (
    OVERLAP,
    LogCursor,
    NewLineFilter,
    clock_went_back,
    comparable,
    latest,
    newest_edge,
    rfc3339,
)
from relay_tui.services.logs.rotation import RotationDuplicateFilter
from relay_tui.services.logs.status import LogStatus, RunTracker, end_notice, ending_before

ROOM = 8 << 20  # bytes read ahead of the screen; then the reader waits, and the engine keeps the rest: nothing drops
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between tries to reach the engine again
_MISSING = pack_times(
    ["── lines are missing here: the engine no longer has them ──".encode()], bytes([NOTICE | TIMELESS])
)
_AGAIN = (0.005, 0.01, 0.02, 0.04)  # seconds between looks at one whose output ended: the engine says so a bit later
_RUNNING = frozenset({"running", "paused", "restarting"})


Rest = Callable[[], float]
"""Tells for how many seconds more nothing should be read, 0 or less: go on."""


def no_pause() -> float:
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
        rest: Rest = no_pause,
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
        self._latest = b""  # the latest time of any line
        self._repeats = RotationDuplicateFilter(room)
        self._begun = EMPTY_BATCH
        self._told = False  # whether there is something to drain, and the one who drains knows
        self.begun = EMPTY_BATCH
        """The lines whose ends had not come at the last drain."""
        self._size = self._came = 0
        self._room = threading.Condition()
        self._closed = self._at_once = False
        self._reading = True
        self._again = False  # whether to look once more when it ends
        self._runs = RunTracker(rfc3339(time.time()))  # on this machine's clock, which the engine's is or is near
        self._stream: LineStream | None = None
        self.status = LogStatus()
        """How it is now."""
        self._begin()

    def _begin(self, *, again: bool = False) -> None:
        name = f"log {self._container_id[:12]}"
        threading.Thread(target=self._run, args=(again,), name=name, daemon=True).start()

    def resume(self) -> None:
        """Look whether there is more after an end: the container was started again, or may have been."""
        with self._room:
            if self._closed:
                return
            if self._reading:
                self._again = True
                return
            self._reading = True
        self._begin(again=True)

    def _run(self, again: bool) -> None:
        attempt = 0
        while not self._closed:
            try:
                seen = self._runtime.inspect(self._container_id) if again else None
                if seen is None or not self._is_read(seen):
                    again = True
                    if self._follow():
                        attempt = 0
                    seen = self._seen()
                    if self._catch_up(seen) and seen.status in _RUNNING:
                        continue
            except EngineUnreachableError as error:
                self._say(LogStatus("reconnecting", error=error))
            except RelayError as error:
                fault = None if isinstance(error, NotFoundError) else error
                if self._over(LogStatus("ended", error=fault)):
                    return
                continue
            else:
                if seen.status not in _RUNNING:
                    if self._over(LogStatus("ended", seen.exit_code), seen):
                        return
                    continue
            with self._room:
                self._room.wait_for(lambda: self._closed or self._at_once, BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt = 0 if self._at_once else attempt + 1
                self._at_once = False

    def _catch_up(self, seen: ContainerState) -> bool:
        """Tell of runs that ended unseen, each end behind its lines; answer whether another one began since.

        Where that one is over too, its lines are read with those of the others: its end may be told.
        """
        if not self._runs.another(seen):
            return False
        ends = self._runtime.run_history(self._container_id, self._runs.since)
        for end in self._runs.untold(ends, seen):
            self._read_until(end.at)
            if comparable(end.at.encode()) < latest(self._recent):
                self._tell(ending_before(end), end.at, stamped=False)
            else:
                self._tell(end_notice(LogStatus("ended", end.exit_code)), end.at)
            self._runs.report(end)
        self._runs.follow(seen)
        if seen.status not in _RUNNING:
            self._read_until(self._runs.own_run_notice(ends, seen))
        return True

    def _read_until(self, moment: str) -> None:
        """Read what was written up to that moment and is not read; all there is where that is ''."""
        edge = newest_edge(self._recent)
        unknown = self._unknown(edge)
        since = edge.time if edge is not None else self._runs.since
        self._read(self._runtime.log_lines(self._container_id, follow=False, since=since, until=moment), unknown)

    def _is_read(self, seen: ContainerState) -> bool:
        """Return whether the observed run has no more output. A stream would go on with the next run, unannounced."""
        caught_up = self._catch_up(seen)
        return seen.status not in _RUNNING and (caught_up or self._runs.over(seen))

    def _over(self, status: LogStatus, seen: ContainerState | None = None) -> bool:
        """Report the end unless it was reported. Return whether the log ended; more may have arrived."""
        words = end_notice(status)
        if self._runs.end(words, seen):
            self._tell(words, seen.finished_at if seen is not None else "")
        with self._room:
            self._reading, self._again = self._again, False
            if self._reading:
                return False
            self.status = status
        if not self._closed:
            self._wake()
        return True

    def _tell(self, words: str, at: str, *, stamped: bool = True) -> None:
        """Add a notice of that moment behind the lines there are; none of a moment before what was asked for."""
        if at and self._since and comparable(at.encode()) < comparable(self._since.encode()):
            return
        stamped = stamped and bool(at)
        moment = max(comparable(at.encode()), latest(self._recent)) + b" " if stamped else b""
        self._enqueue(
            pack_times([moment + words.encode()], bytes([NOTICE if stamped else NOTICE | TIMELESS])), EMPTY_BATCH
        )

    def _seen(self) -> ContainerState:
        """Return the state of the container whose output ended."""
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
        unknown = self._unknown(edge)
        since, tail = (edge.time, None) if edge is not None else (self._since, self._tail)
        stream = self._runtime.log_lines(self._container_id, follow=True, tail=tail, since=since)
        if not self.status.ended or self._runtime.inspect(self._container_id).status in _RUNNING:
            self._say(LogStatus())
        return self._read(stream, unknown)

    def _read(self, stream: LineStream, unknown: NewLineFilter | None) -> bool:
        """Take what the stream has that is new; answer whether anything is."""
        with self._room:
            self._stream = stream
            if self._closed:
                stream.close()
                return False
        came = False
        for batch in stream:
            fresh = unknown.sift(batch) if unknown is not None else batch
            fresh = self._repeats.drop_duplicates(fresh)
            if fresh and unknown is not None and not unknown.met:
                unknown.met = True
                if not self._enqueue(_MISSING, EMPTY_BATCH):
                    break
            came = came or bool(fresh)
            begun = stream.begun()
            if (fresh or begun or self._begun) and not self._enqueue(fresh, begun):
                break
        self._runs.came = self._runs.came or came
        return came

    def _unknown(self, edge: LogCursor | None) -> NewLineFilter | None:
        """Return a filter for lines that are newer than the cursor.

        If the clock was set back, older lines have later times. Only the whole log shows whether they are older lines
        or lines that followed deleted ones.
        """
        if edge is None:
            return None
        return NewLineFilter(edge, past=clock_went_back(self._recent, self._latest) and self._is_there(edge))

    def _is_there(self, edge: LogCursor) -> bool:
        """Return whether the log still has a line after the cursor."""
        unknown = NewLineFilter(edge)
        stream = self._runtime.log_lines(self._container_id, follow=False, since=edge.time)
        for batch in stream:
            unknown.sift(batch)
            if unknown.met or self._closed:
                break
        stream.close()
        return unknown.met

    def _enqueue(self, batch: LogBatch, begun: LogBatch) -> bool:
        if batch:
            self._recent.append(batch)
            self._latest = max(self._latest, latest([batch]))
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

    def _say(self, status: LogStatus) -> None:
        if status != self.status and not self._closed:
            self.status = status
            self._wake()

    @property
    def opened(self) -> bool:
        """Whether the requested number of existing lines has arrived. A short log never has that many."""
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
