"""Journal of a process's output on disk: stream, time and bytes, in segments of bounded size.

A segment is a sequence of records: stream, start flag, length and time, then the bytes, then the length again, so that
the last lines can be found from the end. Segments are numbered. The oldest ones are deleted if there are too many.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STDOUT, STDERR = 1, 2
SEGMENT = 4 << 20
KEPT = 8
"""At most so many full segments, 32 MiB, of a session's log are kept; less on a small disk."""
MOST = 64
"""How many segments there are at most, however short they are."""
FLOOR = 64 << 20
"""Bytes of the disk, but no more than a tenth of it, that a log leaves free: the store and the session need room."""
_HEAD = struct.Struct("<BBxxIQ")
_FOOT = struct.Struct("<I")
_FRAME = _HEAD.size + _FOOT.size
_BLOCK = 1 << 18  # more than any record
_ENDLESS = (1 << 63, 0)
_LINE, _REST, _RUN = 1, 2, 3  # what begins with a record


@dataclass(frozen=True, slots=True)
class Entry:
    """Bytes of a stream with a time (ns since 1970). Each newline in them adds one ns."""

    stream: int
    time: int
    data: bytes
    begins: bool | None = None
    """Whether they begin a line, or go on with the one that the stream is in; None: a log that does not say so."""
    first: bool = False
    """Whether they are what a run said first."""

    @property
    def last(self) -> int:
        """Time after the last newline."""
        return self.time + self.data.count(b"\n")

    def rest(self) -> Entry | None:
        """Return the partial line after the last newline; everything if there is no newline."""
        cut = self.data.rfind(b"\n") + 1
        begins = True if cut else self.begins
        return Entry(self.stream, self.last, self.data[cut:], begins) if cut < len(self.data) else None


def _entry(head: tuple[int, int, int, int], data: bytes) -> Entry:
    stream, begins, _, moment = head
    return Entry(stream, moment, data, begins != _REST if begins else None, begins == _RUN)


