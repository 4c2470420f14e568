"""Several sessions' logs as one, over the whole screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from relay_tui.domain.errors import RelayError
from relay_tui.domain.models import Session, SessionState
from relay_tui.services.logs.merged_feed import LogSourceSpec, MergedLogFeed
from relay_tui.services.logs.resume import rfc3339
from relay_tui.services.logs.source import STEP, LogSource
from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import ACTIONS, ANYWHERE, BY_NAME, Action, L
from relay_tui.ui.keys.key_queue import last_key_time
from relay_tui.ui.log.controller import LogController
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.pacing import RedrawThrottle
from relay_tui.ui.log.pane import HUSH, TAIL
from relay_tui.ui.log.prompt import Kind, LogPrompt
from relay_tui.ui.log.source_labels import SourceLabels
from relay_tui.ui.log.state import format_state
from relay_tui.ui.log.view import LogView
from relay_tui.ui.presentation.formatting import ASCII, Glyphs
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.titled_border import TitledContainer

_ONLY_SOUGHT = frozenset({"log_next", "log_previous"})
_DOES = {"quit": "back"}
"""What leaves relay leaves what covers it first."""


class MergedLogScreen(LogController):
    """Follows them while it is open."""

    DEFAULT_CSS = """
    MergedLogScreen {
        background: $background;
        layers: default line;
        & > #joint { height: 1fr; border: round $primary; border-title-color: $primary-lighten-1; }
        & #joint-view { height: 1fr; scrollbar-size-vertical: 1; }
        & > KeyBar { height: 1; background: $panel; color: $text-muted; }
        &.-plain > #joint { border: ascii $primary; }
        &.-full > #joint { border: none; }
        &.-full > LogPrompt { layer: default; }
    }
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
            return isinstance(message, MergedLogScreen.Arrived)

    def __init__(
        self,
        source: LogSource,
        title: str,
        sessions: Sequence[tuple[Session, str]],
        buffer: LogBuffer,
        save: Callable[[str, Iterable[str]], Path],
        *,
        names: SourceLabels,
        glyphs: Glyphs,
    ) -> None:
        super().__init__()
        self._source = source
        self._about = title
        self._buffer = buffer
        self._write = save
        self._names = names
        self.glyphs = glyphs
        self._voices = self._voiced(sessions, 0, {})
        self._feed: MergedLogFeed | None = None
        self._opened = self._owed = self._draining = False
        self._pace = RedrawThrottle()
        self._title = ""

    def compose(self) -> ComposeResult:
        """The log, its keys, and where a pattern is typed."""
        plain = self.glyphs is ASCII
        with TitledContainer(id="joint"):
            yield LogView(id="joint-view", ascii=plain, buffer=self._buffer, placeholder="No output yet.")
        keys = KeyBar(ascii_only=plain)
        yield keys
        yield LogPrompt(keys, self.use_pattern)

    def on_mount(self) -> None:
        """Begin to follow."""
        self.set_class(self.glyphs is ASCII, "-plain")
        self._open(0)
        self.set_focus(self.log_view)
        self.offer_keys()
        self.watch(self.log_view, "state", self.show_state)

    # --- whose logs ---

    def follow(self, sessions: Sequence[tuple[Session, str]], engine_epoch: int, stirs: Mapping[str, int]) -> None:
        """Follow these sessions, each with its name: some joined, went, or run again.

        `engine_epoch` counts how often the engine came, `stirs` what happened to each session's container: a log that
        ended is looked at once more by that.
        """
        self._voices = self._voiced(sessions, engine_epoch, stirs)
        if self._feed is not None:
            self._feed.follow(self._voices)
            self._entitle()

    def _voiced(
        self, sessions: Sequence[tuple[Session, str]], engine_epoch: int, stirs: Mapping[str, int]
    ) -> list[LogSourceSpec]:
        """Those of them that have a log, what runs first."""
        found = sorted((s for s, _ in sessions if s.container_id), key=lambda s: s.state is not SessionState.RUNNING)
        labels = self._names.labels({s.id: name for s, name in sessions if s.container_id})
        return [
            LogSourceSpec(
                s.id,
                s.container_id,
                labels[s.id],
                opening=f"{s.updated_at} {engine_epoch} {stirs.get(s.id, 0)}",
            )
            for s in found
        ]

    def _open(self, since: float) -> None:
        """Follow what was written in the last so many seconds, and what comes; 0: all of it."""
        began = rfc3339(time.time() - since) if since else ""
        self._opened = self._owed = False
        app = self.app
        self._pace.restart()
        self._feed = MergedLogFeed(
            self._source,
            self._voices,
            lambda: _void(self.post_message(self.Arrived())),
            tail=max(TAIL, 2 * app.size.height),
            since=began,
            rest=lambda: last_key_time(app) + HUSH - time.monotonic(),
        )
        self._entitle()

    def _entitle(self) -> None:
        """Say in the border how many there are, and how many of them have ended."""
        feed = self._feed
        if feed is None:
            return
        count, all_of_them, ended = len(feed), len(self._voices), feed.ended
        words = [clean(self._about), f"{count} {'log' if count == 1 else 'logs'}"]
        if count < all_of_them:
            words[1] += f" of {all_of_them}"
        words += [f"{ended} ended"] if 0 < ended < count else []
        title = f" {self.glyphs.dot} ".join(words)
        if title != self._title:
            self._title = title
            self.query_one(TitledContainer).say_above(Content(title))

    def on_unmount(self) -> None:
        """Let go of the streams."""
        if self._feed is not None:
            self._feed.close()

    # --- the lines as they come ---

    @on(Arrived)
    def drain_soon(self) -> None:
        """Draw in batches, the first of them at once."""
        if not self._draining:
            self._drain_when_due()

    def _drain_when_due(self) -> None:
        due = self._pace.due(time.monotonic(), last_key_time(self.app))
        self._draining = due > 0
        if self._draining:
            self.set_timer(due, self._drain_when_due)
        else:
            self._drain()

    def _drain(self) -> None:
        self._pace.begin(time.monotonic())
        self.call_after_refresh(lambda: self._pace.end(time.monotonic()))
        feed = self._feed
        if feed is None:
            return
        if batches := feed.drain():
            self.log_view.extend(batches)
            if not self._opened:
                self._opened = True
                self.log_view.expect_older(True)
        self.log_view.set_partial(feed.begun)
        self.log_view.set_state(connection=feed.connection)
        if self._owed and not feed.connection:
            self._owed = False
            self.log_view.expect_older(True)
        self._entitle()

    @on(LogView.OlderWanted)
    def load_older(self) -> None:
        """Read the lines before the first, in the background. Where lines were dropped there, others would not fit."""
        if self._feed is None or self._buffer.dropped:
            self.log_view.prepend([], complete=True)
        else:
            wanted = min(max(STEP, len(self._buffer)), self._buffer.room)
            self.run_worker(self._load(self._feed, wanted), group="older lines", exclusive=True)

    async def _load(self, feed: MergedLogFeed, wanted: int) -> None:
        first = self._buffer.first
        try:
            older = await asyncio.to_thread(feed.older, wanted)
        except RelayError:
            older = None  # the engine went: it is asked again when it is back
        if self._feed is not feed:
            return
        if self._buffer.first != first:
            self.log_view.prepend([], complete=True)
        elif older is None:
            self._owed = True
            self.log_view.older_failed()
        else:
            self.log_view.prepend(older.batches, complete=older.complete)

    def show_state(self) -> None:
        """Tell in the border what the view does, in one drawing with it."""
        self.query_one(TitledContainer).say_below(Content(format_state(self.log_view.state, self.glyphs.dot)))

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

    # --- keys ---

    def action_back(self) -> None:
        """Leave the innermost thing: the pattern, the search, the full screen, the log."""
        if self.leave_prompt() or self.leave_search():
            return
        if self.has_class("-full"):
            self.action_log_full()
        else:
            self.dismiss()

    def action_log_full(self) -> None:
        """Give the log every line of the screen, or take it back: without a frame the mouse selects text cleanly."""
        self.toggle_class("-full")
        keys, prompt = self.query_one(KeyBar), self.query_one(LogPrompt)
        keys.display = not self.has_class("-full")
        prompt.display = prompt.is_open or keys.display

    def ask_pattern(self, kind: Kind, text: str) -> None:
        """Without keys that it could lie over, the line takes one from the log."""
        if self.has_class("-full"):
            self.query_one(LogPrompt).display = True
        super().ask_pattern(kind, text)

    def close_prompt(self) -> bool:
        """And gives it back."""
        closed = super().close_prompt()
        if self.has_class("-full"):
            self.query_one(LogPrompt).display = False
        return closed

    def action_help(self) -> None:
        """Show the keys that mean something here."""
        from relay_tui.ui.dialogs.help import HelpScreen

        actions = [a for a in ACTIONS if L in a.places or a.name in ANYWHERE]
        self.app.push_screen(HelpScreen(actions, ascii_only=self.glyphs is ASCII))

    def action_command_palette(self) -> None:
        """From the key bar."""
        self.app.action_command_palette()


def _void(_: object) -> None:
    """Drop a result."""
