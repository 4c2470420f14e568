"""A row of a log as it stands on the screen: what is told about its line at the left, its time, its text."""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from rich.cells import cell_len, get_character_cell_size
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from relay_tui.domain.log_batch import NOTICE, STDERR
from relay_tui.text.ansi import PLAIN, TRUE_COLOUR, TextStyle, styled_runs
from relay_tui.text.sanitize import clean_block, to_ascii
from relay_tui.ui.log.model.buffer import LogLine
from relay_tui.ui.log.model.pattern import Pattern

GUTTER = 1


_MOST_FOUND = 200  # places in a line that stand out


class RowStyles(NamedTuple):
    """The styles of a log's rows, and what else is done to all that goes to this terminal."""

    plain: Style
    stderr: Style
    notice: Style
    placeholder: Style
    new: Style
    cut: Style
    time: Style
    found: Style
    current: Style
    filters: tuple[LineFilter, ...]
    background: Color

    def filtered(self, strip: Strip) -> Strip:
        """The strip as the terminal can show it."""
        for one in self.filters:
            strip = strip.apply_filter(one, self.background)
        return strip


class RowOptions(NamedTuple):
    """How all rows are drawn: rows drawn for one look do for any equal one."""

    width: int
    wrap: bool
    times: bool
    left: int
    """Columns that are out of sight at the left."""
    ascii: bool
    sought: Pattern | None

    @property
    def room(self) -> int:
        """The columns there are for a line's text; one on a screen that has none."""
        return max(1, self.width - self._before)

    @property
    def taken(self) -> int:
        """The columns that a row takes, more than there are on such a screen."""
        return self.room + self._before

    @property
    def _before(self) -> int:
        return GUTTER + (TIME_CELLS if self.times else 0)


