"""Main screen: projects, sessions and the detail pane of what is selected.

Controllers run what keys do. They import dialogs when a key needs one: the first paint needs none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from relay_tui.domain.models import Project, Session, SessionState
from relay_tui.services import naming
from relay_tui.text.sanitize import clean, clean_block
from relay_tui.ui.controllers.base import Controller, ControllerContext
from relay_tui.ui.controllers.changes import ChangesController
from relay_tui.ui.controllers.filter import FilterController
from relay_tui.ui.controllers.layout import LayoutController
from relay_tui.ui.controllers.merged_log import MergedLogController
from relay_tui.ui.controllers.project import ProjectController
from relay_tui.ui.controllers.removal import RemovalController
from relay_tui.ui.controllers.session import SessionController
from relay_tui.ui.controllers.stats import StatsController, StatsReceived
from relay_tui.ui.controllers.sync import SyncController
from relay_tui.ui.controllers.terminal import TerminalController
from relay_tui.ui.event_bridge import (
    JobFailed,
    OrphansReported,
    RecordRemoved,
    StateChanged,
    WarningRaised,
    WorkReported,
)
from relay_tui.ui.keys.actions import ACTIONS, Action, L, key_of, keys_of
from relay_tui.ui.keys.dispatch import Dispatcher, Handler
from relay_tui.ui.log.controller import LogController
from relay_tui.ui.log.view import LogView
from relay_tui.ui.main.detail import Detail
from relay_tui.ui.main.status_bar import StatusBar
from relay_tui.ui.presentation import formatting, info, projects, sessions
from relay_tui.ui.presentation.formatting import Glyphs
from relay_tui.ui.presentation.projects import ALL
from relay_tui.ui.presentation.row_cache import ProjectRowCache, SessionRowCache
from relay_tui.ui.selection import PANES, Selection
from relay_tui.ui.service_runner import ServiceRunner
from relay_tui.ui.state import AppState, build_state
from relay_tui.ui.textual_internals import install_compositor
from relay_tui.ui.widgets.hints_panel import HintsPanel
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.stats_line import StatsLine
from relay_tui.ui.widgets.table.table import KeyedTable
from relay_tui.ui.widgets.titled_border import TitledBorder

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.timer import Timer

    from relay_tui.services.relay import Relay

TAB_BONUS, MOST = 30, 99  # a tab's own keys come first in the key bar; help alone has 100
REPORT_DELAY = 0.15  # seconds before the status of visible rows is asked for: rows that scroll past are not worth it
REST = 0.25  # seconds that the cursor rests on a session before its clone is inspected
AGES = 10  # seconds between updates of the sessions' ages


class MainScreen(Screen[None]):
    """Draws the latest state, remembers what is selected, and passes keys on to the controllers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(a.keys, f"dispatch('{a.name}')", a.help, show=False, id=a.binding_id)
        for a in ACTIONS
        if a.name not in {"command_palette", "quit"} and L not in a.places
    ]
    """Keys of the log are bindings of LogView, those for the palette and for quitting of the app."""
    AUTO_FOCUS = ""
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """Not repainted for: the widgets that lose and get the focus draw themselves, and nothing else changes."""

    def __init__(self, relay: Relay, glyphs: Glyphs, state: AppState) -> None:
        super().__init__()
        install_compositor(self)
        self.relay = relay
        self.glyphs = glyphs
        self.state = state
        ascii_only = glyphs is formatting.ASCII
        self.projects = KeyedTable(
            projects.PROJECT_COLUMNS, ascii=ascii_only, show_header=False, id="projects", classes="pane"
        )
        self.sessions = KeyedTable(ascii=ascii_only, id="sessions", classes="pane")
        self.detail = Detail(glyphs=glyphs)
        self._key_bar = KeyBar(ascii_only=ascii_only)
        self.selection = Selection(
            lambda: self.state,
            project_key=lambda: self.projects.cursor_key,
            session_key=lambda: self.sessions.cursor_key,
            focused_pane=self._focused_pane,
        )
        self.runner = ServiceRunner(self)
        self._last_session: dict[str, str] = {}  # by project, the session that was selected last
        self._shown_project: str | None = None
        self._resting: Timer | None = None
        self._reporting: Timer | None = None
        self._titles: dict[str, tuple[str, str]] = {}
        self._engine_epoch = 0  # how often the engine became reachable
        self._project_rows = ProjectRowCache(glyphs)
        self._session_rows = SessionRowCache(glyphs, relay.config.profiles)
        self._build_controllers()

    def _build_controllers(self) -> None:
        context = ControllerContext(
            self.relay,
            lambda: self.state,
            self.selection,
            self.runner.run,
            self.notify,
            self.runner.notify_error,
            lambda dialog, on_answer: self.app.push_screen(dialog, on_answer),
            self,
            self.glyphs,
        )
        self._log_keys = LogController(
            self,
            self.glyphs,
            log_view=lambda: self.detail.log_view,
            log_name=self._log_name,
            reopen=lambda seconds, text: self.detail.log_pane.reopen(seconds, text),
            write=self._write_log,
            keys_changed=self.offer_keys,
        )
        self._filter = FilterController(context, self._key_bar)
        self._stats = StatsController(context, self.post_message, lambda: self.query_one(StatsLine))
        self._merged_log = MergedLogController(context)
        self._layout_keys = LayoutController(context)
        self._sync = SyncController(context)
        new_project, terminal = ProjectController(context, self._is_searching), TerminalController(context)
        controllers: Iterable[Controller] = (
            SessionController(context, new_project, self._is_searching),
            new_project,
            RemovalController(context),
            terminal,
            self._layout_keys,
            self._filter,
            self._stats,
            self._merged_log,
            self._sync,
            ChangesController(context, terminal),
        )
        handlers: dict[str, Handler] = {
            "back": Handler(self.back),
            "help": Handler(self.show_help),
            "doctor": Handler(self.show_doctor),
            "command_palette": Handler(lambda: self.app.action_command_palette()),
            "quit": Handler(lambda: self.app.action_quit()),
            **self._log_keys.handlers(),
        }
        for controller in controllers:
            handlers |= controller.handlers()
        self.dispatcher = Dispatcher(handlers, lambda: self.places)

    def compose(self) -> ComposeResult:
        """Yield the status bar, the panes and the key bar."""
        yield StatusBar(self.glyphs)
        with Container(id="panes"):
            yield self.projects
            with Vertical(id="right"):
                yield self.sessions
                yield self.detail
        yield self._key_bar

    def on_mount(self) -> None:
        """Draw the state as the store has it. The engine is asked after the first paint."""
        self._draw_all()
        self.set_focus(self.sessions if self.state.records.live_projects() else self.projects)
        self.set_interval(AGES, self._update_ages)
        self.watch(self.sessions, "scroll_y", self._scrolled, init=False)

    async def populate(self) -> None:
        """Mount and draw what the first paint does without."""
        await self.detail.populate(self.relay.runtime, self.relay.clone_status, self.relay.config)
        await self.mount(self._filter.input, self._log_keys.build_prompt(self._filter.input))
        self._draw_detail()

    def on_unmount(self) -> None:
        """Close the streams of readings."""
        self._stats.close()

    # --- what is selected ---

    @property
    def places(self) -> frozenset[str]:
        """The focused pane, and its tab."""
        pane = self.selection.pane
        return frozenset({pane, self.detail.tab} if pane == "detail" else {pane})

    @property
    def is_on_top(self) -> bool:
        """Whether no other screen covers this one."""
        return self.app.screen is self

    def _focused_pane(self) -> str | None:
        focused = self.focused
        if focused is None:
            return None
        ancestors = focused.ancestors_with_self
        panes = zip(PANES, (self.projects, self.sessions, self.detail), strict=True)
        return next((name for name, pane in panes if pane in ancestors), None)

    def _is_searching(self) -> bool:
        """Return whether keys go to the matches of a search in the log."""
        return L in self.places and self._log_keys.is_searching()

    def _log_name(self) -> str:
        session = self.detail.log_pane.session
        return naming.full_name(self.state.records, session) if session is not None else ""

    def _write_log(self, name: str, pieces: Iterable[str]) -> Path:
        return self.relay.files.save_log(name, pieces)

    def select(self, record_id: str) -> None:
        """Put the cursor on a project or session, and focus its pane."""
        if self.state.project(record_id) is not None:
            self.projects.move_to(record_id)
            self.set_focus(self.projects)
        elif (session := self.state.session(record_id)) is not None:
            project = self.selection.project
            if project is not None and project.id != session.project_id:
                self.projects.move_to(session.project_id)
            self.sessions.move_to(record_id)
            self._last_session[self._shown_project or ALL] = record_id
            self.set_focus(self.sessions)

    def show_latest(self, record_id: str) -> None:
        """Read the state, draw it and select a record: the message about a new one may not have come yet."""
        state = build_state(self.relay)
        if state.trouble is None:
            self.state = state
            self._draw_if_mounted()
            self.select(record_id)

    # --- drawing ---

    @on(StateChanged)
    def state_changed(self, message: StateChanged) -> None:
        """Draw a newer state."""
        if message.state.engine.state == "up" and self.state.engine.state != "up":
            self._engine_epoch += 1
            self.call_after_refresh(self._stats.retry)
        before, self.state = self.state, message.state
        if self.is_mounted and self.state == replace(before, facts=self.state.facts):
            self.draw_sessions()
            self._draw_detail()
        else:
            self._draw_if_mounted()

    def _draw_if_mounted(self) -> None:
        if self.is_mounted:
            self._draw_all()
        self._merged_log.follow(self._engine_epoch)

    def _draw_all(self) -> None:
        self.query_one(StatusBar).show(self.state)
        self.draw_projects()
        self.draw_sessions()
        self._draw_detail()
        self.offer_keys()

    def draw_projects(self) -> None:
        """Draw the projects pane."""
        live = self.state.records.live_projects()
        text = self._filter.text_of("projects")
        self.projects.placeholder = "" if live else f"No projects yet.\n\nPress {key_of('new_project')} to add one."
        self.projects.highlight = text
        rows = self._project_rows.rows(self.state, text)
        self.projects.set_rows(rows)
        self._update_title(self.projects, "Projects", len(rows) - 1, len(live), "projects")  # one row stands for all

    def draw_sessions(self) -> None:
        """Draw the sessions pane."""
        project, text, cells = self.selection.project, self._filter.text_of("sessions"), self._stats.cells()
        rows = self._session_rows.rows(self.state, project, text, formatting.now(), cells, self.selection.marked)
        count = len(self.state.records.live_sessions(project.id if project else None))
        self.sessions.set_columns(sessions.session_columns(with_project=project is None, figures=cells is not None))
        self.sessions.placeholder = self._sessions_placeholder(project, hidden=count > 0)
        self.sessions.highlight = text
        before, key = self.sessions.cursor_key, project.id if project else ALL
        with self.prevent(KeyedTable.CursorMoved):
            self.sessions.set_rows(rows, all_of_them=not text)
            if key != self._shown_project:
                self._shown_project = key
                self.sessions.move_to(self._last_session.get(key, rows[0].key if rows else ""))
        if self.sessions.cursor_key != before:  # at once, not by a message: both panes are painted together
            self.session_selected()
        title = f"Sessions of {project.name}" if project else "Sessions"
        self._update_title(self.sessions, title, len(rows), count, "sessions")
        self._schedule_report()

    def _sessions_placeholder(self, project: Project | None, *, hidden: bool) -> str:
        if hidden:
            return f"Nothing matches the filter. Press {key_of('back')} to clear it."
        if project is None and not self.state.records.live_projects():
            return info.welcome(self.relay)
        if project is not None and project.clone_error is not None:
            return (
                f"The clone failed, see below. Press {key_of('retry')} to retry, "
                f"{key_of('edit_source')} to edit the source."
            )
        if project is not None and project.id in self.state.jobs:
            return "The first session is created when the clone is complete."
        return "No sessions."

    def _update_title(self, pane: TitledBorder, title: str, shown: int, count: int, listing: str) -> None:
        """Show how many rows there are and, while a filter is on, how many of them match."""
        text = self._filter.text_of(listing)
        number = f" {self.glyphs.dot} {f'{shown} of {count}' if text else count}" if count else ""
        titles = (f"{clean(title)}{number}", f"/{clean(text)}")
        if titles != self._titles.get(listing):
            self._titles[listing] = titles
            pane.set_title(Content(titles[0]))
            pane.set_subtitle(Content(titles[1] if text else ""))

    def _draw_detail(self) -> None:
        subject, state, relay, glyphs = self.selection.subject, self.state, self.relay, self.glyphs
        if isinstance(subject, Session):
            title = naming.full_name(state.records, subject)
            self.detail.show_facts(title, partial(info.session_info, subject, state, relay, glyphs), only=False)
        elif isinstance(subject, Project):
            text = partial(info.project_info, subject, state, relay, glyphs)
            self.detail.show_facts(subject.name, text, only=True)
        else:
            hidden = self.selection.listing == "sessions" and bool(self._filter.text_of("sessions"))
            self.detail.show_facts("relay", partial(info.overview, state, relay), only=not hidden)  # tabs stay
        if self.detail.populated:
            session = subject if isinstance(subject, Session) else None
            self.detail.show_log(session, self._engine_epoch, state.stirs.get(session.id, 0) if session else 0)
            self.detail.changes.show(session, state.facts.get(session.id) if session else None)
        self._stats.show_line()
        self._stats.schedule_read()

    def _update_ages(self) -> None:
        self._update_visible_ages()
        if self.detail.tab == "info":  # no other tab shows ages
            self._draw_detail()

    def _update_visible_ages(self) -> None:
        """Update the ages of visible rows only: thousands may change at once."""
        self.sessions.update_rows(self._session_rows.aged(self.sessions.visible_rows, formatting.now()))

    def _scrolled(self) -> None:
        self._update_visible_ages()
        self._schedule_report()

    def _schedule_report(self) -> None:
        """Ask for the git status of the rows that are visible and stay visible."""
        if self._reporting is None:
            self._reporting = self.set_timer(REPORT_DELAY, self._report_visible_rows)

    def _report_visible_rows(self) -> None:
        self._reporting = None
        self.relay.clone_status.show(self.sessions.visible_keys)

    @on(StatsReceived)
    def stats_received(self) -> None:
        """Draw new readings."""
        self._stats.show_readings()

    # --- keys ---

    async def action_dispatch(self, name: str, *arguments: object) -> None:
        """Run an action of the table."""
        await self.dispatcher.run(name, *arguments)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether a key of the action does anything now."""
        return action != "dispatch" or self.dispatcher.can_run(str(parameters[0]))

    def offer_keys(self) -> None:
        """Show the keys that apply now, those of the focused tab first."""
        offered = [action for action in self.dispatcher.offered if action.footer]
        own = [replace(a, footer=min(a.footer + TAB_BONUS, MOST)) for a in offered if a.is_tab_action]
        taken = {key for a in own for key in keys_of(a).split(",")}
        others = [a for a in offered if not a.is_tab_action and taken.isdisjoint(keys_of(a).split(","))]
        self._key_bar.offer(own + [self._with_current_label(a) for a in others])

    def _with_current_label(self, action: Action) -> Action:
        session = self.selection.target
        if action.name != "stop_start" or session is None:
            return action
        return replace(action, label="stop" if session.state is SessionState.RUNNING else "start")

    def back(self) -> None:
        """Leave the innermost of: prompt, search, filter, part of a tab, zoom, hints, pane."""
        if self._log_keys.cancel_prompt() or self._log_keys.cancel_search() or self._filter.close(clear=True):
            return
        if self.detail.back() or self._layout_keys.close_zoom():
            return
        if hints := self.query(HintsPanel):
            hints.remove()
        else:
            self._layout_keys.move_focus(-1)

    def show_help(self) -> None:
        """Show every key."""
        from relay_tui.ui.dialogs.help import HelpScreen

        self.app.push_screen(HelpScreen(ascii_only=self.glyphs is formatting.ASCII))

    def show_doctor(self) -> None:
        """Check what relay needs on this machine."""
        from relay_tui.ui.dialogs.doctor import DoctorScreen

        self.app.push_screen(DoctorScreen(self.relay.doctor, ascii_only=self.glyphs is formatting.ASCII))

    # --- cursor and focus ---

    def set_focus(self, widget: Widget | None, scroll_visible: bool = False, from_app_focus: bool = False) -> None:
        """Focus a widget, without scrolling: all panes are visible."""
        del scroll_visible
        super().set_focus(widget, False, from_app_focus)

    def focus_pane(self, name: str) -> None:
        """Focus a pane; of the detail pane, the content of its tab."""
        if name == "detail":
            self.detail.take_focus()
        else:
            self.set_focus(self.projects if name == "projects" else self.sessions)

    def show_zoomed(self, pane: str) -> None:
        """Show one pane alone; '' shows all panes."""
        self.set_class(bool(pane), "-zoom")
        for name, widget in zip(PANES, (self.projects, self.sessions, self.detail), strict=True):
            self.set_class(pane == name, f"-zoom-{name}")
            widget.set_class(pane == name, "-zoomed")

    @on(KeyedTable.CursorMoved, "#projects")
    def project_selected(self) -> None:
        """Show the project's sessions."""
        self.draw_sessions()
        self._draw_detail()
        self.offer_keys()

    @on(KeyedTable.CursorMoved, "#sessions")
    def session_selected(self) -> None:
        """Show the session in the detail pane."""
        session = self.selection.session
        if session is not None:
            self._last_session[self._shown_project or ALL] = session.id
            if self._resting is not None:
                self._resting.stop()
            self._resting = self.set_timer(REST, partial(self.relay.clone_status.request, session.id))
        if not isinstance(self.selection.subject, Project):
            self._draw_detail()
            self.offer_keys()

    @on(KeyedTable.RowChosen, "#projects")
    def project_chosen(self) -> None:
        """Go to the project's sessions."""
        self.set_focus(self.sessions)

    @on(KeyedTable.RowChosen, "#sessions")
    def session_chosen(self) -> None:
        """Go to the session's detail."""
        self.detail.take_focus()

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """Show in the detail pane the selection of the list that got the focus."""
        pane = self.selection.pane
        if pane in {"projects", "sessions"} and pane != self.selection.listing:
            self.selection.listing = pane
            self._draw_detail()
        self.offer_keys()

    def on_screen_suspend(self, _: events.ScreenSuspend) -> None:
        """Stop reading stats: another screen covers this one."""
        self._stats.suspend()

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """Read stats again."""
        self._stats.resume()

    # --- messages of parts and services ---

    @on(Input.Changed, "#filter")
    def filter_typed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._filter.update(event.value)

    @on(Input.Submitted, "#filter")
    def filter_submitted(self) -> None:
        """Keep the filter and go back to the list."""
        self._filter.close()

    @on(LogView.StateChanged)
    def log_state_changed(self, message: LogView.StateChanged) -> None:
        """Pass the state on to the log's controller."""
        self._log_keys.state_changed(message.state)

    @on(LogView.NothingFound)
    def nothing_found(self) -> None:
        """Pass it on to the log's controller."""
        self._log_keys.report_nothing_found()

    @on(WorkReported)
    def work_reported(self, message: WorkReported) -> None:
        """Report what a push, fetch or merge resulted in."""
        self._sync.report(message.event)

    @on(JobFailed)
    def job_failed(self, message: JobFailed) -> None:
        """Notify of a failure that no row shows, such as a full disk."""
        if not message.on_row:
            self.runner.notify_error(message.fault)

    @on(RecordRemoved)
    def record_removed(self, message: RecordRemoved) -> None:
        """Report a removal and how to undo it."""
        self.notify(f"Removed {clean(message.name)}. Press {key_of('undo')} to restore it.", markup=False)
        if message.warning:
            self._warn(message.warning)

    @on(WarningRaised)
    def warning_raised(self, message: WarningRaised) -> None:
        """Report something that relay has repaired. The Info tab shows it later too."""
        self._warn(clean_block(message.words, lines=8))

    @on(OrphansReported)
    def orphans_reported(self, message: OrphansReported) -> None:
        """Report orphans. Nothing is done about them before the user decides."""
        count = len(message.words)
        found = "1 orphaned clone or container" if count == 1 else f"{count} orphaned clones or containers"
        self._warn(f"Found {found}. Press {key_of('orphans')} to review.")

    def _warn(self, text: str) -> None:
        self.notify(text, severity="warning", timeout=15, markup=False)
