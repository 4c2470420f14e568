"""The rows of a log as they are drawn, from a bounded buffer, at a reader's place or at the end."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from rich.segment import Segment
from textual.cache import LRUCache
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from relay_tui.services.ports.log import NOTICE, STDERR
from relay_tui.text import ascii_only, clean_block
from relay_tui.ui import log_place
from relay_tui.ui.log_buffer import LogBuffer, LogLine
from relay_tui.ui.log_match import AllLines, Lines, Pattern
from relay_tui.ui.log_place import Place
from relay_tui.ui.log_state import LogState
from relay_tui.ui.log_strip import TIME_CELLS, folded, highlighted, line_strip, time_text

_GUTTER = 1
_STRIPS = 512


class LogCanvas(ScrollView):
    """Draws. Where the reader is, is a line's number and a row of it; only lines near that are ever looked at."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--stderr",
        "log-view--notice",
        "log-view--placeholder",
        "log-view--new",
        "log-view--cut",
        "log-view--time",
        "log-view--found",
        "log-view--current",
    }
    DEFAULT_CSS = """
    LogCanvas {
        overflow-x: hidden;
        scrollbar-size-horizontal: 0;
        overflow-y: auto;
        & > .log-view--stderr { color: $error; }
        & > .log-view--notice { color: $text-muted; text-style: italic; }
        & > .log-view--placeholder { color: $text-muted; }
        & > .log-view--new { color: $button-color-foreground; background: $primary; text-style: bold; }
        & > .log-view--cut { color: $text-muted; }
        & > .log-view--time { color: $text-muted; }
        & > .log-view--found { text-style: reverse; }
        & > .log-view--current { color: $button-color-foreground; background: $primary; text-style: bold; }
    }
    """

    placeholder: reactive[str] = reactive("", layout=False)
    """What stands in the middle while there is no line; may have several lines."""

    def __init__(
        self,
        *,
        placeholder: str = "",
        buffer: LogBuffer | None = None,
        ascii: bool = False,  # noqa: A002
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        self.buffer = LogBuffer() if buffer is None else buffer
        self.state = LogState()
        self._ascii = ascii
        self._lines: Lines = AllLines(self.buffer)
        self._search: Pattern | None = None
        self._current: int | None = None  # the number of the found line one stands on
        self._following = True
        self._top: tuple[int, int] = (0, 0)  # a line's number and a row of it, for whoever does not follow
        self._left = 0
        self._widest = 0
        self._rows: list[Place] | None = None
        self._strips: LRUCache[int, tuple[LogLine, Strip]] = LRUCache(_STRIPS)
        super().__init__(name=name, id=id, classes=classes)
        self.set_reactive(LogCanvas.placeholder, placeholder)

    def watch_placeholder(self) -> None:
        """Draw it, if it is to be seen."""
        if not len(self.buffer):
            self.refresh()

    # --- which rows ---

    def _place(self) -> Place:
        """The topmost row."""
        count, last = len(self._lines), self._last()
        if self._following:
            return last
        number, row = self._top
        index = self._lines.index(number)
        exact = index < count and self._lines.at(index) == number
        return min(Place(index, min(row, self._height(index) - 1) if exact else 0), last)

    def _last(self) -> Place:
        """The topmost row when the end is at the bottom."""
        return log_place.bottom(len(self._lines), self._room, self._height)

    @property
    def _room(self) -> int:
        return self.scrollable_size.height

    def _height(self, index: int) -> int:
        if not self.state.wrap:
            return 1
        return len(folded(self._line_strip(self._lines.at(index))[1], self._text_width))

    @property
    def _text_width(self) -> int:
        return max(1, self.scrollable_size.width - _GUTTER - (TIME_CELLS if self.state.times else 0))

    def _visible(self) -> list[Place]:
        if self._rows is None:
            self._rows = log_place.visible(self._place(), self._room, len(self._lines), self._height)
        return self._rows

    # --- how they look ---

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width, height = self.scrollable_size
        rows = self._visible()
        if not rows and not self.state.filter:
            return self._placeholder_row(y, width, height)
        row = self._row(rows[y], width) if y < len(rows) else Strip.blank(width, self.rich_style)
        return self._with_unseen(row, width) if y == height - 1 and self.state.unseen else row

    def _row(self, place: Place, width: int) -> Strip:
        number = self._lines.at(place.line)
        line, strip = self._line_strip(number)
        room = self._text_width
        if (plain := self._plain_row(line, strip, place, width)) is not None:
            return plain
        style = self.get_component_rich_style("log-view--notice") if line.stream == NOTICE else self.rich_style
        if self.state.wrap:
            shown = folded(strip, room)[place.row].crop_extend(0, room, None).apply_style(style)
        else:
            shown = self._cut(strip, room).apply_style(style)
        head = [self._gutter(line, place, number)]
        if self.state.times:
            words = time_text(line.time) if place.row == 0 else " " * TIME_CELLS
            head.append(Segment(words, self.get_component_rich_style("log-view--time")))
        return Strip([*head, *shown]).crop(0, width)

    def _plain_row(self, line: LogLine, strip: Strip, place: Place, width: int) -> Strip | None:
        """A line without a colour that fits, made in one go: each strip on the way costs more than its text."""
        room, text = width - _GUTTER, strip.text
        if self.state.times or self._left or line.stream == NOTICE or not text.isascii() or len(text) > room:
            return None
        if any(segment.style is not None for segment in strip):
            return None
        gutter = self._gutter(line, place, self._lines.at(place.line))
        return Strip([gutter, Segment(text.ljust(room), self.rich_style)], width)

    def _cut(self, strip: Strip, room: int) -> Strip:
        shown = strip.crop_extend(self._left, self._left + room, None)
        if strip.cell_length <= self._left + room or room < 2:
            return shown
        mark = Segment(">" if self._ascii else "…", self.get_component_rich_style("log-view--cut"))
        return Strip([*shown.crop(0, room - 1), mark], room)

    def _gutter(self, line: LogLine, place: Place, number: int) -> Segment:
        """What is told about a line at its left: that it was found, went to stderr, or carries on the one before."""
        if number == self._current and self._search is not None:
            return Segment(">" if self._ascii else "▶", self.get_component_rich_style("log-view--current"))
        if line.stream == STDERR:
            return Segment("!" if self._ascii else "▎", self.get_component_rich_style("log-view--stderr"))
        if line.continued and place.row == 0:
            return Segment("+" if self._ascii else "…", self.get_component_rich_style("log-view--cut"))
        return Segment(" ", self.rich_style)

    def _line_strip(self, number: int) -> tuple[LogLine, Strip]:
        """A line drawn whole, without the widget's own colours."""
        cached = self._strips.get(number)
        if cached is not None:
            return cached
        line = self.buffer.line(number)
        strip = line_strip(line.raw, ascii=self._ascii)
        if self._search is not None and line.stream != NOTICE:
            strip = highlighted(strip, self._search.regex, self.get_component_rich_style("log-view--found"))
        self._widest = max(self._widest, strip.cell_length)
        self._strips[number] = (line, strip)
        return line, strip

    def _with_unseen(self, row: Strip, width: int) -> Strip:
        text = f" +{self.state.unseen:,} new "[:width]
        mark = Segment(text, self.get_component_rich_style("log-view--new"))
        return Strip([*row.crop(0, width - len(text)), mark], width)

    def _placeholder_row(self, y: int, width: int, height: int) -> Strip:
        style = self.get_component_rich_style("log-view--placeholder")
        paragraphs = clean_block(self.placeholder).split("\n")
        lines = [line for text in paragraphs for line in textwrap.wrap(text, max(1, width - 2)) or [""]]
        index = y - max(0, (height - len(lines)) // 2)
        if not 0 <= index < len(lines):
            return Strip.blank(width, self.rich_style)
        text = ascii_only(lines[index]) if self._ascii else lines[index]
        strip = Strip([Segment(text, style)])
        return strip.text_align(width, "center").crop_extend(0, width, style).apply_style(self.rich_style)
