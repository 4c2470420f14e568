"""Pane with the log of one session: opens, follows, drains in batches, loads older lines and resumes."""

from __future__ import annotations

import asyncio
import time

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer

from relay_tui.domain.errors import RelayError
from relay_tui.domain.log_batch import LogBatch
from relay_tui.domain.models import Session, SessionState
from relay_tui.services.logs.feed import LogFeed
from relay_tui.services.logs.resume import LogCursor, oldest_edge, rfc3339
from relay_tui.services.logs.source import STEP, LogSource
from relay_tui.services.logs.status import LogStatus
from relay_tui.text.sanitize import clean
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.keys.key_queue import last_key_time
from relay_tui.ui.log.model.buffer import LogBuffer
from relay_tui.ui.log.model.pacing import RedrawThrottle
from relay_tui.ui.log.view import LogView

TAIL = 200  # lines of history when a log is opened: the engine sends them at once; scrolling up loads more
LINGER = 0.1  # seconds for which the previous log stays on the screen, unless lines of the next log arrive sooner
HUSH = 0.03  # seconds without reading after a key, so that the key's effect is drawn first
QUIET = 0.1  # seconds without a new line after which a partial line is shown
SETTLE = 0.12  # seconds the cursor rests on a session before its log is opened, if it moved just before


