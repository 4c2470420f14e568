"""A unified diff as lines with their numbers, files and hunks. Knows no widget; 100,000 lines take a tenth of a second.

What is in it was written by a session: a hunk ends where its header says, not where a line looks like another header.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

MOST = 16_384
"""The most bytes of one line that are looked at."""


class LineKind(IntEnum):
    """Kind of a line in a diff."""

    FILE = 0
    """The beginning of a file; `raw` is its path."""
    META = 1
    """Something about the file, in words."""
    HUNK = 2
    """The beginning of a hunk; `raw` is what git found to name it by."""
    SAME = 3
    ADDED = 4
    DELETED = 5


class DiffLine(NamedTuple):
    """One line. Numbers are those in the old and the new file, 0 where it is in neither; `raw` is without its sign."""

    kind: LineKind
    old: int
    new: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Diff:
    """Lines, and where files and hunks begin among them."""

    lines: Sequence[DiffLine] = ()
    files: Sequence[int] = ()
    hunks: Sequence[int] = ()
    paths: Sequence[str] = ()
    """The files' paths, in the order of `files`."""
    widest: int = 0
    """An upper bound of a line's length, in bytes."""

    def file_at(self, number: int) -> int:
        """Return the index of the line's file; -1 before the first file."""
        return bisect_right(self.files, number) - 1

    def hunk_at(self, number: int) -> int:
        """Return the index of the line's hunk, or of the previous one between two hunks; -1 before the first."""
        return bisect_right(self.hunks, number) - 1

    def hunk_lines(self, hunk: int) -> range:
        """The numbers of a hunk's lines, its header first."""
        start = self.hunks[hunk]
        end = self.hunks[hunk + 1] if hunk + 1 < len(self.hunks) else len(self.lines)
        after = bisect_right(self.files, start)
        if after < len(self.files):
            end = min(end, self.files[after])
        return range(start, end)

    def hunk_text(self, hunk: int) -> str:
        """A hunk as a patch has it, to be copied."""
        signs = {LineKind.SAME: b" ", LineKind.ADDED: b"+", LineKind.DELETED: b"-"}
        lines = [self.lines[number] for number in self.hunk_lines(hunk)]
        body = [signs[line.kind] + line.raw for line in lines if line.kind in signs]
        old = [line.old for line in lines[1:] if line.old]
        new = [line.new for line in lines[1:] if line.new]
        head = f"@@ -{old[0] if old else 0},{len(old)} +{new[0] if new else 0},{len(new)} @@".encode()
        name = b" " + lines[0].raw if lines[0].raw else b""
        return b"\n".join([head + name, *body, b""]).decode("utf-8", "replace")


_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)", re.DOTALL)
_HEADER = re.compile(rb'diff --git (?:a/(?P<same>.*) b/(?P=same)|.* b/(?P<other>.*)|.* (?P<quoted>"b/.*"))', re.DOTALL)
_SIMILAR = re.compile(rb"similarity index (\d{1,3})%")


def parse_diff(text: bytes) -> Diff:
    """The lines of what git wrote. Whatever it cannot make out is kept as words about the file."""
    return _Parser().run(text)


