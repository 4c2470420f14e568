"""Rendering of log lines: gutter, time and text of each row."""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from rich.cells import cell_len, get_character_cell_size
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from relay_tui.domain.log_batch import NOTICE, STDERR
from relay_tui.text.ansi import PLAIN, TRUE_COLOUR, TextStyle, styled_runs
from relay_tui.text.sanitize import clean_block, to_ascii
from relay_tui.ui.log.model.buffer import LogBuffer, LogLine
from relay_tui.ui.log.model.pattern import Pattern

GUTTER = 1
"""Cells left of the time and the text."""
TIME_CELLS = 19
"""Cells of a time, a space behind it included."""

_MAX_HIGHLIGHTS = 200  # matches highlighted in one line
_MAX_RUNS = 500  # style changes in one line; the rest is plain: a hostile line would fill the cache
_CACHED = 512  # prepared lines and rendered rows


class RowStyles(NamedTuple):
    """Styles of a log's rows, and the filters that Textual applies to all output for this terminal."""

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
        """Return the strip with all filters applied."""
        for one in self.filters:
            strip = strip.apply_filter(one, self.background)
        return strip


_PLAIN = Style.null()
_UNSTYLED = RowStyles(
    plain=_PLAIN,
    stderr=_PLAIN,
    notice=_PLAIN,
    placeholder=_PLAIN,
    new=_PLAIN,
    cut=_PLAIN,
    time=_PLAIN,
    found=_PLAIN,
    current=_PLAIN,
    filters=(),
    background=Color(0, 0, 0),
)


class RowOptions(NamedTuple):
    """Everything but styles that changes how a row is rendered. Rows with equal options are interchangeable."""

    width: int
    wrap: bool
    times: bool
    left: int
    """Columns hidden at the left."""
    ascii: bool
    pattern: Pattern | None
    """The search pattern, whose matches are highlighted."""

    @property
    def room(self) -> int:
        """The columns for a line's text; 1 on a screen that is too narrow for any."""
        return max(1, self.width - self._before)

    @property
    def taken(self) -> int:
        """The columns that a row takes; more than `width` on a screen that is too narrow."""
        return self.room + self._before

    @property
    def _before(self) -> int:
        return GUTTER + (TIME_CELLS if self.times else 0)


