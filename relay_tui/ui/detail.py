"""The detail pane: tabs about whatever is selected."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Tab, Tabs

from relay_tui.model import Session, SessionState
from relay_tui.services.log_feed import LogFeed
from relay_tui.text import clean
from relay_tui.ui.hanging import Hanging
from relay_tui.ui.log_view import LogView

TAIL = 10_000  # lines of history a log is opened with
DRAIN = 0.05  # seconds between arrival and drawing, so that a burst is drawn in batches
SETTLE = 0.12  # seconds the cursor rests on a session before its log is opened

OpenFeed = Callable[[str, Callable[[], None], int], LogFeed]
"""Takes a container id, what to call when there is something to drain, and how many lines to begin with."""


class Detail(Vertical):
    """Log and Info of the selected session, or Info alone of a project."""

    class LogArrived(Message):
        """The feed has something to drain."""

        def __init__(self, feed: LogFeed | None) -> None:
            super().__init__()
            self.feed = feed

    def __init__(self, open_feed: OpenFeed, *, ascii_only: bool) -> None:
        super().__init__(id="detail", classes="pane")
        self._open_feed = open_feed
        self._ascii = ascii_only
        self._session: Session | None = None
        self._feed: LogFeed | None = None
        self._opened_for = ""
        self._waiting: Timer | None = None
        self._draining = False
        self._wanted = "log"
        self._epoch = 0
        self._title = ""
        self._facts: Callable[[], Content] = Content

    def compose(self) -> ComposeResult:
        """A line of tabs over what they show."""
        yield Tabs(Tab("Log", id="log"), Tab("Info", id="info"))
        with ContentSwitcher(initial="log"):
            yield LogView(id="log", ascii=self._ascii)
            with VerticalScroll(id="info"):
                yield Hanging(id="facts")

    def on_mount(self) -> None:
        """The tabs are for the eye and the mouse; keys are `[` and `]`."""
        self.query_one(Tabs).can_focus = False

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    # --- what is shown ---

    def show_facts(self, title: str, facts: Callable[[], Content], *, only: bool) -> None:
        """Name the selected thing; `facts` tells everything about it when it is looked at; `only`: there is no log."""
        if title != self._title:
            self._title = title
            self.border_title = Content(clean(title))
        self._facts = facts
        tabs = self.query_one(Tabs)
        if tabs.query_one("#log", Tab).display == only:
            (tabs.hide if only else tabs.show)("log")
        self._switch("info" if only else self._wanted)

    def _tell_facts(self) -> None:
        """Tell everything, if anybody looks: to lay it out takes longer than to move the cursor."""
        if self.query_one(ContentSwitcher).current == "info":
            self.query_one("#facts", Hanging).update(self._facts())

    def show_log(self, session: Session | None, engine_epoch: int = 0) -> None:
        """Follow the session's log; None: nobody's. A stream that ended is opened again when there may be more.

        `engine_epoch` counts how often the engine came: a stream that ended because it went is resumed by that.
        """
        self._epoch = engine_epoch
        previous, self._session = self._session, session
        changed = (previous.id if previous else None) != (session.id if session else None)
        if changed:
            self._close()
            if len(self.log_view.buffer) or not self.log_view.following:
                self.log_view.clear()
        self.log_view.placeholder = _placeholder(session)
        if session is None or not session.container_id:
            return
        stale = self._opened_for and not self._opened_for.startswith(session.container_id)
        resumed = (
            self._feed is not None
            and self._feed.ended
            and session.state is SessionState.RUNNING
            and self._opened_for != self._opening(session)
        )
        if stale or resumed:
            self._close()
        if self._feed is None and self._waiting is None:
            self._waiting = self.set_timer(SETTLE, self._open)

    def _open(self) -> None:
        self._waiting = None
        session = self._session
        if session is None or not session.container_id:
            return
        self.log_view.clear()
        self._opened_for = self._opening(session)
        box: list[LogFeed] = []
        self._feed = self._open_feed(
            session.container_id, lambda: void(self.post_message(self.LogArrived(box[0] if box else None))), TAIL
        )
        box.append(self._feed)

    def _close(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
        if self._feed is not None:
            self._feed.close()
            self._feed = None
        self._opened_for = ""

    def on_unmount(self) -> None:
        """Let go of the stream."""
        self._close()

    def _opening(self, session: Session) -> str:
        return f"{session.container_id} {session.updated_at} {self._epoch}"

    # --- the log as it comes ---

    @on(LogArrived)
    def drain_soon(self) -> None:
        """Draw in batches."""
        if not self._draining:
            self._draining = True
            self.set_timer(DRAIN, self._drain)

    def _drain(self) -> None:
        self._draining = False
        feed = self._feed
        if feed is None:
            return
        ended = feed.ended
        for chunk in feed.drain():
            self.log_view.write(chunk.data, chunk.stream)
        if ended:
            self.log_view.notice(_ending(feed, self._session))

    # --- tabs ---

    @on(Tabs.TabActivated)
    def tab_chosen(self, event: Tabs.TabActivated) -> None:
        """A click on a tab, or our own switching."""
        chosen = event.tab.id or "log"
        self.query_one(ContentSwitcher).current = chosen
        self._tell_facts()
        if event.tabs.query_one("#log", Tab).display:
            self._wanted = chosen

    def turn(self, step: int) -> None:
        """Show the next tab, or the one before."""
        tabs = self.query_one(Tabs)
        (tabs.action_next_tab if step > 0 else tabs.action_previous_tab)()

    def _switch(self, name: str) -> None:
        tabs = self.query_one(Tabs)
        if tabs.active != name:
            tabs.active = name
        self.query_one(ContentSwitcher).current = name
        self._tell_facts()

    def take_focus(self) -> None:
        """Focus whatever the present tab shows."""
        current = self.query_one(ContentSwitcher).visible_content
        if current is not None:
            self.screen.set_focus(current)  # at once: widget.focus() would come after the next key


def void(_: object) -> None:
    """Drop a result."""


def _ending(feed: LogFeed, session: Session | None) -> str:
    if feed.error is not None:
        return f"{feed.error.title} {feed.error.detail}".strip()
    if session is not None and session.exit_code is not None:
        return f"ended, exit code {session.exit_code}"
    return "ended"


def _placeholder(session: Session | None) -> str:
    if session is None:
        return ""
    if session.state is SessionState.STARTING:
        return "Starting …"
    if session.error_reason is not None:
        return f"{clean(session.error_reason.title)}\n\nThe Info tab ( ] ) has it in full."
    if not session.container_id:
        return "There is no container yet."
    if session.state is SessionState.STOPPED:
        return "The session is stopped, and its log is empty.\n\nS starts it."
    return "No output yet.\n\ne opens a shell in the session; a attaches to its command, if its profile has one."
