"""Merged log of several sessions, ordered by time. Each line has its session's name.

One daemon thread collects the lines that the threads of the single logs have read. It holds them in a window for a
moment and orders them. Sessions may join and leave. A log that ended continues when its session runs again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay_tui.domain.log_batch import EMPTY_BATCH, LogBatch
from relay_tui.services.logs.feed import ROOM, LogFeed, Rest, no_pause
from relay_tui.services.logs.merge_order import Line, PartialLine, ReorderWindow, Timeline, with_source
from relay_tui.services.logs.merged_history import HistoryCursor, MergedHistory
from relay_tui.services.logs.resume import comparable, rfc3339
from relay_tui.services.logs.source import LogSource, OlderLines
from relay_tui.services.logs.status import LogStatus

HOLD = 0.2  # seconds that a line waits for earlier lines: longer than one log lags behind another
TICK = 0.05  # seconds between two collections of new lines
QUIET = 0.3  # seconds without a line after which the existing lines count as read
PATIENCE = 2.0  # seconds after which a log counts as read anyway
MOST = 64
"""Number of logs that are followed at once."""


@dataclass(frozen=True, slots=True)
class LogSourceSpec:
    """One of the logs: session id, container, and the label before its lines.

    `opening` changes each time a log that ended may have more lines.
    """

    session_id: str
    container_id: str
    label: bytes = b""
    opening: str = ""


class _SourceReader:
    """State of one log in the merged log."""

    def __init__(self, number: int, voice: LogSourceSpec, feed: LogFeed, joined: str, hold: float) -> None:
        self.number = number
        self.voice = voice
        self.feed = feed
        self.opening = voice.opening
        self.status = LogStatus()
        self.order = Timeline(number)
        self.begun = PartialLine(hold)
        self.reach = HistoryCursor(number, voice.container_id, joined)
        self.gone = False
        self.parting = ""  # the notice to add when this log leaves the merged log
        self._stuck_at: float | None = None

    def take(self) -> list[LogBatch]:
        """Return the lines that were read since the last call."""
        batches = self.feed.drain()
        self.reach.came(batches)
        return batches

    def unlock(self, now: float, after: float) -> None:
        """Order the log by its times again, `after` seconds after its clock was set back.

        By then no line from before the change is waiting.
        """
        if not self.order.stuck:
            self._stuck_at = None
        elif self._stuck_at is None:
            self._stuck_at = now
        elif now - self._stuck_at > after:
            self.order.forget()

    def resume(self) -> None:
        """Check for more lines if the session was started again."""
        if self.voice.opening != self.opening:
            self.opening = self.voice.opening
            self.feed.resume()


class MergedLogFeed:
    """Feed that follows several logs.

    `wake` is called in another thread when there are lines to drain. `rest` is also called in another thread; it
    returns the number of seconds for which reading must pause.
    """

    def __init__(
        self,
        source: LogSource,
        voices: Sequence[LogSourceSpec],
        wake: Callable[[], None],
        *,
        tail: int,
        since: str = "",
        rest: Rest = no_pause,
        hold: float = HOLD,
        quiet: float = QUIET,
    ) -> None:
        self._source = source
        self._wake = wake
        self._tail = tail
        self._since = since
        self._rest = rest
        self._quiet = quiet
        self._hold = hold
        self._window = ReorderWindow(hold)
        self._history = MergedHistory(source, since)
        self._parts: dict[str, _SourceReader] = {}  # by container
        self._room = ROOM // max(1, min(MOST, len(voices)))  # bytes that are read ahead of each log
        self._labels: dict[int, bytes] = {}
        self._began = rfc3339(time.time())  # by this machine's clock; the engine's clock is the same or close
        self._open = False
        self._numbers = 0
        self._shown_last = 0  # the log of the line that was drained last
        self._latest = b""
        self._closed = threading.Event()
        self._work_ready = threading.Event()
        self._lock = threading.Condition()
        self._ready: list[LogBatch] = []
        self._begun = EMPTY_BATCH
        self._size = 0
        self.follow(voices)
        threading.Thread(target=self._run, name="joint log", daemon=True).start()

    # --- choice of logs ---

    def follow(self, voices: Sequence[LogSourceSpec]) -> None:
        """Follow these logs from now on. New ones join, missing ones leave, and restarted ones continue."""
        wanted = {voice.container_id: voice for voice in voices}
        sessions = {voice.session_id for voice in voices}
        with self._lock:
            for container_id, part in self._parts.items():
                if container_id not in wanted and not part.gone and not part.parting:
                    again = part.voice.session_id in sessions
                    part.parting = "── continues in a new container ──" if again else "── removed ──"
            for voice in voices:
                known = self._parts.get(voice.container_id)
                if known is not None:
                    if voice.opening != known.voice.opening:
                        known.feed.retry()
                    known.voice, known.parting, known.gone = voice, "", False
                    self._labels[known.number] = voice.label
                elif sum(not part.gone for part in self._parts.values()) < MOST and not self._closed.is_set():
                    self._join(voice)
        self._work_ready.set()

    def _join(self, voice: LogSourceSpec) -> None:
        self._numbers += 1
        joined = max(self._began, self._since) if self._open else ""
        feed = self._source.follow(
            voice.container_id,
            self._work_ready.set,
            tail=self._tail,
            since=joined or self._since,
            room=self._room,
            rest=self._rest,
        )
        part = _SourceReader(self._numbers, voice, feed, joined, self._hold)
        self._parts[voice.container_id] = part
        self._labels[part.number] = voice.label
        self._history.add(part.reach)

    def _present(self) -> list[_SourceReader]:
        with self._lock:
            return list(self._parts.values())

    def __len__(self) -> int:
        return sum(not part.gone for part in self._present())

    @property
    def ended(self) -> int:
        """Number of logs that have ended."""
        return sum(part.feed.status.ended for part in self._present() if not part.gone)

    @property
    def connection(self) -> str:
        """'reconnecting' while any log reconnects, 'ended' when all logs have ended, else ''."""
        parts = [part for part in self._present() if not part.gone]
        if any(part.feed.status.word == "reconnecting" for part in parts):
            return "reconnecting"
        return "ended" if parts and all(part.feed.status.ended for part in parts) else ""

    # --- gathering ---

    def _run(self) -> None:
        if not self._begin():
            return
        while True:
            if not len(self._window):
                self._work_ready.wait()
            with self._lock:
                self._lock.wait_for(lambda: self._size < ROOM or self._closed.is_set())
            if self._closed.wait(max(TICK, self._rest())):
                return
            self._work_ready.clear()
            changed = sum(self._gather(part) for part in self._present())
            due = self._window.due(time.monotonic())
            if self._update_partial_lines() or due or changed:
                self._publish(due)

    def _begin(self) -> bool:
        """Wait for the existing lines of all logs and publish them in order. Return False if closed before."""
        began = came = time.monotonic()
        while True:
            if self._closed.wait(TICK / 2):
                return False
            now = time.monotonic()
            parts = self._present()
            for part in parts:
                if self._may_be_complete(part) and (batches := part.take()):
                    came = came if self._has_existing_lines(part) else now
                    part.reach.keep(part.order.lines(batches))
            if all(map(self._has_existing_lines, parts)) or now - came > self._quiet or now - began > PATIENCE:
                break
        with self._lock:
            self._open = True
        for part in parts:
            if part.feed.status.ended:  # so every line of it has been read
                part.status = part.feed.status
                part.reach.keep(part.order.lines(part.take()))
        self._publish(self._history.recent({part.number for part in parts if self._may_be_complete(part)}))
        self._work_ready.set()
        return True

    def _has_existing_lines(self, part: _SourceReader) -> bool:
        """Return whether the log's existing lines have arrived: it ended, enough arrived, or current lines arrive."""
        if part.feed.status.ended or not self._may_be_complete(part):
            return True
        return part.order.last >= comparable(self._began.encode())

    def _may_be_complete(self, part: _SourceReader) -> bool:
        """Return whether the log may be complete, because few recent lines arrived."""
        return part.reach.held < self._tail and part.reach.size < self._room

    def _gather(self, part: _SourceReader) -> bool:
        """Move new lines into the window. Return whether the status of the log has changed."""
        now = time.monotonic()
        status = part.feed.status
        part.unlock(now, 2 * self._hold)
        if self._window.size < ROOM:
            self._window.add(part.order.lines(part.take()), now)
        else:
            self._work_ready.set()  # collect again once there is room
        changed = status != part.status
        part.status = status
        if part.parting:
            self._add_notice(part, part.parting, now)
            part.parting, part.gone = "", True
            return True
        part.resume()
        return changed

    def _update_partial_lines(self) -> bool:
        """Update the partial lines to show. Return whether they have changed."""
        now, lines = time.monotonic(), []
        for part in self._present():
            part.begun.update(part.feed.begun, now)
            if part.begun.waits:
                self._work_ready.set()
            lines += Timeline(part.number).lines([part.begun.shown])
        begun, before = with_source(lines, self._labels), self._begun
        self._begun = begun if lines else EMPTY_BATCH
        return self._begun.data != before.data

    def _add_notice(self, part: _SourceReader, text: str, now: float) -> None:
        """Add a notice about a log after all lines that arrived."""
        self._window.add([part.order.notice(text, max(self._window.last, self._latest))], now)

    def _publish(self, lines: Sequence[Line]) -> None:
        if lines:
            batch = with_source(lines, self._labels, self._shown_last)
            self._shown_last = lines[-1].log
            self._latest = max(self._latest, lines[-1].moment.rstrip(b"~"))
            with self._lock:
                self._ready.append(batch)
                self._size += len(batch.data)
        if not self._closed.is_set():
            self._wake()

    # --- called by the screen ---

    def drain(self) -> list[LogBatch]:
        """Return all lines that were ordered since the last drain."""
        with self._lock:
            ready, self._ready, self._size = self._ready, [], 0
            self._lock.notify_all()
        return ready

    @property
    def begun(self) -> LogBatch:
        """Partial lines with their labels. Each is drained later as a complete line."""
        return self._begun

    def older(self, wanted: int) -> OlderLines:
        """Return the lines before the first drained ones, in order. Blocks. Raises RelayError."""
        lines, complete = self._history.older(wanted)
        return OlderLines([with_source(lines, self._labels)] if lines else [], complete)

    def close(self) -> None:
        """Stop following. `wake` is not called any more."""
        with self._lock:
            self._closed.set()
            self._lock.notify_all()
        self._work_ready.set()
        for part in self._present():
            part.feed.close()
