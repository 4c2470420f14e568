"""Resumption of a log that is read in several requests, without a duplicate or a missing line.

The engine returns lines from or up to a time, but a time is not exact. The two streams of a container are stamped
separately, so neighbouring lines can be in the wrong order, and several lines can have the same time. So each request
overlaps with the lines read before, and lines that both have are removed by their keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from relay_tui.domain.log_batch import NOTICE, STREAM_BITS, TIMELESS, LogBatch

OVERLAP = 1_000  # lines in the overlap of two requests, or all lines
_SECONDS = 1  # seconds apart at most
_LAST = 100  # lines whose times may be out of order
_ENGINE = 30  # characters of a time as most engines write it, to the nanosecond and in UTC


@dataclass(frozen=True, slots=True)
class LogCursor:
    """End of the lines read: the time to read from or up to, and the known lines beyond that time."""

    time: str
    known: Counter[bytes] = field(default_factory=Counter)


def newest_edge(batches: Sequence[LogBatch]) -> LogCursor | None:
    """Return the cursor after these lines; None if no line has a time."""
    return _edge(_timed(batches, backward=True), backward=True)


def oldest_edge(batches: Sequence[LogBatch]) -> LogCursor | None:
    """Return the cursor before these lines; None if no line has a time."""
    return _edge(_timed(batches, backward=False), backward=False)


def _timed(batches: Sequence[LogBatch], *, backward: bool) -> Iterator[tuple[bytes, bytes]]:
    """Yield time and key of each line that has a time, starting from one end."""
    for batch in reversed(batches) if backward else batches:
        for index in range(len(batch) - 1, -1, -1) if backward else range(len(batch)):
            if batch.flags[index] & STREAM_BITS != NOTICE:
                time = batch.parts(index)[0]
                if time:
                    yield time, batch.key(index)


def _edge(lines: Iterator[tuple[bytes, bytes]], *, backward: bool) -> LogCursor | None:
    known: list[tuple[bytes, bytes]] = []
    limit: bytes | None = None
    first = b""
    beyond = 0
    for time, key in lines:
        first = first or time
        if limit is None and (len(known) >= OVERLAP or _apart(first, time)):
            limit = time
        elif limit is not None and time != limit:
            beyond += 1
            if beyond > OVERLAP:
                break
        known.append((time, key))
    if not known:
        return None
    limit = limit or (min if backward else max)(time for time, _ in known)
    if backward:  # some engines check no more times after the first line that is late enough
        first_at = max(at for at, (time, _) in enumerate(known) if time >= limit)
        return LogCursor(limit.decode(errors="replace"), Counter(key for _, key in known[: first_at + 1]))
    return LogCursor(limit.decode(errors="replace"), Counter(key for time, key in known if time <= limit))


def _apart(one: bytes, other: bytes) -> bool:
    """Return whether two times are further apart than the overlap."""
    if one[:19] == other[:19]:
        return False
    first, second = seconds(one), seconds(other)
    return first is None or second is None or abs(first - second) > _SECONDS


def seconds(time: bytes) -> float | None:
    """Return a line's time in seconds since 1970; None if it is not a time."""
    try:
        return datetime.fromisoformat(time.decode()).timestamp()
    except ValueError:
        return None


def comparable(time: bytes) -> bytes:
    """Return a time in UTC, to the nanosecond, so that an earlier time compares as less."""
    if len(time) == _ENGINE and time.endswith(b"Z"):
        return time
    moment = seconds(time)
    if moment is None:
        return time
    fraction = time.partition(b".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip(b"0123456789"))]
    whole = datetime.fromtimestamp(moment // 1, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return whole.encode() + b"." + digits[:9].ljust(9, b"0") + b"Z"


def latest(batches: Sequence[LogBatch]) -> bytes:
    """Return the latest time among the last lines in comparable form; b"" if none has a time."""
    return max((comparable(time) for time, _ in islice(_timed(batches, backward=True), _LAST)), default=b"")


def clock_went_back(batches: Sequence[LogBatch], latest: bytes) -> bool:
    """Return whether the clock was set back: the last line is much older than `latest`, the latest time seen."""
    return any(_apart(latest, comparable(time)) for time, _ in islice(_timed(batches, backward=True), 1))


def rfc3339(moment: float) -> str:
    """Return seconds since 1970 in the engine's time format."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class NewLineFilter:
    """Filter for lines after a cursor: it removes every line that was read before.

    With `past`, the cursor's lines are certain to arrive, and all lines before the first of them were read before.
    """

    def __init__(self, edge: LogCursor, *, past: bool = False) -> None:
        self._known = Counter(edge.known)
        self._past = past
        self._dropping = False
        self.met = not edge.known
        """Whether a known line arrived. If not, the lines between the cursor and the new lines are lost."""

    def sift(self, batch: LogBatch) -> LogBatch:
        """Return the batch without the known lines. A line without a time is treated like the line before it."""
        if not self._known and not self._dropping:
            return batch
        kept: list[int] = []
        timed = known = 0
        for index in range(len(batch)):
            if not batch.flags[index] & TIMELESS:
                key, timed = batch.key(index), timed + 1
                self._dropping = self._known[key] > 0
                if self._dropping:
                    self._known[key] -= 1
                    self.met, known = True, known + 1
                elif self._past and not self.met:
                    self._dropping = True
            if not self._dropping:
                kept.append(index)
        self._known += Counter()
        if self.met and timed and not known:
            self._known.clear()  # known lines are adjacent: no more of them arrive
        return batch if len(kept) == len(batch) else batch.only(kept)


def before(edge: LogCursor, batches: Sequence[LogBatch]) -> list[LogBatch]:
    """Return the lines up to a cursor without the known ones. Of lines with the same key the last are known."""
    known = Counter(edge.known)
    result: list[LogBatch] = []
    for batch in reversed(batches):
        if not known:
            result.append(batch)
            continue
        kept: list[int] = []
        timeless: list[int] = []
        for index in range(len(batch) - 1, -1, -1):
            if batch.flags[index] & TIMELESS:
                timeless.append(index)
                continue
            key = batch.key(index)
            if known[key] > 0:
                known[key] -= 1
            else:
                kept += [*timeless, index]
            timeless = []
        known += Counter()
        kept += timeless
        if kept:
            result.append(batch if len(kept) == len(batch) else batch.only(kept[::-1]))
    return result[::-1]