class Writer:
    """Append to a log directory. Each writer starts a new segment, and another one when a segment is full.

    If the disk is nearly full, the writer deletes its oldest segments, then drops new output and logs the amount.
    """

    def __init__(self, directory: Path, *, segment: int = 0, kept: int = KEPT) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)
        disk = os.statvfs(directory)
        size = disk.f_blocks * disk.f_frsize
        self._floor = min(FLOOR, size // 10)
        self._segment = segment or min(SEGMENT, max(size // 64, 1 << 16))
        self._kept = kept
        self._number = max(segments(directory), default=0)
        self._file = -1
        self._size = 0
        self._after = 0
        self._silent = True  # whether this run has said nothing yet
        self._dropped = 0  # lines that were dropped and not reported yet
        self._unfinished: set[int] = set()  # streams in the midst of a line that is in the log
        self._torn: set[int] = set()  # streams in the midst of a line whose beginning was dropped
        self._turn()

    def write(self, stream: int, data: bytes) -> None:
        """Append bytes, or count them if there is no room."""
        if not self._room(len(data)) or (self._dropped and not self._tell()):
            self._drop(stream, data)
            return
        if stream in self._torn:
            _, newline, data = data.partition(b"\n")
            if newline:
                self._torn.discard(stream)
        if data and not self._append(stream, data):
            self._drop(stream, data)

    def _room(self, size: int) -> bool:
        """Return whether the disk has room above the reserve, after deleting older segments if needed."""
        wanted = self._floor + size
        if self._dropped:
            wanted += self._floor // 4  # where it is about full, rather one long gap than many
        while True:
            disk = os.fstatvfs(self._file)
            if disk.f_bavail * disk.f_frsize >= wanted:
                return True
            older = min(segments(self._directory), default=self._number)
            if older == self._number:
                return False
            try:
                (self._directory / _name(older)).unlink()
            except OSError:
                return False

    def _drop(self, stream: int, data: bytes) -> None:
        self._dropped += data.count(b"\n") + (not data.endswith(b"\n")) - (stream in self._torn)
        if data.endswith(b"\n"):
            self._torn.discard(stream)
        else:
            self._torn.add(stream)

    def _tell(self) -> bool:
        """Write a line with the number of missing lines."""
        for stream in sorted(self._unfinished):
            if not self._append(stream, b"\n"):
                return False
        lines = f"{self._dropped} line{'' if self._dropped == 1 else 's'}"
        if not self._append(STDERR, f"relay dropped {lines}: the disk is full\n".encode()):
            return False
        self._dropped = 0
        return True

    def _append(self, stream: int, data: bytes) -> bool:
        moment = max(time.time_ns(), self._after)
        begins = _RUN if self._silent else _REST if stream in self._unfinished else _LINE
        record = _HEAD.pack(stream, begins, len(data), moment) + data + _FOOT.pack(len(data))
        try:
            if self._size and self._size + len(record) > self._segment:
                self._turn()
            rest = memoryview(record)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            return False
        self._silent = False
        self._size += len(record)
        self._after = moment + data.count(b"\n") + 1
        if data.endswith(b"\n"):
            self._unfinished.discard(stream)
        else:
            self._unfinished.add(stream)
        return True

    def _turn(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = os.open(self._directory / _name(self._number + 1), flags, 0o600)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size, self._number = file, 0, self._number + 1
        self._trim()

    def _trim(self) -> None:
        """Delete the oldest segments above the limit. Short runs leave short segments, silent runs none."""
        room = (self._kept - 1) * self._segment
        older = sorted((number for number in segments(self._directory) if number != self._number), reverse=True)
        for newer, number in enumerate(older, 1):
            path = self._directory / _name(number)
            with suppress(OSError):
                size = path.stat().st_size
                room -= size
                if room < 0 or not size or newer >= MOST:
                    path.unlink()

    def close(self) -> None:
        """Close the file after noting dropped lines at its end; room for the note is reserved."""
        if self._dropped:
            self._tell()
        os.close(self._file)


class Reader:
    """Read a log from its beginning or its last lines, and continue from there at each call.

    `follow=False` stops at the current end. Otherwise a command that writes without end would never release its reader.
    """

    def __init__(self, directory: Path, *, tail: int | None = None, since: int = 0, follow: bool = True) -> None:
        self._directory = directory
        self._since = since
        self._file = -1
        self._number = 0
        self._at = 0
        self._begun: dict[int, list[Entry]] = {}  # by stream, its unfinished line of before what is asked for
        self._torn: set[int] = set()  # streams whose first line that was found lacks its beginning
        self._first = [] if tail is None else self._from_end(tail)
        self._limit = _ENDLESS if follow else _end(directory) if tail is None else (self._number, self._at)

    def entries(self) -> Iterator[Entry]:
        """Yield the entries that were not returned yet, oldest first."""
        ready, self._first = self._first, []
        yield from ready
        while True:
            newer = max(segments(self._directory), default=0) > self._number  # asked before this one is read to its end
            before = self._at
            if self._file >= 0:
                yield from self._next_entries()
            if self._at == before:
                if not newer or self._number >= self._limit[0]:
                    return
                self._open_next()

    def _next_entries(self) -> Iterator[Entry]:
        """Return the complete records of the next block. A partly written record, or a cut one, is left."""
        last, size = self._limit
        block = _BLOCK if self._number < last else max(0, min(_BLOCK, size - self._at))
        data = os.pread(self._file, block, self._at)
        at = 0
        while len(data) - at >= _HEAD.size:
            head = _HEAD.unpack_from(data, at)
            end = at + _FRAME + head[2]
            if end > len(data):
                break
            self._at += end - at
            entry = _entry(head, data[at + _HEAD.size : end - _FOOT.size])
            if entry.time >= self._since or entry.last >= self._since:
                yield from self._begun.pop(entry.stream, ())
                yield entry
            else:
                self._leave_out(entry)
            at = end

    def _leave_out(self, entry: Entry) -> None:
        """Skip an entry that is too old. Its line may end in a later entry."""
        rest = entry.rest()
        if rest is None or rest.begins:
            self._begun.pop(entry.stream, None)
        if rest is not None:
            self._begun.setdefault(entry.stream, []).append(rest)

    def _open_next(self) -> None:
        """Open the next segment. Segments that were deleted meanwhile are skipped."""
        for number in sorted(n for n in segments(self._directory) if self._number < n <= self._limit[0]):
            self._number = number
            try:
                file = os.open(self._directory / _name(number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            self.close()
            self._file, self._at = file, 0
            return
        if self._limit != _ENDLESS:  # all of them were deleted meanwhile
            self._number = self._limit[0]

    def _from_end(self, lines: int) -> list[Entry]:
        """Return the last `lines` lines and move to the end. Only the needed earlier segments are read."""
        found: list[Entry] = []
        numbers = sorted(segments(self._directory), reverse=True)
        wanted = lines
        for number in numbers:
            try:
                content = (self._directory / _name(number)).read_bytes()
            except FileNotFoundError:
                break
            whole = _whole(content)
            if not self._number:
                self._number = number
                self._file = os.open(self._directory / _name(number), os.O_RDONLY | os.O_CLOEXEC)
                self._at = whole
            wanted = self._collect(content[:whole], wanted, found)
            if wanted <= 0 and not self._torn:
                break
        found.reverse()
        return found

    def _collect(self, content: bytes, wanted: int, found: list[Entry]) -> int:
        """Append the records with the last `wanted` lines to `found`, last first; return how many lines are missing."""
        at = len(content)
        while at > 0 and (wanted > 0 or self._torn):
            (length,) = _FOOT.unpack_from(content, at - _FOOT.size)
            begin = at - _FRAME - length
            entry = _entry(_HEAD.unpack_from(content, begin), content[begin + _HEAD.size : at - _FOOT.size])
            if entry.last < self._since:
                wanted = 0
            if wanted > 0:
                wanted = self._take(entry, wanted, found)
            elif entry.stream in self._torn and (rest := entry.rest()) is not None:
                self._find(rest, found)
            at = begin
        return wanted

    def _take(self, entry: Entry, wanted: int, found: list[Entry]) -> int:
        """Append the end of a record with the last lines to `found`; return how many lines are missing."""
        data, ends = entry.data, entry.data.endswith(b"\n") and not found
        breaks = data.count(b"\n") - ends
        if breaks >= wanted:
            cut = len(data) - ends
            for _ in range(wanted):
                cut = data.rindex(b"\n", 0, cut)
            entry = Entry(entry.stream, entry.time + data.count(b"\n", 0, cut + 1), data[cut + 1 :], begins=True)
        if entry.data:
            self._find(entry, found)
        return wanted - breaks

    def _find(self, entry: Entry, found: list[Entry]) -> None:
        found.append(entry)
        (self._torn.add if entry.begins is False else self._torn.discard)(entry.stream)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _whole(content: bytes) -> int:
    """Return the length of the complete records. The last record may be partly written, or cut by a kill."""
    at = 0
    while len(content) - at >= _HEAD.size:
        end = at + _FRAME + _HEAD.unpack_from(content, at)[2]
        if end > len(content):
            break
        at = end
    return at


def _end(directory: Path) -> tuple[int, int]:
    """Return the newest segment and its current length."""
    number = max(segments(directory), default=0)
    try:
        return number, (directory / _name(number)).stat().st_size
    except FileNotFoundError:
        return number, 0


def segments(directory: Path) -> list[int]:
    """Return the numbers of the existing segments."""
    try:
        return [int(path.name) for path in directory.iterdir() if path.name.isdigit()]
    except FileNotFoundError:
        return []


def _name(number: int) -> str:
    return f"{number:08}"
