"""Several sessions' logs as one, over the whole screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input, Static

from relay_tui.errors import RelayError
from relay_tui.services.joint_feed import JointFeed, Voice
from relay_tui.services.log_join import rfc3339
from relay_tui.services.log_source import LogSource
from relay_tui.text import clean
from relay_tui.ui.log_buffer import LogBuffer
from relay_tui.ui.log_match import pattern
from relay_tui.ui.log_state import state_words
from relay_tui.ui.log_text import plain_lines
from relay_tui.ui.log_view import LogView
from relay_tui.ui.present import ASCII, Glyphs

SINCE = (("", 0), ("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3_600), ("6h", 21_600), ("24h", 86_400))
TAIL = 1_000  # lines of history of each
DRAIN = 0.05
_KEYS = " esc back  / search  n N next  & filter  w wrap  t time  s follow  0-6 since  m mark  C clear  y copy  ^s save"


class JointLog(Screen[None]):
    """Follows them while it is open."""

    DEFAULT_CSS = """
    JointLog {
        background: $background;
        & > #joint { height: 1fr; border: round $primary; border-title-color: $primary-lighten-1; }
        & > #joint-keys { height: 1; background: $panel; color: $text-muted; }
        & > #pattern { height: 1; border: none; background: $panel; padding: 0 1; display: none; }
    }
    .-ascii JointLog > #joint { border: ascii $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back"),
        Binding("slash", "ask('search')", "Search"),
        Binding("ampersand", "ask('filter')", "Filter"),
        Binding("n", "find(1)", "Next"),
        Binding("N", "find(-1)", "Before"),
        Binding("w", "wrap", "Wrap"),
        Binding("t", "times", "Time"),
        Binding("s", "follow", "Follow"),
        Binding("m", "mark", "Mark"),
        Binding("y", "copy", "Copy"),
        Binding("ctrl+s", "save", "Save"),
        Binding("C", "clear", "Clear"),
        *(Binding(str(number), f"since({number})", show=False) for number in range(len(SINCE))),
    ]

    class Arrived(Message):
        """There is something to drain."""

        def can_replace(self, message: Message) -> bool:
            """All is drained at once."""
            return isinstance(message, JointLog.Arrived)

    def __init__(
        self,
        source: LogSource,
        title: str,
        voices: Sequence[Voice],
        buffer: LogBuffer,
        save: Callable[[str, Iterable[str]], Path],
        *,
        glyphs: Glyphs,
    ) -> None:
        super().__init__()
        self._source = source
        self._about = title
        self._voices = voices
        self._buffer = buffer
        self._write = save
        self._glyphs = glyphs
        self._feed: JointFeed | None = None
        self._draining: Timer | None = None
        self._asking = "search"

    def compose(self) -> ComposeResult:
        """The log, its keys, and where a pattern is typed."""
        with Vertical(id="joint"):
            yield LogView(
                id="joint-view", ascii=self._glyphs is ASCII, buffer=self._buffer, placeholder="No output yet."
            )
        yield Static(_KEYS, id="joint-keys", markup=False)
        yield Input(id="pattern", compact=True)

    def on_mount(self) -> None:
        """Begin to follow."""
        self._open(0)
        self.log_view.focus()
        self.show_state()

    def _open(self, since: int) -> None:
        """Follow what was written in the last so many seconds, and what comes; 0: all of it."""
        began = rfc3339(time.time() - since) if since else ""
        self._feed = JointFeed(
            self._source, self._voices, lambda: _void(self.post_message(self.Arrived())), tail=TAIL, since=began
        )
        count = f"{len(self._feed)} logs" + (f" of {len(self._voices)}" if len(self._feed) < len(self._voices) else "")
        self.query_one("#joint").border_title = Content(f"{clean(self._about)} {self._glyphs.dot} {count}")

    def on_unmount(self) -> None:
        """Let go of the streams."""
        if self._feed is not None:
            self._feed.close()

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    @on(Arrived)
    def drain_soon(self) -> None:
        """Draw in batches."""
        if self._draining is None:
            self._draining = self.set_timer(DRAIN, self._drain)

    def _drain(self) -> None:
        self._draining = None
        if self._feed is not None:
            if batches := self._feed.drain():
                self.log_view.extend(batches)
            self.log_view.set_state(connection="ended" if self._feed.ended == len(self._feed) else "")

    @on(LogView.StateChanged)
    def show_state(self) -> None:
        """Tell in the border what the view does."""
        self.query_one("#joint").border_subtitle = Content(state_words(self.log_view.state, self._glyphs.dot))

    # --- keys ---

    def action_ask(self, what: str) -> None:
        """Type a pattern: to search, or to filter by."""
        self._asking = what
        box = self.query_one("#pattern", Input)
        box.value = ""
        box.placeholder = "search for" if what == "search" else "show only lines with (! without); empty shows all"
        box.display, self.query_one("#joint-keys").display = True, False
        box.focus()

    @on(Input.Submitted, "#pattern")
    def pattern_typed(self, event: Input.Submitted) -> None:
        """Search, or filter."""
        try:
            wanted = pattern(event.value, invertible=self._asking == "filter")
        except ValueError as error:
            self.notify(clean(str(error)), severity="error", markup=False)
            return
        self._close_box()
        if self._asking == "filter":
            self.log_view.set_filter(wanted)
        else:
            self.log_view.set_search(wanted)
            self.log_view.seek()

    def _close_box(self) -> None:
        self.query_one("#pattern").display = False
        self.query_one("#joint-keys").display = True
        self.log_view.focus()

    def action_back(self) -> None:
        """Leave the line of the pattern, or the log."""
        if self.query_one("#pattern").display:
            self._close_box()
        else:
            self.dismiss()

    def action_find(self, step: int) -> None:
        """The next line that was searched for, or the one before."""
        self.log_view.find(step)

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.log_view.set_wrap(not self.log_view.state.wrap)

    def action_times(self) -> None:
        """Show when each line was written, or not."""
        self.log_view.set_times(not self.log_view.state.times)

    def action_follow(self) -> None:
        """Follow the end, or stay."""
        (self.log_view.pause if self.log_view.following else self.log_view.follow)()

    def action_since(self, choice: int) -> None:
        """Show what was written lately."""
        words, seconds = SINCE[choice]
        if self._feed is not None:
            self._feed.close()
        self.log_view.clear()
        self.log_view.set_state(since=words, connection="")
        self._open(seconds)

    def action_mark(self) -> None:
        """Draw a line under what is there."""
        rule = ("-" if self._glyphs is ASCII else "─") * 12
        self.log_view.notice(f"{rule} {datetime.now().astimezone():%H:%M:%S} {rule}")

    def action_copy(self) -> None:
        """Put the lines on the screen into the terminal's clipboard."""
        if text := self.log_view.visible_text():
            self.app.copy_to_clipboard(text)
            self.notify("Copied what is on the screen.", timeout=2)

    async def action_save(self) -> None:
        """Write the lines that are shown to a new file."""
        view = self.log_view
        lines = plain_lines(view.buffer, view.filter, times=view.state.times)
        try:
            path = await asyncio.to_thread(self._write, self._about, lines)
        except RelayError as error:
            self.notify(clean(error.detail), title=clean(error.title), severity="error", markup=False)
        else:
            self.notify(f"Saved to {clean(str(path))}", timeout=8, markup=False)

    def action_clear(self) -> None:
        """Forget what is there."""
        self.log_view.clear()


def _void(_: object) -> None:
    """Drop a result."""
