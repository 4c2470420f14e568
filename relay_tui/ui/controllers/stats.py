"""The panes with figures: what running sessions take, read only for what is on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events, on
from textual.message import Message

from relay_tui.domain.models import Session, SessionState
from relay_tui.services.stats_feed import StatsFeed
from relay_tui.ui.controllers.filter import FilterController
from relay_tui.ui.presentation import stats
from relay_tui.ui.widgets.stats_line import StatsLine

if TYPE_CHECKING:
    from textual.timer import Timer

    from relay_tui.ui.presentation.columns import Cell

SETTLE = 0.3  # seconds that the cursor rests before a session is read
BATCH = 0.25  # seconds that readings are gathered before they are drawn, while there are columns of figures
CALM = 1.8  # seconds between two drawings of the line alone: every other reading, and none where nothing changed
LOOK = 1.0  # seconds between looks which rows are on the screen, while there are columns of figures


class StatsController(FilterController):
    """Reads the selected session, and with the columns switched on every running one whose row is to be seen."""

    class Read(Message, bubble=False):
        """There are new readings."""

        def can_replace(self, message: Message) -> bool:
            """They are drawn together."""
            return isinstance(message, StatsController.Read)

    def on_mount(self) -> None:
        """Nothing is read yet."""
        self._feed = StatsFeed(self.relay.runtime, lambda: noop(self.post_message(self.Read())))
        self._feed.pace = CALM
        self._with_columns = self._covered = False
        self._settling: Timer | None = None
        self._looking: Timer | None = None

    def on_unmount(self) -> None:
        """Let go of the streams."""
        self._feed.close()

    def action_meters(self) -> None:
        """Switch the columns on or off."""
        self._with_columns = not self._with_columns
        self._feed.pace = BATCH if self._with_columns else CALM
        if self._looking is not None:
            self._looking.stop()
        self._looking = self.set_interval(LOOK, self._measure) if self._with_columns else None
        self._measure()
        self._draw_sessions()

    # --- what is read ---

    def _wanted(self) -> dict[str, str]:
        """Container ids by session id: of the one in the detail, then of those whose rows are on the screen."""
        if self._covered:
            return {}
        found: list[Session | None] = [self._shown_session]
        if self._with_columns and self.sessions.display:
            found += [self.world.session(key) for key in self.sessions.visible_keys]
        return {session.id: session.container_id for session in found if session is not None and _is_read(session)}

    @property
    def _shown_session(self) -> Session | None:
        """The session that the detail is about, if it is to be seen."""
        subject = self.subject
        return subject if isinstance(subject, Session) and self.detail.display else None

    def engine_came_back(self) -> None:
        """Read again at once."""
        self._feed.retry()
        self._measure()

    def _measure_soon(self) -> None:
        """Not while the cursor is passing by."""
        if self._settling is None:
            self._settling = self.set_timer(SETTLE, self._measure)

    def _measure(self) -> None:
        self._settling = None
        self._feed.want(self._wanted())
        self._show_line()

    def on_screen_suspend(self, _: events.ScreenSuspend) -> None:
        """Something else covers the screen."""
        self._covered = True
        self._feed.close()

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """It is to be seen again."""
        self._covered = False
        self._measure_soon()

    # --- how it is shown ---

    @on(Read)
    def draw_read(self) -> None:
        """The line, and the columns if they are switched on."""
        self._show_line()
        if self._with_columns:
            self._draw_sessions()

    def _draw_detail(self) -> None:
        super()._draw_detail()
        self._show_line()
        self._measure_soon()

    def _show_line(self) -> None:
        session = self._shown_session
        read = session is not None and _is_read(session) and self.world.engine.state != "down"
        history = self._feed.history(session.id) if session is not None and read else None
        trouble = self._feed.error(session.id) if session is not None else None
        if self.detail.populated:
            self.query_one(StatsLine).show(history, trouble)

    def figures(self) -> dict[str, tuple[Cell, ...]] | None:
        """The cells of the sessions that are read; None while there are no columns for them."""
        if not self._with_columns:
            return None
        return {key: stats.stats_cells(self._feed.history(key)) for key in self._wanted()}


def _is_read(session: Session) -> bool:
    return session.state is SessionState.RUNNING and bool(session.container_id)


def noop(_: object) -> None:
    """Drop a result."""
