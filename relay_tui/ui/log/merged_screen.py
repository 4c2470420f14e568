"""Screen of the merged log: the lines of several sessions in one view."""

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
from textual.screen import Screen

from relay_tui.domain.errors import RelayError
from relay_tui.domain.models import Session, SessionState
from relay_tui.services.logs.merged_feed import LogSourceSpec, MergedLogFeed
from relay_tui.services.logs.resume import rfc3339
from relay_tui.services.logs.source import STEP, LogSource
from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import ACTIONS, ANYWHERE, BY_NAME, L
from relay_tui.ui.keys.dispatch import Dispatcher, Handler
from relay_tui.ui.keys.key_queue import last_key_time
from relay_tui.ui.log.controller import LogController
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.pacing import RedrawThrottle
from relay_tui.ui.log.pane import HUSH, TAIL
from relay_tui.ui.log.source_labels import SourceLabels
from relay_tui.ui.log.state import format_state
from relay_tui.ui.log.view import LogView
from relay_tui.ui.presentation.formatting import ASCII, Glyphs
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.titled_border import TitledContainer

_BACK_PRIORITY = 99  # in the key bar: the key for back precedes every other key


class MergedLogScreen(Screen[None]):
    """Screen that follows the logs of several sessions while it is open."""

    DEFAULT_CSS = """
    MergedLogScreen {
        background: $background;
        layers: default line flash;
        & > #joint { height: 1fr; border: round $primary; border-title-color: $primary-lighten-1; }
        & #joint-view { height: 1fr; scrollbar-size-vertical: 1; }
        & > KeyBar { height: 1; background: $panel; color: $text-muted; }
        &.-plain > #joint { border: ascii $primary; }
        &.-full > #joint { border: none; }
        &.-full > LogPrompt { layer: default; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(a.keys, f"dispatch('{a.name}')", a.help, show=False, id=a.binding_id)
        for a in ACTIONS
        if a.name in ANYWHERE and a.name != "command_palette"
    ]
    """Bindings of the screen. The log's keys are bindings of LogView; ctrl+p is a binding of the app."""

    class LinesArrived(Message):
        """Message: the feed has lines to draw."""

        def can_replace(self, message: Message) -> bool:
            """Return True for another one: all lines are drawn at once."""
            return isinstance(message, MergedLogScreen.LinesArrived)

    def __init__(
        self,
        source: LogSource,
        title: str,
        sessions: Sequence[tuple[Session, str]],
        buffer: LogBuffer,
        write: Callable[[str, Iterable[str]], Path],
        *,
        names: SourceLabels,
        glyphs: Glyphs,
    ) -> None:
        """`sessions` are given with their names in the log; `write` writes a log to a new file."""
        super().__init__()
        self.glyphs = glyphs
        self._source = source
        self._subject = title
        self._buffer = buffer
        self._names = names
        self._specs = self._log_specs(sessions, 0, {})
        self._feed: MergedLogFeed | None = None
        self._has_lines = self._older_owed = self._draining = False
        self._throttle = RedrawThrottle()
        self._title = ""
        self._key_bar = KeyBar(ascii_only=glyphs is ASCII)
        self._log_keys = LogController(
            self,
            glyphs,
            log_view=lambda: self.log_view,
            log_name=lambda: title,
            reopen=self.reopen_log,
            write=write,
            keys_changed=self.offer_keys,
            prompt_shown=self._make_room_for_prompt,
        )
        self._prompt = self._log_keys.build_prompt(self._key_bar)
        self.dispatcher = Dispatcher(
            {
                **self._log_keys.handlers(),
                "log_full": Handler(self.toggle_full_screen),
                "back": Handler(self.back),
                "help": Handler(self.show_help),
                "command_palette": Handler(lambda: self.app.action_command_palette()),
                "quit": Handler(self.back),  # closes what covers the main screen before it quits
            },
            lambda: frozenset({L}),
        )

    def compose(self) -> ComposeResult:
        """Yield the log, the key bar and the prompt over it."""
        with TitledContainer(id="joint"):
            plain = self.glyphs is ASCII
            yield LogView(id="joint-view", ascii=plain, buffer=self._buffer, placeholder="No output yet.")
        yield self._key_bar
        yield self._prompt

    def on_mount(self) -> None:
        """Open the logs."""
        self.set_class(self.glyphs is ASCII, "-plain")
        self._open(0)
        self.set_focus(self.log_view)
        self.offer_keys()
        self.watch(self.log_view, "state", self._show_state)

    def on_unmount(self) -> None:
        """Close the streams."""
        if self._feed is not None:
            self._feed.close()

    @property
    def log_view(self) -> LogView:
        """Log view of this screen."""
        return self.query_one(LogView)

    # --- choice of logs ---

    def follow(self, sessions: Sequence[tuple[Session, str]], engine_epoch: int, stirs: Mapping[str, int]) -> None:
        """Follow these sessions, each given with its name.

        `engine_epoch` counts how often the engine became reachable, `stirs` the events of each session's container. A
        log that ended is read again after either.
        """
        self._specs = self._log_specs(sessions, engine_epoch, stirs)
        if self._feed is not None:
            self._feed.follow(self._specs)
            self._show_title()

    def _log_specs(
        self, sessions: Sequence[tuple[Session, str]], engine_epoch: int, stirs: Mapping[str, int]
    ) -> list[LogSourceSpec]:
        """Return the sessions that have a log, running ones first."""
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

    def reopen_log(self, since: float, words: str) -> None:
        """Show the last `since` seconds and what follows, or all of it for 0. `words` is the text in the border."""
        if self._feed is not None:
            self._feed.close()
        self.log_view.clear()
        self.log_view.set_state(since=words, connection="")
        self._open(since)

    def _open(self, since: float) -> None:
        began = rfc3339(time.time() - since) if since else ""
        self._has_lines = self._older_owed = False
        app = self.app
        self._throttle.restart()
        self._feed = MergedLogFeed(
            self._source,
            self._specs,
            self._wake,
            tail=max(TAIL, 2 * app.size.height),
            since=began,
            rest=lambda: last_key_time(app) + HUSH - time.monotonic(),
        )
        self._show_title()

    def _wake(self) -> None:
        """Post a message for new lines. Called from the feed's threads."""
        self.post_message(self.LinesArrived())

    def _show_title(self) -> None:
        """Show in the border how many logs there are and how many of them have ended."""
        feed = self._feed
        if feed is None:
            return
        count, wanted, ended = len(feed), len(self._specs), feed.ended
        parts = [clean(self._subject), f"{count} {'log' if count == 1 else 'logs'}"]
        if count < wanted:
            parts[1] += f" of {wanted}"
        parts += [f"{ended} ended"] if 0 < ended < count else []
        title = f" {self.glyphs.dot} ".join(parts)
        if title != self._title:
            self._title = title
            self.query_one(TitledContainer).set_title(Content(title))

    # --- lines as they arrive ---

    @on(LinesArrived)
    def schedule_drain(self) -> None:
        """Schedule the next draw. Lines are drawn in batches, the first batch at once."""
        if not self._draining:
            self._drain_when_due()

    def _drain_when_due(self) -> None:
        due = self._throttle.due(time.monotonic(), last_key_time(self.app))
        self._draining = due > 0
        if self._draining:
            self.set_timer(due, self._drain_when_due)
        else:
            self._drain()

    def _drain(self) -> None:
        self._throttle.begin(time.monotonic())
        self.call_after_refresh(lambda: self._throttle.end(time.monotonic()))
        feed = self._feed
        if feed is None:
            return
        if batches := feed.drain():
            self.log_view.extend(batches)
            if not self._has_lines:
                self._has_lines = True
                self.log_view.expect_older(True)
        self.log_view.set_partial(feed.begun)
        self.log_view.set_state(connection=feed.connection)
        if self._older_owed and not feed.connection:
            self._older_owed = False
            self.log_view.expect_older(True)
        self._show_title()

    @on(LogView.OlderWanted)
    def load_older(self) -> None:
        """Load the lines before the first one in the background. Once lines were dropped, no older lines fit."""
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
            older = None  # the engine is not reachable: loaded again when it is
        if self._feed is not feed:
            return
        if self._buffer.first != first:
            self.log_view.prepend([], complete=True)
        elif older is None:
            self._older_owed = True
            self.log_view.older_failed()
        else:
            self.log_view.prepend(older.batches, complete=older.complete)

    # --- state of the view ---

    @on(LogView.StateChanged)
    def log_state_changed(self, message: LogView.StateChanged) -> None:
        """Pass the state on to the log's controller."""
        self._log_keys.state_changed(message.state)

    @on(LogView.NothingFound)
    def nothing_found(self) -> None:
        """Pass the failed search on to the log's controller."""
        self._log_keys.report_nothing_found()

    def _show_state(self) -> None:
        """Show the view's state in the border, in the same draw."""
        self.query_one(TitledContainer).set_subtitle(Content(format_state(self.log_view.state, self.glyphs.dot)))

    # --- keys ---

    async def action_dispatch(self, name: str, *arguments: object) -> None:
        """Run an action of the table."""
        await self.dispatcher.run(name, *arguments)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether a key of the action does anything now."""
        return action != "dispatch" or self.dispatcher.can_run(str(parameters[0]))

    def offer_keys(self) -> None:
        """Show the keys that apply now, the key for back first."""
        back = replace(BY_NAME["back"], footer=_BACK_PRIORITY)
        others = [a for a in self.dispatcher.offered if a.footer and a.name not in {"back", "quit"}]
        self._key_bar.offer([back, *others])

    def back(self) -> None:
        """Close the prompt, else end the search, else leave the full screen, else close the log."""
        if self._log_keys.cancel_prompt() or self._log_keys.cancel_search():
            return
        if self.has_class("-full"):
            self.toggle_full_screen()
        else:
            self.dismiss()

    def toggle_full_screen(self) -> None:
        """Show the log on the full screen, or show border and keys again.

        Without a border the mouse selects whole lines of text.
        """
        self.toggle_class("-full")
        self._key_bar.display = not self.has_class("-full")
        self._prompt.display = self._prompt.is_open or self._key_bar.display

    def _make_room_for_prompt(self, shown: bool) -> None:
        """Take a line from the full-screen log for the prompt: there is no key bar that it could cover."""
        if self.has_class("-full"):
            self._prompt.display = shown

    def show_help(self) -> None:
        """Show the keys that apply here."""
        from relay_tui.ui.dialogs.help import HelpScreen

        self.app.push_screen(HelpScreen(self.dispatcher.actions, ascii_only=self.glyphs is ASCII))
