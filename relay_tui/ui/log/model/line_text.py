"""Plain text of a log's lines. The pieces of a line are joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from relay_tui.text.ansi import file_text, plain_text
from relay_tui.ui.log.model.buffer import LogBuffer, LogLine
from relay_tui.ui.log.model.pattern import Pattern

if TYPE_CHECKING:
    from relay_tui.ui.log.model.buffer import LogBuffer, LogLine
    from relay_tui.ui.log.model.pattern import Pattern


def plain_lines(buffer: LogBuffer, wanted: Pattern | None, *, times: bool) -> Iterator[str]:
    """Return the text of every line that matches `wanted`, with a newline, and with its time if `times`.

    Long lines are complete. The iterator uses a copy of the buffer, so another thread may consume it.
    """
    return _lines(buffer.copy(), wanted, times)


def _lines(buffer: LogBuffer, wanted: Pattern | None, times: bool) -> Iterator[str]:
    in_pieces = buffer.in_pieces
    for number, line in buffer.lines(buffer.first, buffer.end):
        pieces = buffer.logical_line(number, line).pieces if in_pieces else [number]
        if pieces[0] != number:
            continue
        name = name_before(line) if len(pieces) > 1 else line.name
        if wanted is not None and not wanted.accepts_text(_matched_text(buffer, pieces, line), name):
            continue
        yield f"{line.time.decode(errors='replace')} " if times and line.time else ""
        yield file_text(line.raw)
        for piece in pieces[1:]:
            yield file_text(bare(buffer.line(piece)))
        yield "\n"


def _matched_text(buffer: LogBuffer, pieces: list[int], line: LogLine) -> str:
    return plain_text(line.raw) if len(pieces) == 1 else "".join(pieces_text(map(buffer.line, pieces)))


def join_continuations(buffer: LogBuffer, numbers: Iterable[int], partial: Sequence[LogLine]) -> str:
    """Return the complete plain lines of the given pieces, each once, followed by partial lines."""
    texts: dict[int, str] = {}
    for number in numbers:
        whole = buffer.logical_line(number, buffer.line(number))
        if whole.head not in texts:
            texts[whole.head] = _join_pieces([buffer.line(piece) for piece in whole.pieces])
    for at, line in enumerate(partial, buffer.end):
        pieces = buffer.pieces_before(line)
        texts[pieces[0] if pieces else at] = _join_pieces([*map(buffer.line, pieces), line])
    return "\n".join(texts.values())


def _join_pieces(lines: Sequence[LogLine]) -> str:
    return "".join([plain_text(lines[0].raw), *(plain_text(bare(line)) for line in lines[1:])])


MOST = 2 << 20
"""Characters of a line on which patterns are matched. A line may never end."""


def bare(line: LogLine) -> str:
    """Return a piece's text without its log's name, which precedes it in a merged log."""
    return line.raw.removeprefix(line.name) if line.continued else line.raw


def name_before(line: LogLine) -> str:
    """Return the log name before a text that begins with this piece."""
    return "" if line.continued else line.name


def pieces_text(lines: Iterable[LogLine]) -> list[str]:
    """Return the texts of the pieces, as far as patterns are matched."""
    texts: list[str] = []
    size = 0
    for line in lines:
        texts.append(plain_text(bare(line)))
        size += len(texts[-1])
        if size >= MOST:
            break
    return texts
