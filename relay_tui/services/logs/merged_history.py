"""History of several logs, merged without gaps.

The same number of lines covers a minute of a busy log and a week of a quiet one. Lines that are older than the part
read of *every* log would be next to a gap, so they wait until the other logs have been read back as far.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from relay_tui.domain.errors import NotFoundError
from relay_tui.domain.log_batch import LogBatch
from relay_tui.services.logs.merge_order import Line, Timeline
from relay_tui.services.logs.resume import OVERLAP, LogCursor, oldest_edge
from relay_tui.services.logs.source import LogSource

LEAST = 500  # lines of one log that are worth a request
AT_ONCE = 4  # logs that are read at the same time


class HistoryCursor:
    """Position in the history of one log, and its lines that are not shown yet."""

    def __init__(self, log: int, container_id: str, joined: str = "") -> None:
        self.log = log
        self.container_id = container_id
        self.complete = False
        """Whether there are no older lines than those read."""
        self._joined = joined  # the moment from which it is read, if it joined an open merged log
        self._waiting: list[Line] = []
        self._first: list[LogBatch] = []
        self._count = 0  # lines in the batches
        self._held = self._size = 0
        self._lock = threading.Lock()

    def came(self, batches: Iterable[LogBatch]) -> None:
        """Count the lines read. The first of them later give the cursor for older lines."""
        with self._lock:
            for batch in batches:
                self._held += len(batch)
                self._size += len(batch.data)
                if self._count < 2 * OVERLAP:
                    self._first.append(batch)
                    self._count += len(batch)

    @property
    def held(self) -> int:
        """Number of lines read."""
        return self._held

    @property
    def size(self) -> int:
        """Number of bytes read."""
        return self._size

    @property
    def oldest(self) -> bytes | None:
        """Moment of the oldest waiting line; None if no line waits."""
        return self._waiting[0].moment if self._waiting else None

    def keep(self, lines: Iterable[Line]) -> None:
        """Hold lines back until the other logs have been read back as far."""
        self._waiting += lines
        self._waiting.sort()

    def release(self, since: bytes) -> list[Line]:
        """Remove and return the waiting lines that are not older than `since`."""
        at = bisect_left(self._waiting, since, key=lambda line: line.moment)
        released, self._waiting = self._waiting[at:], self._waiting[:at]
        return released

    def edge(self) -> LogCursor | None:
        """Return the cursor for reading further back; None if no line has a time."""
        with self._lock:
            return oldest_edge(self._first) or (LogCursor(self._joined) if self._joined else None)

    def put_before(self, batches: Sequence[LogBatch]) -> None:
        """Put older lines before the lines read so far, and hold them back."""
        with self._lock:
            self._held += sum(map(len, batches))
            self._first = _some([*batches, *self._first])
            self._count = sum(map(len, self._first))
        self.keep(Timeline(self.log).lines(batches))


def _some(batches: Sequence[LogBatch]) -> list[LogBatch]:
    kept: list[LogBatch] = []
    count = 0
    for batch in batches:
        if count >= 2 * OVERLAP:
            break
        kept.append(batch)
        count += len(batch)
    return kept


class MergedHistory:
    """History of several logs. `since` is the moment at which it starts, "" for all of it."""

    def __init__(self, source: LogSource, since: str) -> None:
        self._source = source
        self._since = since
        self._reaches: dict[int, HistoryCursor] = {}
        self._reading = threading.Lock()

    def add(self, reach: HistoryCursor) -> None:
        """Add a log."""
        self._reaches[reach.log] = reach

    def recent(self, whole: Collection[int]) -> list[Line]:
        """Return the waiting lines that can be shown first. `whole` are the logs that seem complete."""
        return self._release([reach for reach in self._reaches.values() if reach.log not in whole])

    def _release(self, limiting: Iterable[HistoryCursor]) -> list[Line]:
        since = max((reach.oldest for reach in limiting if reach.oldest is not None), default=b"")
        return sorted(line for reach in self._reaches.values() for line in reach.release(since))

    def older(self, wanted: int) -> tuple[list[Line], bool]:
        """Return the lines before the shown ones, and whether there are no more.

        About `wanted` lines are read from each log that has to be read. Blocks. Raises RelayError.
        """
        with self._reading:
            reaches = tuple(self._reaches.values())
            short = [reach for reach in reaches if not reach.complete and reach.oldest is None]
            if short:
                each = max(LEAST, wanted // len(short))
                with ThreadPoolExecutor(AT_ONCE) as pool:
                    list(pool.map(lambda reach: self._read(reach, each), short))
            lines = self._release(reach for reach in reaches if not reach.complete)
            return lines, all(reach.complete and reach.oldest is None for reach in reaches)

    def _read(self, reach: HistoryCursor, wanted: int) -> None:
        edge = reach.edge()
        if edge is None:
            reach.complete = True
            return
        try:
            older = self._source.older(reach.container_id, edge, held=reach.held, wanted=wanted, since=self._since)
        except NotFoundError:  # the container was removed, and its log with it
            reach.complete = True
            return
        reach.complete = older.complete
        if older.batches:
            reach.put_before(older.batches)
