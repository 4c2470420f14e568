"""Log view: follows the end of a log or stays at a reader's lines, searches, filters and has the log's keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive, var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from relay_tui.domain.log_batch import EMPTY_BATCH, LogBatch
from relay_tui.memory import release_free_memory
from relay_tui.ui.keys.actions import ACTIONS, CHOICES, Action, L
from relay_tui.ui.log.canvas import LogCanvas
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.line_text import join_continuations
from relay_tui.ui.log.model.pattern import Pattern
from relay_tui.ui.log.model.position import RowPosition
from relay_tui.ui.log.renderer import LineRenderer, RowStyles
from relay_tui.ui.log.search import LogSearch
from relay_tui.ui.log.state import LogState
from relay_tui.ui.log.viewport import LogViewport
from relay_tui.ui.widgets import scrolling

_SIDEWAYS_COLUMNS = 8
_WHEEL_ROWS = 3
_SEARCH_SLICE = 0.006  # seconds that lines are examined for matches at once
_SEARCH_PAUSE = 0.004  # seconds between two slices, for all other events
_MUCH_MEMORY = 16 << 20  # bytes of lines from which freed memory is returned to the system
_MEMORY_DELAY = 1.0  # seconds before that, in which the lines of the next log are drawn first
_COUNT_INTERVAL = 0.5  # seconds between two state messages that differ in counts alone
_LINES_BEFORE_OLDER = 200  # lines above the topmost one, below which older lines are requested


def _action(action: Action, key: str) -> str:
    return f"screen.dispatch('{action.name}', {key})" if action.name == CHOICES else f"screen.dispatch('{action.name}')"


def _binding_id(action: Action, key: str) -> str:
    return f"{action.binding_id}.{key}" if action.name == CHOICES else action.binding_id


class LogView(ScrollView, can_focus=True):
    """Shows a log. At the end it follows new lines; after scrolling up, the visible lines stay in place.

    The view connects Textual with its parts: `LogViewport` (position), `LogSearch` (search and filter), `LineRenderer`
    (lines to strips) and `LogCanvas` (rows of the visible region).

    It hands its rows to the compositor as they are. Textual's own way, which adds borders and padding that this widget
    does not have, takes three times as long as the rows.
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
    LogView {
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
        *(
            Binding(key, _action(a, key), a.help, show=False, id=_binding_id(a, key))
            for a in ACTIONS
            if L in a.places
            for key in ([a.keys] if a.name != CHOICES else a.keys.split(","))
        ),
    ]

    state: var[LogState] = var(LogState())
    """The view's state for display around it. Watchers are called before the change is drawn."""
    placeholder: reactive[str] = reactive("", layout=False, repaint=False)
    """Text in the middle of an empty log; may have several lines."""

    class StateChanged(Message):
        """The view's `state` has changed."""

        def __init__(self, log_view: LogView, state: LogState) -> None:
            super().__init__()
            self.log_view = log_view
            self.state = state

        @property
        def control(self) -> LogView:
            """The view that sent the message."""
            return self.log_view

    class OlderWanted(Message):
        """Older lines are needed: the reader is near the first line, or searches, filters or saves."""

    class NothingFound(Message):
        """All lines were examined for the next match, and none matches."""

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
        self._renderer = LineRenderer(self.buffer, ascii=ascii)
        self._search = LogSearch(self.buffer)
        self._viewport = LogViewport(self.buffer, self._renderer.height, self._partial_rows)
        self._canvas = LogCanvas(self.buffer, self._viewport, self._search, self._renderer)
        self._styles: RowStyles | None = None  # None: component styles may have changed
        self._drawn: tuple[Size, list[Strip]] | None = None  # rows on the screen, until the next refresh
        self._is_lingering = False  # whether the screen still shows lines that were cleared
        self._is_searching = False  # whether a timer examines the next lines
        self._may_be_older = False
        self._wants_all = False
        self._has_failed = False  # whether older lines could not be read
        self._state_sent_at = 0.0
        self._is_state_due = False  # whether a timer sends the counts
        super().__init__(name=name, id=id, classes=classes)
        self.set_reactive(LogView.placeholder, placeholder)

    # --- lines ---

    def extend(self, batches: Sequence[LogBatch]) -> None:
        """Append lines, the complete form of the partial lines among them."""
        before = None if self._viewport.following else self._viewport.visible_lines(self._measure())
        self.buffer.set_partial(EMPTY_BATCH)
        for batch in batches:
            self.buffer.append(batch)
        self._changed(before)

    def set_partial(self, lines: LogBatch) -> None:
        """Show these partial lines below the last line, in place of the partial lines before."""
        if lines or self.buffer.partial_line:
            self.buffer.set_partial(lines)
            self._changed()

    def prepend(self, batches: list[LogBatch], *, complete: bool) -> None:
        """Put older lines before the first. `complete`: there are no older ones."""
        self.buffer.prepend(batches)
        self.set_state(loading=False)
        self.expect_older(not complete and self.buffer.room > 0)
        self._viewport.older_lines_added()
        self._changed()
        self._take_steps()

    def expect_older(self, expected: bool) -> None:
        """Set whether to request older lines when the reader comes near the first line."""
        self._may_be_older = expected
        self._changed()

    def older_failed(self) -> None:
        """Record that the requested older lines cannot be read now."""
        self._has_failed = True
        self.set_state(loading=False)
        self._update_state()
        self._take_steps()

    @property
    def without_older(self) -> str:
        """The reason why older lines are missing, for "older lines ..."; empty if there may be none."""
        if self.buffer.dropped or not self.buffer.room:
            return "do not fit"
        return "cannot be read" if self._has_failed else ""

    def want_all(self, wanted: bool) -> None:
        """Request older lines until there are no more, or no room for them."""
        self._wants_all = wanted
        self._changed()

    @property
    def wants_all(self) -> bool:
        """Whether all older lines are requested."""
        return self._wants_all

    @property
    def has_all(self) -> bool:
        """Whether no older lines can be loaded."""
        return not self._may_be_older and not self.state.loading

    def notice(self, text: str) -> None:
        """Append lines of relay's own, such as `── ended, exit code 3 ──`."""
        self.buffer.append_notice(text)
        self._changed()

    def clear(self, *, linger: float = 0.0) -> None:
        """Remove every line and follow the end. The screen keeps them for `linger` seconds, unless others arrive."""
        if self.buffer.size > _MUCH_MEMORY:
            self.set_timer(_MEMORY_DELAY, release_free_memory)
        self._is_lingering = linger > 0
        if self._is_lingering:
            self.set_timer(linger, self._end_linger)
        self.buffer.clear()
        self._renderer.clear()
        self._viewport.left = 0
        self._may_be_older = self._wants_all = self._has_failed = False
        self.set_state(loading=False)
        self._restart_filter(self._search.filter)
        self.follow()

    def _end_linger(self) -> None:
        self._is_lingering = False
        self._changed()

    def visible_text(self) -> str:
        """Return the lines on the screen as plain text, continuation lines joined."""
        numbers = dict.fromkeys(number for number, _ in self._viewport.visible_lines(self._measure()))
        partial = self._search.partial_lines() if self._viewport.following else []
        return join_continuations(self.buffer, numbers, partial)

    # --- search and filter ---

    @property
    def filter(self) -> Pattern | None:
        """The pattern that the visible lines match."""
        return self._search.filter

    def set_filter(self, pattern: Pattern | None) -> None:
        """Show only the lines that a pattern accepts, new lines included; None: all lines.

        The reader's position stays the same line, shown or not, so half-typed patterns do not lose the position.
        """
        if pattern != self._search.filter:
            self._restart_filter(pattern)
            self._changed()

    def _restart_filter(self, pattern: Pattern | None) -> None:
        self._search.set_filter(pattern, self._viewport.held_line)
        self._viewport.show(self._search.lines)
        self._search.restart(self._viewport.number_below(self._measure()))

    def set_search(self, pattern: Pattern | None) -> None:
        """Highlight and count the matches of a pattern; None: end the search."""
        if pattern != self._search.pattern:
            self._search.set_pattern(pattern)
            self._search.restart(self._viewport.number_below(self._measure()))
            self._changed()

    def search(self, step: int = 0) -> None:
        """Go to the next match (1), the previous one (-1), or the last at or above the bottom of the screen (0)."""
        self._search.pending = (*self._search.pending, step)
        self._take_steps()

    def _take_steps(self) -> None:
        """Take the pending steps, as far as their matches are known."""
        search = self._search
        while search.pending:
            step, *rest = search.pending
            number = search.next_match(step, self._viewport.number_below(self._measure()), has_all=self.has_all)
            if number is None:
                if self.has_all and search.is_complete:
                    search.pending = ()
                    if step:
                        self.post_message(self.NothingFound())
                return
            self._show_match(number)
            search.pending = tuple(rest)

    def _show_match(self, number: int) -> None:
        """Bring the first match of a line into sight."""
        rows, renderer, viewport, pattern = self._measure(), self._renderer, self._viewport, self._search.pattern
        line, options = renderer.line(number), renderer.options
        begin, end = line.first_match(pattern) if pattern is not None else (0, 0)
        row = RowPosition(viewport.lines.index(number), line.row_of(begin, options))
        viewport.pan(begin, end, options.room - 1, renderer.most_left)  # one column is for the cut mark
        viewport.reveal(row, rows)
        self._changed()

    def _resume_search(self) -> None:
        """Examine lines unless all have been examined. Dropped lines are no matches from this moment on."""
        self._search.forget_dropped()
        if not self._is_searching and not self._search.is_complete:
            self._search_slice()

    def _search_slice(self) -> None:
        self._is_searching = not self._search.step(_SEARCH_SLICE)
        self._viewport.invalidate()
        if self._is_searching:
            self.set_timer(_SEARCH_PAUSE, self._continue_search)

    def _continue_search(self) -> None:
        self._search_slice()
        self._take_steps()
        self._changed()

    # --- position ---

    @property
    def following(self) -> bool:
        """Whether new lines scroll into sight."""
        return self._viewport.following

    @property
    def new_lines_below(self) -> int:
        """The number of lines that arrived since the view stopped following."""
        return self._viewport.new_lines_below

    def follow(self) -> None:
        """Go to the end and follow it."""
        self._viewport.to_end()
        self._moved()

    def pause(self) -> None:
        """Stop following and stay at the visible lines."""
        self._viewport.pause(self._measure())
        self._moved()

    def _move(self, by: int) -> None:
        self._viewport.move(by, self._measure())
        self._moved()

    def _moved(self) -> None:
        self._search.pending = ()
        self._changed()

    def scroll_to(self, x: float | None = None, y: float | None = None, **_: object) -> None:
        """Go to a line that the scrollbar asks for."""
        del x
        if y is not None:
            if y >= self.max_scroll_y:
                self.follow()
            else:
                self._viewport.hold(RowPosition(max(0, round(y))), self._measure())
                self._moved()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move by rows, or by columns with shift."""
        self._wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move by rows, or by columns with shift."""
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, direction: int) -> None:
        event.stop()
        event.prevent_default()
        if event.shift or event.ctrl:
            self._move_sideways(direction * _SIDEWAYS_COLUMNS)
        else:
            self._move(direction * _WHEEL_ROWS)

    def action_scroll_down(self) -> None:
        """Move one row down."""
        self._move(1)

    def action_scroll_up(self) -> None:
        """Move one row up."""
        self._move(-1)

    def action_page_down(self) -> None:
        """Move one page down, less one row."""
        self._move(max(1, self.scrollable_size.height - 1))

    def action_page_up(self) -> None:
        """Move one page up, less one row."""
        self._move(-max(1, self.scrollable_size.height - 1))

    def action_half_page(self, direction: int) -> None:
        """Move half a page."""
        self._move(direction * max(1, self.scrollable_size.height // 2))

    def action_scroll_home(self) -> None:
        """Go to the first line, and to older lines as they are loaded."""
        self._viewport.to_start(self._measure())
        self._moved()

    def action_scroll_end(self) -> None:
        """Go to the last line and follow the end."""
        self.follow()

    def action_scroll_left(self) -> None:
        """Move a few columns left."""
        self._move_sideways(-_SIDEWAYS_COLUMNS)

    def action_scroll_right(self) -> None:
        """Move a few columns right."""
        self._move_sideways(_SIDEWAYS_COLUMNS)

    def _move_sideways(self, by: int) -> None:
        self._measure()
        self._viewport.move_sideways(by, self._renderer.most_left)
        self.refresh()

    # --- display options ---

    def set_wrap(self, wrap: bool) -> None:
        """Wrap long lines, or cut them at the right edge."""
        self._set_state(replace(self.state, wrap=wrap))
        self._viewport.to_line_start()
        self._changed()

    def set_times(self, times: bool) -> None:
        """Show or hide the time of each line."""
        self._set_state(replace(self.state, times=times))
        self._changed()

    def set_state(
        self, *, since: str | None = None, loading: bool | None = None, connection: str | None = None
    ) -> None:
        """Set the parts of the state that the view cannot determine."""
        state = self.state
        self._set_state(
            replace(
                state,
                since=state.since if since is None else since,
                loading=state.loading if loading is None else loading,
                connection=state.connection if connection is None else connection,
            )
        )

    # --- drawing ---

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw the rows again."""
        self._drawn = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def notify_style_update(self) -> None:
        """Read the component styles again before the next drawing."""
        self._styles = None
        super().notify_style_update()

    def watch_placeholder(self) -> None:
        """Draw the placeholder if it is visible."""
        if not len(self.buffer) and not self.buffer.partial_line and not self._is_lingering:
            self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return rows of the screen, none wider than the columns beside the scrollbar."""
        if any(self.styles.gutter) or self.opacity != 1 or self.styles.tint.a:
            return super().render_lines(crop)
        if self._drawn is None or self._drawn[0] != self.scrollable_size:
            self._drawn = self.scrollable_size, self._all_rows()
        rows = self._drawn[1][crop.y : crop.bottom]
        if crop.x or crop.right < self.size.width:
            return [row.crop(crop.x, crop.right) for row in rows]
        return rows

    def render_line(self, y: int) -> Strip:
        """Return one row of the screen."""
        return self._all_rows()[y]

    def _all_rows(self) -> list[Strip]:
        self._renderer.set_styles(self._row_styles())
        rows = self._measure()
        return self._canvas.rows(rows, placeholder=self.placeholder, new_lines=self.state.unseen)

    def _measure(self) -> int:
        """Set the renderer's options to the present ones. Return the rows of the screen."""
        width, rows = self.scrollable_size
        state, viewport = self.state, self._viewport
        if self._renderer.set_options(
            width=width, wrap=state.wrap, times=state.times, left=viewport.left, pattern=self._search.pattern
        ):
            viewport.invalidate()
        return rows

    def _row_styles(self) -> RowStyles:
        """Return the present styles. Component styles are read only if the style below them has changed."""
        plain, filters = self.rich_style, tuple(self.get_line_filters())
        styles = self._styles
        if styles is None or styles.plain != plain or styles.filters != filters:
            style = self.get_component_rich_style
            styles = self._styles = RowStyles(
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
        return styles

    def _partial_rows(self) -> int:
        return self._renderer.total_height(self._search.partial_lines())

    # --- changes ---

    def on_mount(self) -> None:
        """Show the lines that the buffer already has."""
        self._changed()

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Set the position of a scrollbar that appears: Textual sets it only on later moves."""
        if shown:
            self.vertical_scrollbar.position = min(self._viewport.top(self._measure()).line, self.max_scroll_y)

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the end, or the reader's lines, in sight."""
        self._changed()

    def _changed(self, before: list[tuple[int, int]] | None = None) -> None:
        """Draw the rows, update scrollbar and state. `before`: visible rows that need no drawing if still the same."""
        self._viewport.invalidate()
        if not self.is_mounted:
            return
        self._resume_search()
        self._is_lingering = self._is_lingering and not len(self.buffer) and not self.buffer.partial_line
        self._update_state()
        if self._is_lingering:
            return
        self._update_scrollbar()
        self._request_older()
        if before is not None and before == self._viewport.visible_lines(self._measure()):
            self.refresh(Region(0, self.size.height - 1, self.size.width, 1))  # the number of new lines
        else:
            self.refresh()

    def _update_state(self) -> None:
        search, viewport = self._search, self._viewport
        count = search.match_count
        self._set_state(
            replace(
                self.state,
                following=viewport.following,
                unseen=viewport.new_lines_below,
                filter=search.filter.text if search.filter else "",
                found=count,
                current=search.current_rank,
                sought=search.pattern.text if search.pattern else "",
                given_up=search.is_given_up,
                searching=self._is_searching or (count is not None and self._may_be_older),
                dropped=self.buffer.dropped,
                without_older=self.without_older if self._is_at_start and not self.state.loading else "",
                saving=len(self.buffer) if self._wants_all else None,
            )
        )

    @property
    def _is_at_start(self) -> bool:
        return not self._viewport.following and self._viewport.top(self._measure()) == RowPosition(0)

    def _set_state(self, state: LogState) -> None:
        """Set the state and send `StateChanged`: at once, unless only counts that go on by themselves differ."""
        if state == self.state:
            return
        if state.counted_on_from(self.state) and (due := self._state_sent_at + _COUNT_INTERVAL - time.monotonic()) > 0:
            if not self._is_state_due:
                self._is_state_due = True
                self.set_timer(due, self._send_counts)
            return
        self._state_sent_at = time.monotonic()
        self.state = state
        self.post_message(self.StateChanged(self, state))

    def _send_counts(self) -> None:
        self._is_state_due = False
        self._update_state()

    def _request_older(self) -> None:
        """Request older lines if there may be some and a reader, search, filter or save needs them."""
        if not self._may_be_older:
            return
        search, viewport = self._search, self._viewport
        is_near = not viewport.following and viewport.lines_above < _LINES_BEFORE_OLDER
        if is_near or self._wants_all or search.filter is not None or search.pattern is not None:
            self._may_be_older = self._has_failed = False
            self.set_state(loading=True)
            self.post_message(self.OlderWanted())

    def _update_scrollbar(self) -> None:
        """Set the scrollbar's size and position. A layout would redraw the whole screen, so there is none if possible.

        The bar of an empty log stays as well: usually another log replaces it in a moment.
        """
        viewport = self._viewport
        size = Size(self.size.width, len(viewport.lines))
        if self.show_vertical_scrollbar and (size.height > self.size.height or not size.height):
            scrolling.set_virtual_size(self, size)
        elif size != self.virtual_size:
            self.virtual_size = size
        scrolling.set_scroll_position(self, min(viewport.top(self._measure()).line, self.max_scroll_y))