class PreparedLine:
    """One line, looked at as closely as it needs: most have neither a colour nor what is sought."""

    __slots__ = ("line", "strip", "width")

    def __init__(self, line: LogLine, look: RowOptions, found: Style) -> None:
        self.line = line
        self.strip: Strip | None = None
        raw = line.raw
        sought = look.sought if line.stream != NOTICE else None
        if raw.isascii() and raw.isprintable() and (sought is None or not sought.spans(raw, 1)):
            self.width = len(raw)
            return
        self.strip = line_strip(raw, ascii=look.ascii)
        if sought is not None:
            self.strip = highlight_matches(self.strip, sought.spans(self.strip.text, _MOST_FOUND, line.name), found)
        self.width = self.strip.cell_length

    def height(self, look: RowOptions) -> int:
        """How many rows it takes."""
        room = look.room
        if not look.wrap or self.width <= room or room < 2:
            return 1
        return -(-self.width // room) if self.strip is None else len(wrap_strip(self.strip, room))

    def found(self, sought: Pattern) -> tuple[int, int]:
        """The cells where what is sought begins and ends first; the line's end where it goes on in its next piece."""
        text = self.line.raw if self.strip is None else self.strip.text
        spans = sought.spans(text, 1, self.line.name)
        if not spans:
            return max(0, self.width - 1), self.width
        begin, end = spans[0]
        return cell_len(text[:begin]), cell_len(text[:end])

    def row(self, cell: int, look: RowOptions) -> int:
        """Which of its rows a cell is in."""
        if self.height(look) == 1:
            return 0
        if self.strip is None:
            return cell // look.room
        ends = list(accumulate(row.cell_length for row in wrap_strip(self.strip, look.room)))
        return min(bisect_right(ends, cell), len(ends) - 1)


def render_row(drawn: PreparedLine, row: int, look: RowOptions, paint: RowStyles, *, current: bool) -> Strip:
    """A row of a line, exactly as wide as the look says. `current`: one stands on the line, which was sought."""
    line = drawn.line
    style = paint.notice if line.stream == NOTICE else paint.plain
    head = [_gutter(line, row, look, paint, current=current)]
    if look.times:
        head.append(Segment(time_text(line.time) if row == 0 else " " * TIME_CELLS, paint.time))
    text = _simple(drawn, row, look, paint, style) if drawn.strip is None else _coloured(drawn, row, look, paint, style)
    strip = Strip([*head, *text], look.taken)
    return paint.filtered(strip if look.taken == look.width else strip.crop(0, look.width))


def _simple(drawn: PreparedLine, row: int, look: RowOptions, paint: RowStyles, style: Style) -> list[Segment]:
    """Text where every character is a cell."""
    raw, room = drawn.line.raw, look.room
    at = row * room if look.wrap else look.left
    if look.wrap or drawn.width <= at + room or room < 2:
        return [Segment(raw[at : at + room].ljust(room), style)]
    return [Segment(raw[at : at + room - 1].ljust(room - 1), style), _cut_mark(look, paint)]


def _coloured(drawn: PreparedLine, row: int, look: RowOptions, paint: RowStyles, style: Style) -> list[Segment]:
    assert drawn.strip is not None
    strip, room = drawn.strip, look.room
    if look.wrap:
        return list(wrap_strip(strip, room)[row].crop_extend(0, room, None).apply_style(style))
    if drawn.width <= look.left + room or room < 2:
        return list(strip.crop_extend(look.left, look.left + room, None).apply_style(style))
    shown = strip.crop_extend(look.left, look.left + room - 1, None).apply_style(style)
    return [*shown, _cut_mark(look, paint)]


def _cut_mark(look: RowOptions, paint: RowStyles) -> Segment:
    return Segment(">" if look.ascii else "…", paint.cut)


def _gutter(line: LogLine, row: int, look: RowOptions, paint: RowStyles, *, current: bool) -> Segment:
    """What is told about a line at its left: that it was found, went to stderr, or carries on the one before."""
    if current:
        return Segment(">" if look.ascii else "▶", paint.current)
    if line.stream == STDERR:
        return Segment("!" if look.ascii else "▎", paint.stderr)
    if line.continued and row == 0:
        return Segment("+" if look.ascii else "…", paint.cut)
    return Segment(" ", paint.plain)


def with_unseen(row: Strip, count: int, look: RowOptions, paint: RowStyles) -> Strip:
    """The row with the number of lines that came below it."""
    text = f" +{count:,} new "[: look.width]
    mark = paint.filtered(Strip([Segment(text, paint.new)], len(text)))
    return Strip([*row.crop(0, look.width - len(text)), *mark], look.width)


def placeholder_rows(words: str, height: int, look: RowOptions, paint: RowStyles) -> list[Strip]:
    """The words in the middle of as many rows."""
    paragraphs = clean_block(words).split("\n")
    lines = [line for text in paragraphs for line in textwrap.wrap(text, max(1, look.width - 2)) or [""]]
    blank = blank_row(look, paint)
    above = max(0, (height - len(lines)) // 2)
    rows = [blank] * above
    for text in lines[: height - above]:
        strip = Strip([Segment(to_ascii(text) if look.ascii else text, paint.placeholder)])
        centred = strip.text_align(look.width, "center").crop_extend(0, look.width, paint.placeholder)
        rows.append(paint.filtered(centred.apply_style(paint.plain)))
    return [*rows, *[blank] * (height - len(rows))]


def blank_row(look: RowOptions, paint: RowStyles) -> Strip:
    """A row without anything."""
    return paint.filtered(Strip([Segment(" " * look.width, paint.plain)], look.width))


_MOST_RUNS = 500  # a line with more changes of style goes on in plain text: hostile ones would fill the cache


TIME_CELLS = 19


def line_strip(raw: str, *, ascii: bool) -> Strip:  # noqa: A002
    """A line drawn whole, in its own colours alone."""
    runs = styled_runs(raw)
    if len(runs) > _MOST_RUNS:
        runs[_MOST_RUNS:] = [("".join(text for text, _ in runs[_MOST_RUNS:]), PLAIN)]
    convert = to_ascii if ascii else str
    return Strip([Segment(convert(text), rich_style(style)) for text, style in runs])


def highlight_matches(strip: Strip, spans: Sequence[tuple[int, int]], style: Style) -> Strip:
    """The strip with these characters in that style."""
    text = strip.text
    cuts: list[int] = []
    for begin, stop in spans:
        start, end = cell_len(text[:begin]), cell_len(text[:stop])
        if cuts and cuts[-1] == start:
            cuts[-1] = end
        else:
            cuts += [start, end]
    if not cuts:
        return strip
    pieces = strip.divide(cuts if cuts[-1] == strip.cell_length else [*cuts, strip.cell_length])
    return Strip.join(
        [Strip(Segment.apply_style(piece, post_style=style)) if at % 2 else piece for at, piece in enumerate(pieces)]
    )


def wrap_strip(strip: Strip, width: int) -> list[Strip]:
    """The strip in rows of at most `width` cells, cut between characters."""
    if strip.cell_length <= width or width < 2:
        return [strip]
    return list(strip.divide(_cuts(strip.text, strip.cell_length, width)))


def _cuts(text: str, cells: int, width: int) -> list[int]:
    if cells == len(text):
        return [*range(width, cells, width), cells]
    cuts, at, start = [], 0, 0
    for character in text:
        size = get_character_cell_size(character)
        if at + size - start > width:
            cuts.append(at)
            start = at
        at += size
    return [*cuts, cells]


def time_text(time: bytes) -> str:
    """When a line was written, on this machine's clock, TIME_CELLS wide."""
    return _time_text(time).ljust(TIME_CELLS)


@lru_cache(maxsize=4096)
def _time_text(time: bytes) -> str:
    try:
        moment = datetime.fromisoformat(time.decode()).astimezone()
    except ValueError:
        return ""
    return f"{moment:%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"


@lru_cache(maxsize=4096)
def rich_style(style: TextStyle) -> Style | None:
    """A log's style in rich's terms; nothing for plain text."""
    if style == PLAIN:
        return None
    return Style(
        color=_colour(style.foreground),
        bgcolor=_colour(style.background),
        bold=style.bold or None,
        dim=style.dim or None,
        italic=style.italic or None,
        underline=style.underline or None,
        reverse=style.reverse or None,
        strike=style.strike or None,
    )


def _colour(number: int | None) -> RichColor | None:
    if number is None:
        return None
    if number & TRUE_COLOUR:
        return RichColor.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255)
    return RichColor.from_ansi(number)
