"""A log on the screen: follows its end or holds a reader's place, filters and seeks, and knows its keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message

from relay_tui.domain.log_batch import EMPTY_BATCH, LogBatch
from relay_tui.memory import release_free_memory
from relay_tui.ui.keys.actions import ACTIONS, CHOICES, Action, L
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.line_text import join_continuations
from relay_tui.ui.log.model.position import RowPosition
from relay_tui.ui.log.search import LogSearch
from relay_tui.ui.log.state import LogState
from relay_tui.ui.widgets import scrolling

_HEAVY = 16 << 20  # bytes of lines that are worth giving back when they go
_HEADWAY = 1.0  # seconds that what comes in their place goes first
_COUNTS = 0.5  # seconds between two tellings of what is only counted on
_NEAR = 200  # lines from the first at which older ones are wanted


def _action(action: Action, key: str) -> str:
    return f"screen.dispatch('{action.name}', {key})" if action.name == CHOICES else f"screen.dispatch('{action.name}')"


def _binding_id(action: Action, key: str) -> str:
    return f"{action.binding_id}.{key}" if action.name == CHOICES else action.binding_id


class LogView(LogSearch, can_focus=True):
    """Shows what a container wrote. At the end it follows; scrolled up, the reader's lines stay where they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, _action(a, key), a.help, show=False, id=_binding_id(a, key))
            for a in ACTIONS
            if L in a.places
            for key in ([a.keys] if a.name != CHOICES else a.keys.split(","))
        ),
    ]

    class StateChanged(Message):
        """What the view does, or how much there is of what, is another."""

        def __init__(self, log_view: LogView, state: LogState) -> None:
            super().__init__()
            self.log_view = log_view
            self.state = state

        @property
        def control(self) -> LogView:
            """The view it is about."""
            return self.log_view

    class OlderWanted(Message):
        """The reader comes near the first line."""

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
        self._may_be_older = False
        self._wants_all = False
        self._failed = False  # whether older lines could not be read
        self._said_at = 0.0
        self._counting = False

    # --- what it is given ---

    def extend(self, batches: Sequence[LogBatch]) -> None:
        """Show more lines, among them what was begun before."""
        before = None if self._following else self._shown()
        self.buffer.begin(EMPTY_BATCH)
        for batch in batches:
            self.buffer.append(batch)
        self._changed(before)

    def begin(self, lines: LogBatch) -> None:
        """These lines are begun and not at their end: they stand below the others until they are, or go on."""
        if lines or self.buffer.partial_line:
            self.buffer.begin(lines)
            self._changed()

    def prepend(self, batches: list[LogBatch], *, complete: bool) -> None:
        """Put older lines before the first; `complete`: there are no older ones."""
        self.buffer.prepend(batches)
        self.set_state(loading=False)
        self.expect_older(not complete and self.buffer.room > 0)
        if self._at_home:
            self._top = (self.buffer.first, 0)
        self._changed()
        self._take_steps()

    def expect_older(self, expected: bool) -> None:
        """Whether to ask for older lines when the reader comes near the first."""
        self._may_be_older = expected
        self._changed()

    def older_failed(self) -> None:
        """Those that were asked for cannot be read now."""
        self._failed = True
        self.set_state(loading=False)
        self._tell_state()
        self._take_steps()

    @property
    def without_older(self) -> str:
        """Why the lines before the first are not there, as in "older ones do not fit"; empty: there may be none."""
        if self.buffer.dropped or not self.buffer.room:
            return "do not fit"
        return "cannot be read" if self._failed else ""

    def want_all(self, wanted: bool) -> None:
        """Ask for older lines until there are no more, or no room for them."""
        self._wants_all = wanted
        self._changed()

    @property
    def wants_all(self) -> bool:
        """Whether all older lines are asked for."""
        return self._wants_all

    @property
    def has_all(self) -> bool:
        """Whether there are no older lines that can be had."""
        return not self._may_be_older and not self.state.loading

    def notice(self, text: str) -> None:
        """Add lines of relay's own, such as `── ended, exit code 3 ──`."""
        self.buffer.append_notice(text)
        self._changed()

    def clear(self, *, linger: float = 0.0) -> None:
        """Forget every line and follow again. They stay on the screen for `linger` seconds, unless others come."""
        if self.buffer.size > _HEAVY:
            self.set_timer(_HEADWAY, release_free_memory)
        self._lingers = linger > 0
        if self._lingers:
            self.set_timer(linger, self._leave)
        self.buffer.clear()
        self._drawn_lines.clear()
        self._widest = self._left = 0
        self._may_be_older = self._wants_all = self._failed = False
        self.set_state(loading=False)
        self._restart_filter()
        self._restart_search()
        self.follow()

    def _leave(self) -> None:
        self._lingers = False
        self._changed()

    def set_state(
        self, *, since: str | None = None, loading: bool | None = None, connection: str | None = None
    ) -> None:
        """What the view cannot know by itself."""
        state = self.state
        self._say(
            replace(
                state,
                since=state.since if since is None else since,
                loading=state.loading if loading is None else loading,
                connection=state.connection if connection is None else connection,
            )
        )

    # --- what a reader does ---

    def set_wrap(self, wrap: bool) -> None:
        """Fold long lines, or cut them at the edge."""
        self._say(replace(self.state, wrap=wrap))
        self._left = 0
        self._top = (self._top[0], 0)
        self._changed()

    def set_times(self, times: bool) -> None:
        """Show when each line was written, or not."""
        self._say(replace(self.state, times=times))
        self._changed()

    def visible_text(self) -> str:
        """The lines on the screen, whole and plain."""
        numbers = dict.fromkeys(self._lines.at(place.line) for place in self._visible())
        return join_continuations(
            self.buffer, numbers, [drawn.line for drawn in self._begun()] if self._following else []
        )

    # --- keeping up ---

    def on_mount(self) -> None:
        """Show what the buffer held before."""
        self._changed()

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A scrollbar that appears learns where we are; it is only told of later moves."""
        if shown:
            self.vertical_scrollbar.position = min(self._place().line, self.max_scroll_y)

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the end, or the reader's lines, in sight."""
        self._changed()

    def _changed(self, before: list[tuple[int, int]] | None = None) -> None:
        """Draw anew; tell the scrollbar and whoever shows the state. `before`: rows that need not be drawn again."""
        self._rows = None
        if not self.is_mounted:
            return
        self._resume_search()
        self._lingers = self._lingers and not len(self.buffer) and not self.buffer.partial_line
        self._tell_state()
        if self._lingers:
            return
        self._tell_scrollbar()
        self._ask_for_older()
        if before is not None and before == self._shown():
            self.refresh(Region(0, self.size.height - 1, self.size.width, 1))  # how many came below
        else:
            self.refresh()

    def _shown(self) -> list[tuple[int, int]]:
        """The rows on the screen: numbers of lines, and rows of these."""
        return [(self._lines.at(place.line), place.row) for place in self._visible()]

    def _tell_state(self) -> None:
        found = self._found
        at = found.place(self._current) if found is not None and self._current is not None else 0
        self._say(
            replace(
                self.state,
                following=self._following,
                unseen=self.new_lines_below,
                filter=self._filter.text if self._filter else "",
                found=None if found is None else len(found),
                current=at,
                sought=self._search.text if self._search else "",
                given_up=any(one is not None and one.given_up for one in (self._filter, self._search)),
                searching=self._looking or (found is not None and self._may_be_older),
                dropped=self.buffer.dropped,
                without_older=self.without_older if self._at_top and not self.state.loading else "",
                saving=len(self.buffer) if self._wants_all else None,
            )
        )

    @property
    def _at_top(self) -> bool:
        return not self._following and self._place() == RowPosition(0)

    def _say(self, state: LogState) -> None:
        """Tell of it: at once, but for what is only counted on."""
        if state == self.state:
            return
        if state.counted_on_from(self.state) and (due := self._said_at + _COUNTS - time.monotonic()) > 0:
            if not self._counting:
                self._counting = True
                self.set_timer(due, self._say_counts)
            return
        self._said_at = time.monotonic()
        self.state = state
        self._rows = None
        self.post_message(self.StateChanged(self, state))

    def _say_counts(self) -> None:
        self._counting = False
        self._tell_state()

    def _ask_for_older(self) -> None:
        near = not self._following and self._lines.index(self._top[0]) < _NEAR
        if self._may_be_older and (near or self._wants_all or self._filter is not None or self._search is not None):
            self._may_be_older = self._failed = False
            self.set_state(loading=True)
            self.post_message(self.OlderWanted())

    def _tell_scrollbar(self) -> None:
        """Size and position; without a layout while the bar is there anyway: that would redraw the whole screen.

        An empty log keeps its bar too: mostly another one takes its place in a moment.
        """
        size = Size(self.size.width, len(self._lines))
        if self.show_vertical_scrollbar and (size.height > self.size.height or not size.height):
            scrolling.set_virtual_size(self, size)
        elif size != self.virtual_size:
            self.virtual_size = size
        scrolling.set_scroll_position(self, min(self._place().line, self.max_scroll_y))
