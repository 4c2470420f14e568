"""Live log of one container: a daemon thread reads it, and the screen drains the lines at its own pace.

When the connection to the engine breaks, the thread reconnects and continues at the last line. When the container
ends, the feed adds a notice to the lines and has ended until `resume` is called. The notice of each run's end follows
the lines of that run, even if the next run started before the thread checked.
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

ROOM = 8 << 20  # bytes read ahead of the screen; then the reader waits, and the engine keeps the rest: nothing is lost
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts to reconnect to the engine
_MISSING_NOTICE = pack_times(
    ["── lines are missing here: the engine no longer has them ──".encode()], bytes([NOTICE | TIMELESS])
)
_EXIT_CHECKS = (0.005, 0.01, 0.02, 0.04)  # seconds between checks: the engine reports an exit after the output's end
_RUNNING = frozenset({"running", "paused", "restarting"})


Rest = Callable[[], float]
"""Returns the number of seconds for which reading must pause. 0 or less: no pause."""


def no_pause() -> float:
    """Return 0: reading never pauses."""
    return 0.0


class LogFeed:
    """Feed that follows one container's log. The reader's thread calls `wake` when there are lines to drain."""

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
        self._room_bytes = room
        self._rest = rest
        self._batches: deque[LogBatch] = deque()
        self._recent: deque[LogBatch] = deque()
        self._recent_lines = 0
        self._latest = b""  # the latest time of any line
        self._repeats = RotationDuplicateFilter(room)
        self._begun = EMPTY_BATCH
        self._woken = False  # whether `wake` was called since the last drain
        self.begun = EMPTY_BATCH
        """Partial lines at the last drain."""
        self._size = self._came = 0
        self._room = threading.Condition()
        self._closed = self._retry_now = False
        self._reading = True
        self._again = False  # whether to check once more when the log ends
        self._runs = RunTracker(
            rfc3339(time.time())
        )  # by this machine's clock; the engine's clock is the same or close
        self._stream: LineStream | None = None
        self.status = LogStatus()
        """Current status."""
        self._begin()

    def _begin(self, *, again: bool = False) -> None:
        name = f"log {self._container_id[:12]}"
        threading.Thread(target=self._run, args=(again,), name=name, daemon=True).start()

    def resume(self) -> None:
        """Check for more lines after an end. The container was restarted, or may have been."""
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
                    seen = self._state_after_output()
                    if self._catch_up(seen) and seen.status in _RUNNING:
                        continue
            except EngineUnreachableError as error:
                self._set_status(LogStatus("reconnecting", error=error))
            except RelayError as error:
                fault = None if isinstance(error, NotFoundError) else error
                if self._report_end(LogStatus("ended", error=fault)):
                    return
                continue
            else:
                if seen.status not in _RUNNING:
                    if self._report_end(LogStatus("ended", seen.exit_code), seen):
                        return
                    continue
            with self._room:
                self._room.wait_for(lambda: self._closed or self._retry_now, BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt = 0 if self._retry_now else attempt + 1
                self._retry_now = False

    def _catch_up(self, seen: ContainerState) -> bool:
        """Report runs that ended between two checks. Return whether another run started since the last check.

        Each end follows the lines of its run. If the latest run is over too, its lines are also read, so that its end
        can be reported.
        """
        if not self._runs.another(seen):
            return False
        ends = self._runtime.run_history(self._container_id, self._runs.since)
        for end in self._runs.untold(ends, seen):
            self._read_until(end.at)
            if comparable(end.at.encode()) < latest(self._recent):
                self._add_notice(ending_before(end), end.at, stamped=False)
            else:
                self._add_notice(end_notice(LogStatus("ended", end.exit_code)), end.at)
            self._runs.report(end)
        self._runs.follow(seen)
        if seen.status not in _RUNNING:
            self._read_until(self._runs.own_run_notice(ends, seen))
        return True

    def _read_until(self, moment: str) -> None:
        """Read the unread lines that were written up to `moment`; all unread lines if it is ''."""
        edge = newest_edge(self._recent)
        unknown = self._new_line_filter(edge)
        since = edge.time if edge is not None else self._runs.since
        self._read(self._runtime.log_lines(self._container_id, follow=False, since=since, until=moment), unknown)

    def _is_read(self, seen: ContainerState) -> bool:
        """Return whether the observed run has no more output. A stream would continue into the next run unnoticed."""
        caught_up = self._catch_up(seen)
        return seen.status not in _RUNNING and (caught_up or self._runs.over(seen))

    def _report_end(self, status: LogStatus, seen: ContainerState | None = None) -> bool:
        """Report the end unless it was reported. Return whether the log ended; more may have arrived."""
        notice = end_notice(status)
        if self._runs.end(notice, seen):
            self._add_notice(notice, seen.finished_at if seen is not None else "")
        with self._room:
            self._reading, self._again = self._again, False
            if self._reading:
                return False
            self.status = status
        if not self._closed:
            self._wake()
        return True

    def _add_notice(self, notice: str, at: str, *, stamped: bool = True) -> None:
        """Append a notice with the time `at`. A notice older than the requested start is left out."""
        if at and self._since and comparable(at.encode()) < comparable(self._since.encode()):
            return
        stamped = stamped and bool(at)
        moment = max(comparable(at.encode()), latest(self._recent)) + b" " if stamped else b""
        self._enqueue(
            pack_times([moment + notice.encode()], bytes([NOTICE if stamped else NOTICE | TIMELESS])), EMPTY_BATCH
        )

    def _state_after_output(self) -> ContainerState:
        """Return the state of the container whose output ended."""
        seen = self._runtime.inspect(self._container_id)
        for pause in _EXIT_CHECKS:
            if seen.status not in _RUNNING:
                break
            with self._room:
                self._room.wait_for(lambda: self._closed or self._retry_now, pause)
            seen = self._runtime.inspect(self._container_id)
        return seen

    def retry(self) -> None:
        """Reconnect at once instead of waiting for the next attempt. Call it when the engine is reachable again."""
        with self._room:
            self._retry_now = self.status.word == "reconnecting"
            self._room.notify_all()

    def _follow(self) -> bool:
        """Read until the stream ends, from the end of the last stream. Return whether a new line arrived."""
        edge = newest_edge(self._recent)
        unknown = self._new_line_filter(edge)
        since, tail = (edge.time, None) if edge is not None else (self._since, self._tail)
        stream = self._runtime.log_lines(self._container_id, follow=True, tail=tail, since=since)
        if not self.status.ended or self._runtime.inspect(self._container_id).status in _RUNNING:
            self._set_status(LogStatus())
        return self._read(stream, unknown)

    def _read(self, stream: LineStream, unknown: NewLineFilter | None) -> bool:
        """Enqueue the new lines of a stream. Return whether there were any."""
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
                if not self._enqueue(_MISSING_NOTICE, EMPTY_BATCH):
                    break
            came = came or bool(fresh)
            begun = stream.partial_lines()
            if (fresh or begun or self._begun) and not self._enqueue(fresh, begun):
                break
        self._runs.came = self._runs.came or came
        return came

    def _new_line_filter(self, edge: LogCursor | None) -> NewLineFilter | None:
        """Return a filter for lines that are newer than the cursor.

        If the clock was set back, older lines have later times. Only the whole log shows whether they are older lines
        or lines that followed deleted ones.
        """
        if edge is None:
            return None
        return NewLineFilter(edge, past=clock_went_back(self._recent, self._latest) and self._has_line_after(edge))

    def _has_line_after(self, edge: LogCursor) -> bool:
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
            self._room.wait_for(lambda: self._size < self._room_bytes or self._closed)
            if self._closed:
                return False
            if batch:
                self._batches.append(batch)
            self._begun = begun
            self._size += len(batch.data)
            opened, self._came = self.opened, self._came + len(batch)
            woken, self._woken = self._woken, True
        if not woken or opened is not self.opened:
            self._wake()
        if (rest := self._rest()) > 0:
            with self._room:
                self._room.wait_for(lambda: self._closed, rest)
        return True

    def _set_status(self, status: LogStatus) -> None:
        if status != self.status and not self._closed:
            self.status = status
            self._wake()

    @property
    def opened(self) -> bool:
        """Whether the requested number of existing lines has arrived. A short log never has that many."""
        return self._came >= self._tail

    def drain(self) -> list[LogBatch]:
        """Return everything read since the last drain, in order."""
        with self._room:
            batches = list(self._batches)
            self._batches.clear()
            self.begun = self._begun
            self._size = 0
            self._woken = False
            self._room.notify()
        return batches

    def close(self) -> None:
        """Stop following. `wake` is not called any more."""
        with self._room:
            self._closed = True
            stream = self._stream
            self._room.notify_all()
        if stream is not None:
            stream.close()