class LogPane(Vertical):
    """Pane that follows the log of the current session."""

    class LinesArrived(Message):
        """Message: a feed has lines to drain, or its status has changed."""

        def __init__(self, feed: LogFeed | None) -> None:
            super().__init__()
            self.feed = feed

    def __init__(self, source: LogSource, buffer: LogBuffer, *, ascii_only: bool) -> None:
        super().__init__(id="log")
        self._source = source
        self._buffer = buffer
        self._ascii = ascii_only
        self._session: Session | None = None
        self._feed: LogFeed | None = None
        self._status = LogStatus()
        self._opened_for = ""
        self._engine_epoch = 0
        self._waiting: Timer | None = None
        self._moved_at = 0.0
        self._pace = RedrawThrottle()
        self._draining: Timer | None = None
        self._beginning: Timer | None = None
        self._since = 0.0  # seconds before now; 0: all
        self._began = ""  # that moment in the engine's time format

    def compose(self) -> ComposeResult:
        """Yield the log view."""
        yield LogView(id="log-view", ascii=self._ascii, buffer=self._buffer)

    @property
    def log_view(self) -> LogView:
        """Log view of this pane."""
        return self.query_one(LogView)

    @property
    def session(self) -> Session | None:
        """Session whose log is shown."""
        return self._session

    # --- choice of the log ---

    def show(self, session: Session | None, engine_epoch: int = 0, stirs: int = 0) -> None:
        """Follow the session's log, or none. A log that ended continues if there may be more lines.

        `engine_epoch` counts how often the engine became reachable, `stirs` the events of the session's container. A
        log that ended is read again after either.
        """
        previous, self._session = self._session, session
        if (previous.id if previous else None) != (session.id if session else None):
            self._close()
            if len(self._buffer) or not self.log_view.following:
                self.log_view.clear(linger=LINGER)
            self.log_view.set_state(connection="")
        self.log_view.placeholder = _placeholder(session, since=bool(self._since))
        if session is None or not session.container_id:
            return
        opening = f"{session.container_id} {session.updated_at} {engine_epoch} {stirs}"
        if self._opened_for and not self._opened_for.startswith(session.container_id):
            self._close()
            self.log_view.clear()
        if self._feed is not None:
            if engine_epoch != self._engine_epoch:
                self._feed.retry()
            if self._opened_for != opening:
                self._opened_for = opening
                self._feed.resume()
        elif self._waiting is None:
            self._open_soon()
        if self._feed is None:
            self._opened_for = opening
        self._engine_epoch = engine_epoch

    def _open_soon(self) -> None:
        """Open the log at once, or after a pause if the cursor is moving over several sessions."""
        now, before = time.monotonic(), self._moved_at
        self._moved_at = now
        if now - before > SETTLE:
            self._open()
        else:
            self._waiting = self.set_timer(SETTLE, self._open)

    def _open(self) -> None:
        self._waiting = None
        session = self._session
        if session is None or not session.container_id:
            return
        self._began = rfc3339(time.time() - self._since) if self._since else ""
        self._status = LogStatus()
        box: list[LogFeed] = []

        def wake() -> None:
            self.post_message(self.LinesArrived(box[0] if box else None))

        app, pace = self.app, self._pace
        pace.open(time.monotonic())
        self._feed = self._source.follow(
            session.container_id,
            wake,
            tail=max(TAIL, 2 * self.size.height),
            since=self._began,
            rest=lambda: pace.counts(last_key_time(app)) + HUSH - time.monotonic(),
        )
        box.append(self._feed)

    def reopen(self, since: float, words: str) -> None:
        """Show the last `since` seconds and what follows, or the whole log for 0. `words` is the text in the border."""
        self._since = since
        self._close()
        self.log_view.clear()
        self.log_view.set_state(since=words, connection="")
        self.log_view.placeholder = _placeholder(self._session, since=bool(since))
        self._open()

    def _close(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
        if self._feed is not None:
            self._feed.close()
            self._feed = None
        self._opened_for = ""
        if self._beginning is not None:
            self._beginning.stop()
            self._beginning = None

    def on_unmount(self) -> None:
        """Close the stream."""
        self._close()

    # --- new lines ---

    @on(LinesArrived)
    def schedule_drain(self) -> None:
        """Schedule the next draw. Lines are drawn in batches, the first batch at once."""
        feed = self._feed
        if feed is None:
            return
        whole = feed.opened or feed.status.ended
        due = self._pace.due(time.monotonic(), last_key_time(self.app), whole=whole)
        if due <= 0:
            self._drain()
        elif self._draining is None:
            self._draining = self.set_timer(due, self._drain_when_due)

    def _drain_when_due(self) -> None:
        self._draining = None
        self.schedule_drain()

    def _drain(self) -> None:
        if self._draining is not None:
            self._draining.stop()
            self._draining = None
        self._pace.begin(time.monotonic())
        self.call_after_refresh(lambda: self._pace.end(time.monotonic()))
        feed = self._feed
        if feed is None:
            return
        status = feed.status
        batches = feed.drain()
        if batches:
            opened = not len(self._buffer)
            self.log_view.extend(batches)
            if opened:
                self.log_view.expect_older(True)
        self._begin_lines(feed.begun)
        if status != self._status:
            self._status = status
            self.log_view.set_state(connection="" if status.word == "following" else status.word)

    def _begin_lines(self, begun: LogBatch) -> None:
        """Show partial lines once no new lines arrive. During a burst they are complete a moment later."""
        if self._beginning is not None:
            self._beginning.stop()
            self._beginning = None
        if begun and not self._buffer.partial_line:
            self._beginning = self.set_timer(QUIET, lambda: self.log_view.set_partial(begun))
        else:
            self.log_view.set_partial(begun)

    @on(LogView.OlderWanted)
    def load_older(self) -> None:
        """Load the lines before the first one in the background."""
        feed, session = self._feed, self._session
        edge = oldest_edge(self._buffer.blocks)
        if feed is None or session is None or edge is None:
            self.log_view.prepend([], complete=True)
            return
        wanted = min(max(STEP, len(self._buffer)), self._buffer.room)
        self.run_worker(self._load(feed, session.container_id, edge, wanted), group="older lines", exclusive=True)

    async def _load(self, feed: LogFeed, container_id: str, edge: LogCursor, wanted: int) -> None:
        held, since = len(self._buffer), self._began
        try:
            older = await asyncio.to_thread(
                self._source.older, container_id, edge, held=held, wanted=wanted, since=since
            )
        except RelayError:
            older = None  # the engine or the container is not reachable: the feed reports it
        if self._feed is not feed:
            return
        if older is None or not len(self._buffer):
            self.log_view.older_failed()
        else:
            self.log_view.prepend(older.batches, complete=older.complete)


def _placeholder(session: Session | None, *, since: bool) -> str:
    if session is None:
        return ""
    if session.state is SessionState.STARTING:
        return "Starting …"
    if session.error_reason is not None:
        return f"{clean(session.error_reason.title)}\n\nPress {key_of('next_tab')} for the full error in the Info tab."
    if not session.container_id:
        return "No container yet."
    if since:
        return "No output since then."
    if session.state is SessionState.STOPPED:
        return f"The session is stopped, and its log is empty.\n\nPress {key_of('stop_start')} to start it."
    return (
        f"No output yet.\n\nPress {key_of('shell')} to open a shell in the session, "
        f"or {key_of('attach')} to attach to its command, if its profile has one."
    )
