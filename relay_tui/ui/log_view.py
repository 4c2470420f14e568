"""A log on the screen: drawn line by line from a bounded buffer, following its end or holding a reader's place."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from typing import ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.events import Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from relay_tui.text import PLAIN, TRUE_COLOUR, TextStyle, ascii_only, clean_block, log_runs
from relay_tui.ui.log_buffer import NOTICE, STDERR, STDOUT, LogBuffer, LogLine

_GUTTER = 1
_SIDEWAYS = 8
_MOST_RUNS = 500  # a line with more changes of style goes on in plain text: hostile ones would fill the cache
_STRIPS = 512


class LogView(ScrollView, can_focus=True):
    """Shows what a container wrote. At the end it follows; scrolled up, the reader's lines stay where they are."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--stderr",
        "log-view--notice",
        "log-view--placeholder",
        "log-view--new",
        "log-view--cut",
    }
    DEFAULT_CSS = """
    LogView {
        overflow-x: auto;
        overflow-y: auto;
        scrollbar-size-horizontal: 0;
        & > .log-view--stderr { color: $error; }
        & > .log-view--notice { color: $text-muted; text-style: italic; }
        & > .log-view--placeholder { color: $text-muted; }
        & > .log-view--new { color: $button-color-foreground; background: $primary; text-style: bold; }
        & > .log-view--cut { color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "Line down", show=False),
        Binding("up,k", "scroll_up", "Line up", show=False),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False),
        Binding("home,g", "scroll_home", "First line", show=False),
        Binding("end,G", "scroll_end", "Follow the end", show=False),
        Binding("left", "scroll_left", "Left", show=False),
        Binding("right", "scroll_right", "Right", show=False),
    ]

    placeholder: reactive[str] = reactive("", layout=False)
    """What stands in the middle while there is no line; may have several lines."""

    class FollowingChanged(Message):
        """The view began to follow the end of the log, or stopped."""

        def __init__(self, log_view: LogView, following: bool) -> None:
            super().__init__()
            self.log_view = log_view
            self.following = following

        @property
        def control(self) -> LogView:
            """The view it is about."""
            return self.log_view

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
        self._following = True
        self._left_at = 0
        self._widest = 0
        self._strips: LRUCache[int, tuple[LogLine, Strip]] = LRUCache(_STRIPS)
        super().__init__(name=name, id=id, classes=classes)
        self.set_reactive(LogView.placeholder, placeholder)

    @property
    def following(self) -> bool:
        """Whether new lines scroll into sight."""
        return self._following

    @property
    def unseen(self) -> int:
        """How many lines came since the view stopped following."""
        return 0 if self._following else self.buffer.end - self._left_at

    def write(self, data: bytes, stream: str = STDOUT) -> None:
        """Take what a stream sent, cut anywhere."""
        first, settled = self.buffer.first, self.buffer.settled
        self.buffer.feed(data, stream)
        self._settle(first, settled)

    def notice(self, text: str) -> None:
        """Add lines of relay's own, such as `── ended, exit code 3 ──`."""
        first, settled = self.buffer.first, self.buffer.settled
        self.buffer.append_notice(text)
        self._settle(first, settled)

    def clear(self) -> None:
        """Forget every line and follow again."""
        self.buffer.clear()
        self._strips.clear()
        self._widest = 0
        self.virtual_size = Size(0, 0)
        self.scroll_to(0, 0, animate=False, force=True)
        self._set_following(True)
        self.refresh()

    def follow(self) -> None:
        """Go to the end and stay there."""
        self._set_following(True)
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width, height = self.scrollable_size
        scroll_x, scroll_y = self.scroll_offset
        number = self.buffer.first + scroll_y + y
        if not len(self.buffer):
            return self._placeholder_row(y, width, height)
        if number >= self.buffer.end:
            row = Strip.blank(width, self.rich_style)
        else:
            row = self._line_row(number, scroll_x, width)
        return self._with_unseen(row, width) if y == height - 1 and self.unseen else row

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever leaves the end stops following, and follows again on coming back."""
        super().watch_scroll_y(old_value, new_value)
        if self.size:
            self._set_following(round(new_value) >= self.max_scroll_y)

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A scrollbar that appears learns where we are; it is only told of later moves."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def watch_placeholder(self) -> None:
        """Draw it, if it is to be seen."""
        if not len(self.buffer):
            self.refresh()

    def on_mount(self) -> None:
        """Show what the buffer held before."""
        self._resize_content()
        self.follow()

    def on_resize(self, _event: Resize) -> None:
        """Keep the end at the bottom when following."""
        if self._following:
            self.follow()

    # Not animated: over a slow line every step between is bytes, and while lines arrive the end is never reached.
    def action_scroll_down(self) -> None:
        """One line down."""
        self.scroll_relative(y=1, animate=False)

    def action_scroll_up(self) -> None:
        """One line up."""
        self.scroll_relative(y=-1, animate=False)

    def action_page_down(self) -> None:
        """One page down, one line kept."""
        self.scroll_relative(y=max(1, self.size.height - 1), animate=False)

    def action_page_up(self) -> None:
        """One page up, one line kept."""
        self.scroll_relative(y=-max(1, self.size.height - 1), animate=False)

    def action_scroll_home(self) -> None:
        """To the oldest line."""
        self.scroll_to(0, 0, animate=False)

    def action_scroll_end(self) -> None:
        """To the newest line, and stay with it."""
        self.follow()

    def action_scroll_left(self) -> None:
        """A few columns left."""
        self.scroll_relative(x=-_SIDEWAYS, animate=False)

    def action_scroll_right(self) -> None:
        """A few columns right."""
        self.scroll_relative(x=_SIDEWAYS, animate=False)

    def _settle(self, first: int, settled: int) -> None:
        """Bring size and place up to date; `first` and `settled` are the buffer's from before."""
        if not self.is_mounted:
            return
        trimmed = self.buffer.first - first
        if trimmed and not self._following:
            self.scroll_to(y=max(0, round(self.scroll_y) - trimmed), animate=False, force=True)
        self._resize_content()
        if self._following:
            self.follow()
            return
        width, height = self.scrollable_size
        if self.buffer.first + self.scroll_offset.y + height > settled:
            self.refresh()
        else:
            self.refresh(Region(0, height - 1, width, 1))

    def _resize_content(self) -> None:
        """Tell the scrollbar alone while it is there anyway: a layout for each batch of lines redraws the screen."""
        size = Size(self._widest + _GUTTER, len(self.buffer))
        if self.show_vertical_scrollbar and size.width == self.virtual_size.width and size.height > self.size.height:
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
        else:
            self.virtual_size = size

    def _set_following(self, following: bool) -> None:
        if following == self._following:
            return
        self._following = following
        self._left_at = self.buffer.end
        self.post_message(self.FollowingChanged(self, following))

    def _line_row(self, number: int, scroll_x: int, width: int) -> Strip:
        line, strip = self._line_strip(number)
        room = max(0, width - _GUTTER)
        is_notice = line.stream == NOTICE
        style = self.get_component_rich_style("log-view--notice") if is_notice else self.rich_style
        shown = strip.crop_extend(scroll_x, scroll_x + room, None).apply_style(style)
        if strip.cell_length > scroll_x + room and room > 1:
            mark = Segment(">" if self._ascii else "…", self.get_component_rich_style("log-view--cut"))
            shown = Strip([*shown.crop(0, room - 1), mark], room)
        return Strip([self._gutter(line), *shown], room + _GUTTER)

    def _gutter(self, line: LogLine) -> Segment:
        """What is told about a line at its left: that it went to stderr, or carries on the one before."""
        if line.stream == STDERR:
            return Segment("!" if self._ascii else "▎", self.get_component_rich_style("log-view--stderr"))
        if line.continued:
            return Segment("+" if self._ascii else "…", self.get_component_rich_style("log-view--cut"))
        return Segment(" ", self.rich_style)

    def _line_strip(self, number: int) -> tuple[LogLine, Strip]:
        """A line drawn whole, without the widget's own colours. An unfinished one is drawn anew when it has grown."""
        line = self.buffer.line(number)
        cached = self._strips.get(number)
        if cached is not None and cached[0].raw is line.raw:
            return cached
        runs = log_runs(line.raw)
        if len(runs) > _MOST_RUNS:
            runs[_MOST_RUNS:] = [("".join(text for text, _ in runs[_MOST_RUNS:]), PLAIN)]
        convert = ascii_only if self._ascii else str
        strip = Strip([Segment(convert(text), rich_style(style)) for text, style in runs])
        if strip.cell_length > self._widest:
            self._widest = strip.cell_length
            self.call_next(self._resize_content)
        self._strips[number] = (line, strip)
        return line, strip

    def _with_unseen(self, row: Strip, width: int) -> Strip:
        text = f" +{self.unseen:,} new "[:width]
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


def _colour(number: int | None) -> Color | None:
    if number is None:
        return None
    if number & TRUE_COLOUR:
        return Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255)
    return Color.from_ansi(number)
