"""Removal of lines that the engine sends twice. When it rotates a followed log, it reads a part of the log again.

`docker logs -f` shows those lines twice: up to a whole file of them if the container writes fast. A line counts as a
duplicate only if it cannot be a new line. Its stream must already have reached a later time, and a recent line must
have the same bytes and the same nanosecond.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from relay_tui.domain.log_batch import CONTINUED, NOTICE, STDERR, STDOUT, STREAM_BITS, TIMELESS, LogBatch

_TIME = 30  # characters of a time to the nanosecond, in UTC; logs with other time formats are not filtered
_ORDINARY = frozenset({STDOUT, STDERR})
_MOST = 2_000  # batches that are kept, however small: a reader without a delay gets few lines twice


class RotationDuplicateFilter:
    """Filter that keeps each stream's latest time and its last `room` bytes, which a screen mostly holds anyway."""

    def __init__(self, room: int) -> None:
        self._recent: deque[LogBatch] = deque()
        self._size, self._room = 0, room
        self._known: set[tuple[int, bytes]] = set()  # lines that may arrive again, while any line does
        self._latest: dict[int, bytes] = {}
        self._within: set[int] = set()  # streams that repeat lines
        self._whole: set[int] = set()  # streams whose last line was removed; its continuation lines are removed too

    def drop_duplicates(self, batch: LogBatch) -> LogBatch:
        """Return the batch without the lines that earlier batches had."""
        left = self._without(batch)
        if left:
            self._recent.append(left)
            self._size += len(left.data)
        while self._size > self._room or len(self._recent) > _MOST:
            self._size -= len(self._recent.popleft().data)
        return left

    def _without(self, batch: LogBatch) -> LogBatch:
        data = batch.data
        timed = next((i for i, flag in enumerate(batch.flags) if not flag & TIMELESS), None)
        precise = timed is not None and data.startswith(b"Z ", batch.starts[timed] + _TIME - 1)
        if not precise and not self._whole:
            return batch
        times = [data[start : start + _TIME] for start in batch.starts]
        if not self._within and not self._whole and self._is_in_order(times, batch.flags):
            return batch
        if not self._known:
            self._known = _lines(self._recent, min(times))
        left = self._filter_known(batch, times, self._known)
        if not self._within and not self._whole:
            self._known = set()
        return left

    def _is_in_order(self, times: list[bytes], flags: bytes) -> bool:
        """Return whether no stream goes back in time."""
        latest = dict(self._latest)
        for time, flag in zip(times, flags, strict=True):
            if flag in _ORDINARY:
                if time < latest.get(flag, b""):
                    return False
                latest[flag] = time
        self._latest = latest
        return True

    def _filter_known(self, batch: LogBatch, times: list[bytes], known: set[tuple[int, bytes]]) -> LogBatch:
        kept: list[int] = []
        for index, (time, flag) in enumerate(zip(times, batch.flags, strict=True)):
            stream = flag & STREAM_BITS
            if flag & CONTINUED and stream in self._whole:
                continue
            if flag & (CONTINUED | TIMELESS) or stream == NOTICE:
                kept.append(index)
                continue
            line = stream, batch.data[batch.starts[index] : batch.ends[index]]
            latest = self._latest.get(stream, b"")
            if line in known and (time < latest or (time == latest and stream in self._within)):
                self._within.add(stream)
                self._whole.add(stream)
                continue
            self._within.discard(stream)
            self._whole.discard(stream)
            self._latest[stream] = time
            known.add(line)
            kept.append(index)
        return batch if len(kept) == len(batch) else batch.only(kept)


def _lines(batches: Iterable[LogBatch], since: bytes) -> set[tuple[int, bytes]]:
    return {
        (flag, batch.data[start:end])
        for batch in batches
        for start, end, flag in zip(batch.starts, batch.ends, batch.flags, strict=True)
        if flag in _ORDINARY and batch.data[start : start + _TIME] >= since
    }
