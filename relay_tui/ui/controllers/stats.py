"""Stats action and feed: resources of running sessions, read only for what is visible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from textual.message import Message

from relay_tui.domain.models import Session, SessionState
from relay_tui.services.stats_feed import StatsFeed
from relay_tui.ui.controllers.base import Controller, ControllerContext
from relay_tui.ui.keys.dispatch import Handler
from relay_tui.ui.presentation import stats
from relay_tui.ui.widgets.stats_line import StatsLine

if TYPE_CHECKING:
    from textual.timer import Timer

    from relay_tui.ui.presentation.columns import Cell

SETTLE = 0.3  # seconds that the cursor rests before a session is read
BATCH = 0.25  # seconds that readings are gathered before they are drawn, while the columns are shown
CALM = 1.8  # seconds between two draws of the line alone: every second reading, none if nothing changed
VISIBLE_CHECK = 1.0  # seconds between checks which rows are visible, while the columns are shown


class StatsReceived(Message, bubble=False):
    """The feed has new readings."""

    def can_replace(self, message: Message) -> bool:
        """Return True for another one: all readings are drawn together."""
        return isinstance(message, StatsReceived)


class StatsController(Controller):
    """Reads the selected session, and with the columns shown every running session whose row is visible."""

    def __init__(
        self, context: ControllerContext, post: Callable[[Message], object], line: Callable[[], StatsLine]
    ) -> None:
        """`post` takes a StatsReceived, from any thread. `line` returns the line beside the detail's tabs."""
        super().__init__(context)
        self._line = line
        self._feed = StatsFeed(context.relay.runtime, lambda: _drop(post(StatsReceived())))
        self._feed.pace = CALM
        self._has_columns = self._covered = False
        self._settling: Timer | None = None
        self._checking: Timer | None = None

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name."""
        state = self.context.state
        return {"stats": Handler(self.toggle_columns, offered_when=lambda: state().records.any_running)}

    def toggle_columns(self) -> None:
        """Show or hide the columns."""
        self._has_columns = not self._has_columns
        self._feed.pace = BATCH if self._has_columns else CALM
        if self._checking is not None:
            self._checking.stop()
        view = self.context.view
        self._checking = view.set_interval(VISIBLE_CHECK, self._read) if self._has_columns else None
        self._read()
        view.draw_sessions()

    def close(self) -> None:
        """Close the streams."""
        self._feed.close()

    # --- what is read ---

    def _containers(self) -> dict[str, str]:
        """Return container identifiers by session: the detail's session first, then those of visible rows."""
        if self._covered:
            return {}
        view = self.context.view
        found: list[Session | None] = [self._shown_session]
        if self._has_columns and view.sessions.display:
            found += [self.context.state().session(key) for key in view.sessions.visible_keys]
        return {session.id: session.container_id for session in found if session is not None and _has_stats(session)}

    @property
    def _shown_session(self) -> Session | None:
        """The session that the detail is about, if the detail is visible."""
        subject = self.context.selection.subject
        return subject if isinstance(subject, Session) and self.context.view.detail.display else None

    def retry(self) -> None:
        """Read again at once: the engine is reachable again."""
        self._feed.retry()
        self._read()

    def schedule_read(self) -> None:
        """Read once the cursor rests."""
        if self._settling is None:
            self._settling = self.context.view.set_timer(SETTLE, self._read)

    def _read(self) -> None:
        self._settling = None
        self._feed.want(self._containers())
        self.show_line()

    def suspend(self) -> None:
        """Stop reading: another screen covers this one."""
        self._covered = True
        self._feed.close()

    def resume(self) -> None:
        """Read again: no screen covers this one any more."""
        self._covered = False
        self.schedule_read()

    # --- how it is shown ---

    def show_readings(self) -> None:
        """Draw the line, and the columns if they are shown."""
        self.show_line()
        if self._has_columns:
            self.context.view.draw_sessions()

    def show_line(self) -> None:
        """Draw the line beside the detail's tabs."""
        if not self.context.view.detail.populated:
            return
        session = self._shown_session
        is_read = session is not None and _has_stats(session) and self.context.state().engine.state != "down"
        history = self._feed.history(session.id) if session is not None and is_read else None
        error = self._feed.error(session.id) if session is not None else None
        self._line().show(history, error)

    def cells(self) -> dict[str, tuple[Cell, ...]] | None:
        """Return the column cells by session; None while the columns are hidden."""
        if not self._has_columns:
            return None
        return {key: stats.stats_cells(self._feed.history(key)) for key in self._containers()}


def _has_stats(session: Session) -> bool:
    return session.state is SessionState.RUNNING and bool(session.container_id)


def _drop(_: object) -> None:
    """Drop a result."""
