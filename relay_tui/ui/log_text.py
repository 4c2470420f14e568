"""A log's lines as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from relay_tui.text import log_plain
from relay_tui.ui.log_buffer import LogBuffer
from relay_tui.ui.log_match import Pattern


def plain_lines(buffer: LogBuffer, wanted: Pattern | None, *, times: bool) -> Iterator[str]:
    """Every line that is wanted, with its time if asked for, and a newline; what was too long is whole again.

    The lines are those of the moment of the call; they may be taken in another thread.
    """
    return _lines(buffer.copy(), wanted, times)


def _lines(buffer: LogBuffer, wanted: Pattern | None, times: bool) -> Iterator[str]:
    last: int | None = None
    for number, line in chain(buffer.lines(buffer.first, buffer.end), enumerate(buffer.begun, buffer.end)):
        if wanted is not None and not wanted.accepts(line.raw):
            continue
        carries_on = line.continued and last == number - 1
        if last is not None and not carries_on:
            yield "\n"
        time = f"{line.time.decode(errors='replace')} " if times and line.time and not carries_on else ""
        yield time + log_plain(line.raw)
        last = number
    if last is not None:
        yield "\n"