class PreparedLine:
    """One line, prepared for rendering. Most lines have neither colours nor matches and need no strip."""

    __slots__ = ("line", "strip", "width")

    def __init__(self, line: LogLine, options: RowOptions, found: Style) -> None:
        self.line = line
        self.strip: Strip | None = None
        raw = line.raw
        pattern = options.pattern if line.stream != NOTICE else None
        if raw.isascii() and raw.isprintable() and (pattern is None or not pattern.spans(raw, 1)):
            self.width = len(raw)
            return
        self.strip = line_strip(raw, ascii=options.ascii)
        if pattern is not None:
            spans = pattern.spans(self.strip.text, _MAX_HIGHLIGHTS, line.name)
            self.strip = highlight_matches(self.strip, spans, found)
        self.width = self.strip.cell_length

    def height(self, options: RowOptions) -> int:
        """Return the number of rows the line takes."""
        room = options.room
        if not options.wrap or self.width <= room or room < 2:
            return 1
        return -(-self.width // room) if self.strip is None else len(wrap_strip(self.strip, room))

    def first_match(self, pattern: Pattern) -> tuple[int, int]:
        """Return the cells where the first match begins and ends; the line's end if it continues in the next piece."""
        text = self.line.raw if self.strip is None else self.strip.text
        spans = pattern.spans(text, 1, self.line.name)
        if not spans:
            return max(0, self.width - 1), self.width
        begin, end = spans[0]
        return cell_len(text[:begin]), cell_len(text[:end])

    def row_of(self, cell: int, options: RowOptions) -> int:
        """Return the row, from 0, that contains a cell of the line."""
        if self.height(options) == 1:
            return 0
        if self.strip is None:
            return cell // options.room
        ends = list(accumulate(row.cell_length for row in wrap_strip(self.strip, options.room)))
        return min(bisect_right(ends, cell), len(ends) - 1)


class LineRenderer:
    """Renders the rows of a buffer's lines with the present options and styles. Caches lines and rows."""

    def __init__(self, buffer: LogBuffer, *, ascii: bool = False) -> None:  # noqa: A002
        self.options = RowOptions(0, wrap=False, times=False, left=0, ascii=ascii, pattern=None)
        self.styles = _UNSTYLED
        self._buffer = buffer
        self._widest = 0  # cells of the widest line that was prepared
        self._lines: LRUCache[int, PreparedLine] = LRUCache(_CACHED)
        self._rows: LRUCache[tuple[int, int, bool], Strip] = LRUCache(_CACHED)

    # --- options ---

    def set_options(self, *, width: int, wrap: bool, times: bool, left: int, pattern: Pattern | None) -> bool:
        """Render with other options from now on. Return whether any option changed."""
        before = self.options
        options = RowOptions(width, wrap, times, left, before.ascii, pattern)
        if options == before:
            return False
        self.options = options
        if pattern != before.pattern:
            self._lines.clear()
        self._rows.clear()
        return True

    def set_styles(self, styles: RowStyles) -> None:
        """Render with other styles from now on."""
        if styles != self.styles:
            self.styles = styles
            self._lines.clear()
            self._rows.clear()

    def clear(self) -> None:
        """Forget the lines: the buffer was cleared."""
        self._lines.clear()
        self._widest = 0

    @property
    def most_left(self) -> int:
        """The most columns that may be hidden at the left: the widest prepared line ends at the right edge."""
        options = self.options
        return 0 if options.wrap else max(0, self._widest - options.room)

    # --- lines ---

    def line(self, number: int) -> PreparedLine:
        """Return the line with an absolute number, prepared."""
        line = self._lines.get(number)
        if line is None:
            line = self._lines[number] = self.prepare(self._buffer.line(number))
            self._widest = max(self._widest, line.width)
        return line

    def prepare(self, line: LogLine) -> PreparedLine:
        """Return a line that is not in the buffer, prepared."""
        return PreparedLine(line, self.options, self.styles.found)

    def height(self, number: int) -> int:
        """Return the number of rows of the line with an absolute number."""
        options = self.options
        return self.line(number).height(options) if options.wrap else 1

    def total_height(self, lines: Iterable[LogLine]) -> int:
        """Return the number of rows of lines that are not in the buffer."""
        return sum(self.prepare(line).height(self.options) for line in lines)

    # --- rows ---

    def row(self, number: int, row: int, current: bool) -> Strip:
        """Return a row of the line with an absolute number. `current`: the line is the selected match."""
        key = number, row, current
        strip = self._rows.get(key)
        if strip is None:
            strip = self._rows[key] = self.render(self.line(number), row, current=current)
        return strip

    def partial_rows(self, lines: Iterable[LogLine]) -> list[Strip]:
        """Return all rows of lines that are not in the buffer."""
        prepared = map(self.prepare, lines)
        return [self.render(line, row) for line in prepared for row in range(line.height(self.options))]

    def render(self, prepared: PreparedLine, row: int, *, current: bool = False) -> Strip:
        """Return a row of a line, exactly as wide as the options say."""
        options, styles, line = self.options, self.styles, prepared.line
        style = styles.notice if line.stream == NOTICE else styles.plain
        segments = [self._gutter(line, row, current=current)]
        if options.times:
            segments.append(Segment(time_text(line.time) if row == 0 else " " * TIME_CELLS, styles.time))
        if prepared.strip is None:
            segments += self._plain_text(prepared, row, style)
        else:
            segments += self._styled_text(prepared.strip, prepared.width, row, style)
        taken = options.taken
        strip = Strip(segments, taken)
        return styles.filtered(strip if taken == options.width else strip.crop(0, options.width))

    def _plain_text(self, prepared: PreparedLine, row: int, style: Style) -> list[Segment]:
        """Return a row of text in which every character is one cell."""
        options = self.options
        raw, room = prepared.line.raw, options.room
        at = row * room if options.wrap else options.left
        if options.wrap or prepared.width <= at + room or room < 2:
            return [Segment(raw[at : at + room].ljust(room), style)]
        return [Segment(raw[at : at + room - 1].ljust(room - 1), style), self._cut_mark()]

    def _styled_text(self, strip: Strip, width: int, row: int, style: Style) -> list[Segment]:
        options = self.options
        room, left = options.room, options.left
        if options.wrap:
            return list(wrap_strip(strip, room)[row].crop_extend(0, room, None).apply_style(style))
        if width <= left + room or room < 2:
            return list(strip.crop_extend(left, left + room, None).apply_style(style))
        shown = strip.crop_extend(left, left + room - 1, None).apply_style(style)
        return [*shown, self._cut_mark()]

    def _cut_mark(self) -> Segment:
        return Segment(">" if self.options.ascii else "…", self.styles.cut)

    def _gutter(self, line: LogLine, row: int, *, current: bool) -> Segment:
        """Return the mark left of a line: the selected match, stderr, or a continuation of the line before."""
        ascii_only, styles = self.options.ascii, self.styles
        if current:
            return Segment(">" if ascii_only else "▶", styles.current)
        if line.stream == STDERR:
            return Segment("!" if ascii_only else "▎", styles.stderr)
        if line.continued and row == 0:
            return Segment("+" if ascii_only else "…", styles.cut)
        return Segment(" ", styles.plain)

    def with_new_lines(self, row: Strip, count: int) -> Strip:
        """Return the row with the number of new lines below it at its right end."""
        width = self.options.width
        text = f" +{count:,} new "[:width]
        mark = self.styles.filtered(Strip([Segment(text, self.styles.new)], len(text)))
        return Strip([*row.crop(0, width - len(text)), *mark], width)

    def placeholder(self, text: str, height: int) -> list[Strip]:
        """Return `height` rows with the text in the middle."""
        options, styles = self.options, self.styles
        paragraphs = clean_block(text).split("\n")
        lines = [line for part in paragraphs for line in textwrap.wrap(part, max(1, options.width - 2)) or [""]]
        blank = self.blank_row()
        above = max(0, (height - len(lines)) // 2)
        rows = [blank] * above
        for line in lines[: height - above]:
            strip = Strip([Segment(to_ascii(line) if options.ascii else line, styles.placeholder)])
            centred = strip.text_align(options.width, "center").crop_extend(0, options.width, styles.placeholder)
            rows.append(styles.filtered(centred.apply_style(styles.plain)))
        return [*rows, *[blank] * (height - len(rows))]

    def blank_row(self) -> Strip:
        """Return an empty row."""
        width = self.options.width
        return self.styles.filtered(Strip([Segment(" " * width, self.styles.plain)], width))


def line_strip(raw: str, *, ascii: bool) -> Strip:  # noqa: A002
    """Return the whole line in the colours of its own escape sequences."""
    runs = styled_runs(raw)
    if len(runs) > _MAX_RUNS:
        runs[_MAX_RUNS:] = [("".join(text for text, _ in runs[_MAX_RUNS:]), PLAIN)]
    convert = to_ascii if ascii else str
    return Strip([Segment(convert(text), rich_style(style)) for text, style in runs])


def highlight_matches(strip: Strip, spans: Sequence[tuple[int, int]], style: Style) -> Strip:
    """Return the strip with these ranges of characters in a style."""
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
    """Return the strip cut between characters into rows of at most `width` cells."""
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
    """Return a line's time in this machine's time zone, TIME_CELLS wide."""
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
    """Return the style as a rich style; None for plain text."""
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
