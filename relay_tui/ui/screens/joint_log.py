"""Several sessions' logs as one, over the whole screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer

from relay_tui.services.joint_feed import JointFeed, Voice
from relay_tui.services.log_join import rfc3339
from relay_tui.services.log_source import LogSource
from relay_tui.text import clean
from relay_tui.ui.actions import ACTIONS, ANYWHERE, BY_NAME, Action, L
from relay_tui.ui.bars import KeyBar
from relay_tui.ui.log_actions import LogActions
from relay_tui.ui.log_buffer import LogBuffer
from relay_tui.ui.log_prompt import LogPrompt
from relay_tui.ui.log_state import state_words
from relay_tui.ui.log_view import LogView
from relay_tui.ui.present import ASCII, Glyphs

TAIL = 1_000  # lines of history of each
DRAIN = 0.05
_ONLY_SOUGHT = frozenset({"log_next", "log_previous"})
_DOES = {"quit": "back"}
"""What leaves relay leaves what covers it first."""


class JointLog(LogActions):
    """Follows them while it is open."""

    DEFAULT_CSS = """
    JointLog {
        background: $background;
        & > #joint { height: 1fr; border: round $primary; border-title-color: $primary-lighten-1; }
        & #joint-view { height: 1fr; scrollbar-size-vertical: 1; }
        & > KeyBar { height: 1; background: $panel; color: $text-muted; }
        &.-full > #joint { border: none; }
    }
    .-ascii JointLog > #joint { border: ascii $primary; }
    .-ascii JointLog.-full > #joint { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(a.keys, _DOES.get(a.name, a.name), a.help, show=False, id=a.binding_id)
        for a in ACTIONS
        if a.name in ANYWHERE and a.name != "command_palette"
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
        self.glyphs = glyphs
        self._feed: JointFeed | None = None
        self._draining: Timer | None = None

    def compose(self) -> ComposeResult:
        """The log, its keys, and where a pattern is typed."""
        plain = self.glyphs is ASCII
        with Vertical(id="joint"):
            yield LogView(id="joint-view", ascii=plain, buffer=self._buffer, placeholder="No output yet.")
        yield LogPrompt(self.use_pattern)
        yield KeyBar(ascii_only=plain)

    def on_mount(self) -> None:
        """Begin to follow."""
        self._open(0)
        self.set_focus(self.log_view)
        self.offer_keys()
        self.show_state()

    def _open(self, since: float) -> None:
        """Follow what was written in the last so many seconds, and what comes; 0: all of it."""
        began = rfc3339(time.time() - since) if since else ""
        self._feed = JointFeed(
            self._source, self._voices, lambda: _void(self.post_message(self.Arrived())), tail=TAIL, since=began
        )
        count = f"{len(self._feed)} logs" + (f" of {len(self._voices)}" if len(self._feed) < len(self._voices) else "")
        self.query_one("#joint").border_title = Content(f"{clean(self._about)} {self.glyphs.dot} {count}")

    def on_unmount(self) -> None:
        """Let go of the streams."""
        if self._feed is not None:
            self._feed.close()

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
        self.query_one("#joint").border_subtitle = Content(state_words(self.log_view.state, self.glyphs.dot))

    # --- what the keys of a log want to know ---

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    @property
    def log_name(self) -> str:
        """What it is about."""
        return self._about

    def reopen_log(self, since: float, words: str) -> None:
        """Show what was written lately, and what comes."""
        if self._feed is not None:
            self._feed.close()
        self.log_view.clear()
        self.log_view.set_state(since=words, connection="")
        self._open(since)

    def save_log(self, name: str, pieces: Iterable[str]) -> Path:
        """Among the others."""
        return self._write(name, pieces)

    def offered(self, action: Action) -> bool:
        """The keys of a log, and those of every screen."""
        if action.name in _ONLY_SOUGHT:
            return self.log_view.state.found is not None
        return L in action.places or action.name in ANYWHERE

    def offer_keys(self) -> None:
        """Show the keys that mean something now: the way back first."""
        back = replace(BY_NAME["back"], footer=99)
        others = [a for a in ACTIONS if a.footer and a.name not in _DOES and self.offered(a)]
        self.query_one(KeyBar).offer([back, *others])

    @property
    def shows_keys(self) -> bool:
        """Not while the log has every line of the screen."""
        return not self.has_class("-full")

    # --- keys ---

    def action_back(self) -> None:
        """Leave the innermost thing: the pattern, the search, the full screen, the log."""
        if self.close_prompt() or self.leave_search():
            return
        if self.has_class("-full"):
            self.action_log_full()
        else:
            self.dismiss()

    def action_log_full(self) -> None:
        """Give the log every line of the screen, or take it back: without a frame the mouse selects text cleanly."""
        self.toggle_class("-full")
        self.query_one(KeyBar).display = self.shows_keys

    def action_help(self) -> None:
        """Show the keys that mean something here."""
        from relay_tui.ui.screens.help import HelpScreen

        actions = [a for a in ACTIONS if L in a.places or a.name in ANYWHERE]
        self.app.push_screen(HelpScreen(actions, ascii_only=self.glyphs is ASCII))

    def action_command_palette(self) -> None:
        """From the key bar."""
        self.app.action_command_palette()


def _void(_: object) -> None:
    """Drop a result."""