class _Parser:
    """Goes through a diff once, line by line."""

    def __init__(self) -> None:
        self.lines: list[DiffLine] = []
        self.files: list[int] = []
        self.hunks: list[int] = []
        self.paths: list[str] = []
        self._similar = b""
        self._old_mode = b""

    def run(self, text: bytes) -> Diff:
        """All of it."""
        raws = text.split(b"\n")
        if raws and not raws[-1]:
            raws.pop()
        at, widest = 0, 0
        while at < len(raws):
            raw = raws[at]
            at += 1
            found = _HUNK.match(raw) if raw.startswith(b"@@") else None
            if found is None:
                self._header(raw[:MOST])
                continue
            self.hunks.append(len(self.lines))
            self.lines.append(DiffLine(LineKind.HUNK, 0, 0, found[5][:MOST]))
            at, wide = self._body(raws, at, found)
            widest = max(widest, wide)
        return Diff(self.lines, self.files, self.hunks, self.paths, min(widest, MOST))

    def _body(self, raws: Sequence[bytes], at: int, found: re.Match[bytes]) -> tuple[int, int]:
        """The lines of one hunk, as many as its header says; answers where it ends and its widest line."""
        old, new = int(found[1]), int(found[3])
        olds = int(found[2]) if found[2] else 1
        news = int(found[4]) if found[4] else 1
        append = self.lines.append
        widest = 0
        same, added, deleted = LineKind.SAME, LineKind.ADDED, LineKind.DELETED
        while at < len(raws) and (olds > 0 or news > 0 or raws[at].startswith(b"\\")):
            raw = raws[at]
            sign, body = raw[:1], raw[1 : MOST + 1]
            widest = max(widest, len(raw))
            if sign == b"+":
                append(DiffLine(added, 0, new, body))
                new, news = new + 1, news - 1
            elif sign == b"-":
                append(DiffLine(deleted, old, 0, body))
                old, olds = old + 1, olds - 1
            elif sign in (b" ", b""):
                append(DiffLine(same, old, new, body))
                old, new, olds, news = old + 1, new + 1, olds - 1, news - 1
            elif sign == b"\\":
                append(DiffLine(LineKind.META, 0, 0, body.strip()))
            else:
                break  # it was cut, or is no diff: what follows is no longer of this hunk
            at += 1
        return at, widest

    def _header(self, raw: bytes) -> None:
        """A line between hunks: what git says about a file, put into words."""
        if raw.startswith(b"diff --"):
            self._begin(raw)
        elif raw.startswith((b"rename to ", b"copy to ")) or (raw.startswith(b"+++ ") and not raw.startswith(b"+++ /")):
            self._name(raw.split(b" ", 2)[-1] if raw[:1] != b"+" else raw[4:])
        elif raw.startswith(b"--- a/") and self.paths and not self.paths[-1]:
            self._name(raw[4:])
        elif raw.startswith(b"similarity index "):
            found = _SIMILAR.match(raw)
            self._similar = found[1] if found else b""
        elif raw.startswith(b"old mode "):
            self._old_mode = raw[9:]
        elif not raw.startswith((b"index ", b"--- ", b"+++ ", b"dissimilarity index ")):
            self.lines.append(DiffLine(LineKind.META, 0, 0, self._words(raw)))

    def _begin(self, raw: bytes) -> None:
        found = _HEADER.fullmatch(raw)
        name = (found["same"] or found["other"] or found["quoted"] or b"") if found else b""
        self.files.append(len(self.lines))
        self.paths.append("")
        self.lines.append(DiffLine(LineKind.FILE, 0, 0, b""))
        if name:
            self._name(name)

    def _name(self, raw: bytes) -> None:
        """Set the path of the current file."""
        path = unquote_path(raw.rstrip(b"\t"))
        if raw[:2] in (b"b/", b"a/") or raw[:3] in (b'"b/', b'"a/'):
            path = path[2:]
        if self.files:
            self.paths[-1] = os.fsdecode(path)
            self.lines[self.files[-1]] = DiffLine(LineKind.FILE, 0, 0, path)

    def _words(self, raw: bytes) -> bytes:
        if raw.startswith(b"rename from "):
            similar = b" (" + self._similar + b"% the same)" if self._similar else b""
            return b"renamed from " + unquote_path(raw[12:]) + similar
        if raw.startswith(b"copy from "):
            return b"copied from " + unquote_path(raw[10:])
        if raw.startswith(b"new mode "):
            return b"mode " + self._old_mode + b" is now " + raw[9:]
        if raw.startswith(b"new file mode "):
            return b"new file" + _MODES.get(raw[14:], b"")
        if raw.startswith(b"deleted file mode "):
            return b"deleted" + _MODES.get(raw[18:], b"")
        if raw.startswith((b"Binary files ", b"GIT binary patch")):
            return b"binary: there are no lines to show"
        return raw


_MODES = {b"100755": b", executable", b"120000": b", a symlink", b"160000": b", a submodule"}
_ESCAPED = re.compile(rb'\\([abtnvfr"\\]|[0-7]{3})')
_LETTERS = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))


def unquote_path(path: bytes) -> bytes:
    """A path as it is on disk: git writes unusual ones in double quotes, with C's escapes."""
    if not (len(path) > 1 and path[:1] == b'"' == path[-1:]):
        return path

    def letter(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([_LETTERS[code[0]] if len(code) == 1 else int(code, 8) & 255])

    return _ESCAPED.sub(letter, path[1:-1])
