"""The rows of a log as they are drawn, from a bounded buffer, at a reader's place or at the end."""

from __future__ import annotations

from typing import ClassVar, Self

from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.reactive import reactive, var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from relay_tui.ui.log.model import position
from relay_tui.ui.log.model.buffer import LogBuffer, LogLine
from relay_tui.ui.log.model.line_text import name_before, whole_text
from relay_tui.ui.log.model.matches import AllLines, Lines
from relay_tui.ui.log.model.pattern import Pattern
from relay_tui.ui.log.model.position import RowPosition
from relay_tui.ui.log.renderer import (
    PreparedLine,
    RowOptions,
    RowStyles,
    blank_row,
    placeholder_rows,
    render_row,
    with_unseen,
)
from relay_tui.ui.log.state import LogState

_KEPT = 512  # lines and rows that are kept as they are drawn


class LogCanvas(ScrollView):
    """Draws. Where the reader is, is a line's number and a row of it; only lines near that are ever looked at.

    It hands its rows to the compositor as they are: what widgets get otherwise, borders and padding, it has not, and
    to be asked for them takes three times as long as the rows.
    """

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

    state: var[LogState] = var(LogState())
    """What is told about it around it; whoever watches it hears of a change before that is drawn."""
    placeholder: reactive[str] = reactive("", layout=False, repaint=False)
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
        self._ascii = ascii
        self._lines: Lines = AllLines(self.buffer)
        self._search: Pattern | None = None
        self._filter: Pattern | None = None
        self._current: int | None = None  # the number of the found line one stands on
        self._following = True
        self._top: tuple[int, int] = (0, 0)  # a line's number and a row of it, for whoever does not follow
        self._lingers = False  # whether what is on the screen is of lines that were forgotten
        self._left = 0
        self._widest = 0
        self._rows: tuple[Size, list[RowPosition]] | None = None  # for a size, until something changes
        self._drawn_lines: LRUCache[int, PreparedLine] = LRUCache(_KEPT)
        self._drawn_rows: LRUCache[tuple[int, int, bool], Strip] = LRUCache(_KEPT)
        self._paint_of: RowStyles | None = None
        self._drawn_for: tuple[RowOptions, RowStyles] | None = None
        self._drawn: tuple[Size, list[Strip]] | None = None  # the rows on the screen, until something changes
        super().__init__(name=name, id=id, classes=classes)
        self.set_reactive(LogCanvas.placeholder, placeholder)

    def watch_placeholder(self) -> None:
        """Draw it, if it is to be seen."""
        if not len(self.buffer) and not self.buffer.partial_line and not self._lingers:
            self.refresh()

    # --- which rows ---

    def _place(self) -> RowPosition:
        """The topmost row."""
        count, last = len(self._lines), self._last()
        if self._following:
            return last
        number, row = self._top
        index = self._lines.index(number)
        exact = index < count and self._lines.at(index) == number
        return min(RowPosition(index, min(row, self._height(index) - 1) if exact else 0), last)

    def _last(self) -> RowPosition:
        """The topmost row when the end is at the bottom."""
        begun = sum(line.height(self.look) for line in self._begun())
        return position.bottom(len(self._lines), self._room - min(begun, max(0, self._room - 1)), self._height)

    def _begun(self) -> list[PreparedLine]:
        """The lines whose ends have not come, as far as they are wanted."""
        wanted = [line for line in self.buffer.partial_line if self._filter is None or self._wants(self._filter, line)]
        return [PreparedLine(line, self.look, self.get_component_rich_style("log-view--found")) for line in wanted]

    def _wants(self, pattern: Pattern, begun: LogLine) -> bool:
        """Whether a line that has no end yet is accepted so far."""
        lines = [*map(self.buffer.line, self.buffer.begun_whole(begun)), begun]
        return pattern.accepts_text("".join(whole_text(lines)), name_before(lines[0]))

    @property
    def _room(self) -> int:
        return self.scrollable_size.height

    def _height(self, index: int) -> int:
        return self._line(self._lines.at(index)).height(self.look) if self.state.wrap else 1

    def _visible(self) -> list[RowPosition]:
        if self._rows is None or self._rows[0] != self.scrollable_size:
            rows = position.visible(self._place(), self._room, len(self._lines), self._height)
            self._rows = self.scrollable_size, rows
        return self._rows[1]

    # --- how they look ---

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw anew."""
        self._drawn = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def notify_style_update(self) -> None:
        """Colours may be others."""
        self._paint_of = None
        super().notify_style_update()

    @property
    def look(self) -> RowOptions:
        """How rows are drawn now."""
        state = self.state
        return RowOptions(self.scrollable_size.width, state.wrap, state.times, self._left, self._ascii, self._search)

    def _paint(self) -> RowStyles:
        """The present styles; those of components are asked for only where what they stand on is another."""
        plain, filters = self.rich_style, tuple(self.get_line_filters())
        if self._paint_of is None or (self._paint_of.plain, self._paint_of.filters) != (plain, filters):
            style = self.get_component_rich_style
            self._paint_of = RowStyles(
                plain=plain,
                stderr=style("log-view--stderr"),
                notice=style("log-view--notice"),
                placeholder=style("log-view--placeholder"),
                new=style("log-view--new"),
                cut=style("log-view--cut"),
                time=style("log-view--time"),
                found=style("log-view--found"),
                current=style("log-view--current"),
                filters=filters,
                background=self.background_colors[1],
            )
        return self._paint_of

    def _line(self, number: int) -> PreparedLine:
        drawn = self._drawn_lines.get(number)
        if drawn is None:
            found = self.get_component_rich_style("log-view--found")
            drawn = self._drawn_lines[number] = PreparedLine(self.buffer.line(number), self.look, found)
            self._widest = max(self._widest, drawn.width)
        return drawn

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of the screen, none wider than there is room beside the scrollbar."""
        if any(self.styles.gutter) or self.opacity != 1 or self.styles.tint.a:
            return super().render_lines(crop)
        if self._drawn is None or self._drawn[0] != self.scrollable_size:
            self._drawn = self.scrollable_size, self._all_rows()
        rows = self._drawn[1][crop.y : crop.bottom]
        if crop.x or crop.right < self.size.width:
            return [row.crop(crop.x, crop.right) for row in rows]
        return rows

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        return self._all_rows()[y]

    def _all_rows(self) -> list[Strip]:
        look, paint, height = self.look, self._paint(), self.size.height
        if self._drawn_for != (look, paint):
            if self._drawn_for is None or self._drawn_for[1] != paint or self._drawn_for[0].sought != look.sought:
                self._drawn_lines.clear()
            self._drawn_rows.clear()
            self._drawn_for = look, paint
        places = self._visible()
        if not places and not self.state.filter and not self.buffer.partial_line:
            return placeholder_rows(self.placeholder, height, look, paint)
        rows = [self._row(place, look, paint) for place in places] + self._begun_rows(height - len(places), look, paint)
        rows += [blank_row(look, paint)] * (height - len(rows))
        if self.state.unseen and rows:
            rows[-1] = with_unseen(rows[-1], self.state.unseen, look, paint)
        return rows

    def _begun_rows(self, room: int, look: RowOptions, paint: RowStyles) -> list[Strip]:
        """Rows below the last line; the last of them at the end, the first for whoever reads above it."""
        rows = [
            render_row(drawn, row, look, paint, current=False)
            for drawn in (self._begun() if room > 0 else [])
            for row in range(drawn.height(look))
        ]
        return rows[-room:] if self._following else rows[:room]

    def _row(self, place: RowPosition, look: RowOptions, paint: RowStyles) -> Strip:
        number = self._lines.at(place.line)
        current = number == self._current and self._search is not None
        key = number, place.row, current
        row = self._drawn_rows.get(key)
        if row is None:
            row = render_row(self._line(number), place.row, look, paint, current=current)
            self._drawn_rows[key] = row
        return row
