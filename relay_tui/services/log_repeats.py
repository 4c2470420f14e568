"""Leaves out what the engine tells twice: when it rotates a log that is followed, it reads some of it once more.

`docker logs -f` shows those lines twice. A line is taken for a repetition only where it cannot be another one: its
stream had come further already, and one of the same bytes and the same nanosecond came just before.
"""

from __future__ import annotations

from collections.abc import Iterable

from relay_tui.services.ports import LogBatch
from relay_tui.services.ports.log import CONTINUED, NOTICE, STDERR, STDOUT, STREAM_BITS, TIMELESS

_TIME = 30  # characters of a time to the nanosecond, in UTC; engines that write others are left alone
_ORDINARY = frozenset({STDOUT, STDERR})


class Repeats:
    """Knows how far each stream has come."""

    def __init__(self) -> None:
        self._latest: dict[int, bytes] = {}
        self._within: set[int] = set()  # streams that tell once more what was told
        self._whole: set[int] = set()  # streams whose last line was left out, and what carries it on with it

    def without(self, batch: LogBatch, recent: Iterable[LogBatch]) -> LogBatch:
        """The batch without lines that are among the recent ones, too."""
        data = batch.data
        timed = next((i for i, flag in enumerate(batch.flags) if not flag & TIMELESS), None)
        precise = timed is not None and data.startswith(b"Z ", batch.starts[timed] + _TIME - 1)
        if not precise and not self._whole:
            return batch
        times = [data[start : start + _TIME] for start in batch.starts]
        if not self._within and not self._whole and self._goes_on(times, batch.flags):
            return batch
        return self._sifted(batch, times, _lines(recent))

    def _goes_on(self, times: list[bytes], flags: bytes) -> bool:
        """Whether no stream goes back in time."""
        latest = dict(self._latest)
        for time, flag in zip(times, flags, strict=True):
            if flag in _ORDINARY:
                if time < latest.get(flag, b""):
                    return False
                latest[flag] = time
        self._latest = latest
        return True

    def _sifted(self, batch: LogBatch, times: list[bytes], known: set[tuple[int, bytes]]) -> LogBatch:
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


def _lines(batches: Iterable[LogBatch]) -> set[tuple[int, bytes]]:
    return {
        (flag, batch.data[start:end])
        for batch in batches
        for start, end, flag in zip(batch.starts, batch.ends, batch.flags, strict=True)
        if flag in _ORDINARY
    }
