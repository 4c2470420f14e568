"""Where a reader of a log is: at its end, which goes on, or at lines that stay where they are."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from relay_tui.ui.log.canvas import LogCanvas
from relay_tui.ui.log.model import position
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.position import RowPosition

_SIDEWAYS = 8
_WHEEL = 3


class LogViewport(LogCanvas):
    """Moves, by keys, wheel and scrollbar."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "Line down", show=False),
        Binding("up,k", "scroll_up", "Line up", show=False),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False),
        Binding("ctrl+d", "half_page(1)", "Half a page down", show=False),
        Binding("ctrl+u", "half_page(-1)", "Half a page up", show=False),
        Binding("home,g", "scroll_home", "First line", show=False),
        Binding("end,G", "scroll_end", "Follow the end", show=False),
        Binding("left", "scroll_left", "Left", show=False),
        Binding("right", "scroll_right", "Right", show=False),
    ]

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
        super().__init__(placeholder=placeholder, buffer=buffer, ascii=ascii, name=name, id=id, classes=classes)
        self._steps: tuple[int, ...] = ()  # those to matches that are not known yet; who moves forgets them
        self._at_home = False  # whether to stay at the first line while older ones come before it
        self._left_at = 0  # the number of the first line that came since the end was left

    def _changed(self) -> None:
        """Draw anew, and tell whoever shows where the reader is."""
        self._rows = None
        self.refresh()

    @property
    def following(self) -> bool:
        """Whether new lines scroll into sight."""
        return self._following

    @property
    def new_lines_below(self) -> int:
        """How many lines came since the view stopped following."""
        return 0 if self._following else self._lines.since(self._left_at)

    def follow(self) -> None:
        """Go to the end and stay there."""
        self._following, self._at_home, self._steps = True, False, ()
        self._changed()

    def pause(self) -> None:
        """Stay at the present lines."""
        self._stay(self._place())

    def _stay(self, top: RowPosition) -> None:
        """Make a row the topmost; whoever comes to the end follows."""
        last = self._last()
        top = min(top, last)
        self._at_home, self._steps = False, ()
        if self._following:
            self._left_at = self.buffer.end
        if len(self._lines):
            self._top = (self._lines.at(top.line), top.row)
        self._following = False
        self._changed()

    def _move(self, by: int) -> None:
        top = self._place()
        last = self._last()
        wanted = position.move_by(top, by, len(self._lines), self._height)
        if wanted >= last:
            self.follow()
        else:
            self._stay(wanted)

    def scroll_to(self, x: float | None = None, y: float | None = None, **_: object) -> None:
        """What the scrollbar asks for: a line."""
        del x
        if y is not None:
            if y >= self.max_scroll_y:
                self.follow()
            else:
                self._stay(RowPosition(max(0, round(y))))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves by rows, and sideways with shift."""
        self._wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves by rows, and sideways with shift."""
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, direction: int) -> None:
        event.stop()
        event.prevent_default()
        if event.shift or event.ctrl:
            self._sideways(direction * _SIDEWAYS)
        else:
            self._move(direction * _WHEEL)

    def action_scroll_down(self) -> None:
        """One line down."""
        self._move(1)

    def action_scroll_up(self) -> None:
        """One line up."""
        self._move(-1)

    def action_page_down(self) -> None:
        """One page down, one line kept."""
        self._move(max(1, self._room - 1))

    def action_page_up(self) -> None:
        """One page up, one line kept."""
        self._move(-max(1, self._room - 1))

    def action_half_page(self, direction: int) -> None:
        """Half a page."""
        self._move(direction * max(1, self._room // 2))

    def action_scroll_home(self) -> None:
        """To the oldest line, and to those before it as they are loaded."""
        self._stay(RowPosition(0))
        self._at_home = True

    def action_scroll_end(self) -> None:
        """To the newest line, and stay with it."""
        self.follow()

    def action_scroll_left(self) -> None:
        """A few columns left."""
        self._sideways(-_SIDEWAYS)

    def action_scroll_right(self) -> None:
        """A few columns right."""
        self._sideways(_SIDEWAYS)

    def _sideways(self, by: int) -> None:
        most = 0 if self.state.wrap else max(0, self._widest - self.look.room)
        self._left = max(0, min(self._left + by, most))
        self.refresh()

    def _pan(self, begin: int, end: int) -> None:
        """Bring these cells of a line into sight: the line's beginning with them, or what is around them."""
        look = self.look
        room = look.room - 1  # beside the mark of what is cut
        if begin < look.left or end > look.left + room:
            self._sideways((0 if end <= room else begin - room // 3) - look.left)
