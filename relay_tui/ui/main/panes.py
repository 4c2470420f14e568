"""The main screen's body: three panes that draw the world and remember where the eye was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.containers import Container, Vertical
from textual.content import Content
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from relay_tui.domain.models import CloneState, Project, Session, SessionState
from relay_tui.services import naming
from relay_tui.text.sanitize import clean
from relay_tui.ui.event_bridge import StateChanged
from relay_tui.ui.keys.actions import ACTIONS, TABS, Action, L, key_of
from relay_tui.ui.main.detail import Detail
from relay_tui.ui.main.status_bar import StatusBar
from relay_tui.ui.presentation import formatting, info, projects, sessions
from relay_tui.ui.presentation.formatting import Glyphs
from relay_tui.ui.presentation.projects import ALL
from relay_tui.ui.presentation.row_cache import ProjectRowCache, SessionRowCache
from relay_tui.ui.state import AppState
from relay_tui.ui.textual_internals import install_compositor
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.table.table import KeyedTable
from relay_tui.ui.widgets.titled_border import TitledBorder

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from relay_tui.services.relay import Relay
    from relay_tui.ui.presentation.columns import Cell
    from relay_tui.ui.widgets.overlay_input import OverlayInput

PANES = ("projects", "sessions", "detail")
OWN, MOST = 30, 99  # how much more a tab's own keys deserve a place in the key bar; help alone has 100
SEEN = 0.15  # seconds between what comes to be seen and looks at it: rows that pass by are not worth one
REST = 0.25  # seconds the cursor rests on a session before its clone is looked at


class Panes(Screen[None]):
    """Draws; what keys do to the world is MainScreen's."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = ""
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """What loses the focus and what gets it draw themselves: nothing else looks different for it."""

    def __init__(self, relay: Relay, glyphs: Glyphs, world: AppState) -> None:
        super().__init__()
        install_compositor(self)
        self.relay = relay
        self.glyphs = glyphs
        self.world = world
        self._about = "sessions"  # the pane whose selection the detail is about
        self._filters = {"projects": "", "sessions": ""}
        self._last_session: dict[str, str] = {}
        self._shown_project: str | None = None
        self._resting: Timer | None = None
        self._seeing: Timer | None = None
        self._titles: dict[str, tuple[str, str]] = {}
        self._engine_epoch = 0
        self.marked: frozenset[str] = frozenset()
        """Ids of the sessions that are marked; some may be gone."""
        self._project_rows = ProjectRowCache(glyphs)
        self._session_rows = SessionRowCache(glyphs, relay.config.profiles)

    def compose(self) -> ComposeResult:
        """Status, panes, keys."""
        ascii_only = self.glyphs is formatting.ASCII
        yield StatusBar(self.glyphs)
        with Container(id="panes"):
            yield KeyedTable(
                projects.PROJECT_COLUMNS, ascii=ascii_only, show_header=False, id="projects", classes="pane"
            )
            with Vertical(id="right"):
                yield KeyedTable(ascii=ascii_only, id="sessions", classes="pane")
                yield Detail(glyphs=self.glyphs)
        yield KeyBar(ascii_only=ascii_only)

    def lines_to_type_in(self) -> Iterator[OverlayInput]:
        """What takes the place of the key bar, each over the one before."""
        yield from ()

    async def populate(self) -> None:
        """Mount what the first paint does without, and draw it."""
        await self.detail.furnish(self.relay.runtime, self.relay.facts, self.relay.config)
        await self.mount(*self.lines_to_type_in())
        self._draw_detail()

    def on_mount(self) -> None:
        """First paint comes from the store alone."""
        self._draw_all()
        live = self.world.records.live_projects()
        self.set_focus(self.sessions if live else self.projects)
        self.set_interval(10, self._draw_ages)
        self.watch(self.sessions, "scroll_y", self._scrolled, init=False)

    # --- the parts ---

    @property
    def projects(self) -> KeyedTable:
        """The projects pane."""
        return self.query_one("#projects", KeyedTable)

    @property
    def sessions(self) -> KeyedTable:
        """The sessions pane."""
        return self.query_one("#sessions", KeyedTable)

    @property
    def detail(self) -> Detail:
        """The detail pane."""
        return self.query_one(Detail)

    @property
    def place(self) -> str:
        """The pane that has the focus."""
        focused = self.focused
        for name in PANES:
            if focused is not None and self.query_one(f"#{name}") in focused.ancestors_with_self:
                return name
        return self._about

    @property
    def places(self) -> frozenset[str]:
        """The pane that has the focus, and its tab."""
        return frozenset({self.place, self.detail.tab} if self.place == "detail" else {self.place})

    @property
    def project(self) -> Project | None:
        """The project under the cursor; None on the row of all."""
        return self.world.project(self.projects.cursor_key)

    @property
    def session(self) -> Session | None:
        """The session under the cursor."""
        return self.world.session(self.sessions.cursor_key)

    @property
    def subject(self) -> Project | Session | None:
        """What a key acts on: a project or a session, by the pane that was last used to select."""
        place = self.place  # the focus itself: the key may come before the news of where it went
        return self.project if (place if place != "detail" else self._about) == "projects" else self.session

    # --- drawing ---

    @on(StateChanged)
    def world_changed(self, message: StateChanged) -> None:
        """Draw the newer snapshot."""
        if message.world.engine.state == "up" and self.world.engine.state != "up":
            self._engine_epoch += 1
            self.call_after_refresh(self.engine_came_back)
        before, self.world = self.world, message.world
        if self.is_mounted and self.world == replace(before, facts=self.world.facts):
            self._draw_sessions()
            self._draw_detail()
        else:
            self.draw()

    def engine_came_back(self) -> None:
        """Begin again what the engine's going broke off."""

    def draw(self) -> None:
        """Bring every pane to the present snapshot."""
        if self.is_mounted:
            self._draw_all()

    def _draw_ages(self) -> None:
        """Ages move on."""
        self._renew_ages()
        if self.detail.tab == "info":  # no other tells ages
            self._draw_detail()

    def _renew_ages(self) -> None:
        """Of the rows that are on the screen alone: thousands may grow older at once."""
        self.sessions.update_rows(self._session_rows.aged(self.sessions.visible_rows, formatting.now()))

    def _scrolled(self) -> None:
        self._renew_ages()
        self._say_what_is_seen()

    def _draw_all(self) -> None:
        self.query_one(StatusBar).show(self.world)
        self._draw_projects()
        self._draw_sessions()
        self._draw_detail()
        self.offer_keys()

    def _draw_projects(self) -> None:
        live = self.world.records.live_projects()
        self.projects.placeholder = "" if live else f"No projects yet.\n\n{key_of('new_project')} adds one."
        self.projects.highlight = self._filters["projects"]
        rows = self._project_rows.rows(self.world, self._filters["projects"])
        self.projects.set_rows(rows)
        self._update_title(self.projects, "Projects", len(rows) - 1, len(live), "projects")  # one row is that of all

    def _draw_sessions(self) -> None:
        chosen = self.project
        cells = self.figures()
        rows = self._session_rows.rows(
            self.world, chosen, self._filters["sessions"], formatting.now(), cells, self.marked
        )
        count = len(self.world.records.live_sessions(chosen.id if chosen else None))
        self.sessions.set_columns(sessions.session_columns(with_project=chosen is None, figures=cells is not None))
        self.sessions.placeholder = self._nothing(chosen, hidden=count > 0)
        self.sessions.highlight = self._filters["sessions"]
        before, key = self.sessions.cursor_key, chosen.id if chosen else ALL
        with self.prevent(KeyedTable.CursorMoved):
            self.sessions.set_rows(rows, all_of_them=not self._filters["sessions"])
            if key != self._shown_project:
                self._shown_project = key
                self.sessions.move_to(self._last_session.get(key, rows[0].key if rows else ""))
        if self.sessions.cursor_key != before:  # at once, not by a message: both panes are painted together
            self.session_selected()
        title = f"Sessions of {chosen.name}" if chosen else "Sessions"
        self._update_title(self.sessions, title, len(rows), count, "sessions")
        self._say_what_is_seen()

    def figures(self) -> Mapping[str, tuple[Cell, ...]] | None:
        """Cells that tell what sessions take, by session id; None: no columns for it."""
        return None

    def _nothing(self, chosen: Project | None, *, hidden: bool) -> str:
        if hidden:
            return f"Nothing matches the filter. {key_of('back')} clears it."
        if chosen is None and not self.world.records.live_projects():
            return info.welcome(self.relay)
        if chosen is not None and chosen.clone_error is not None:
            return (
                f"The clone failed: see below. {key_of('retry')} tries again, {key_of('edit_source')} edits the source."
            )
        if chosen is not None and chosen.id in self.world.jobs:
            return "The first session comes by itself when the clone is there."
        return "No sessions."

    def _update_title(self, pane: TitledBorder, title: str, shown: int, count: int, name: str) -> None:
        """Say how many there are; while a filter is on, also how many of them match, and the filter."""
        wanted = self._filters[name]
        number = f" {self.glyphs.dot} {f'{shown} of {count}' if wanted else count}" if count else ""
        said = (f"{clean(title)}{number}", f"/{clean(wanted)}")
        if said != self._titles.get(name):
            self._titles[name] = said
            pane.say_above(Content(said[0]))
            pane.say_below(Content(said[1] if wanted else ""))

    def _draw_detail(self) -> None:
        subject, world, relay, glyphs = self.subject, self.world, self.relay, self.glyphs
        if isinstance(subject, Session):
            title = naming.full_name(world.records, subject)
            self.detail.show_facts(title, partial(info.session_info, subject, world, relay, glyphs), only=False)
        elif isinstance(subject, Project):
            facts = partial(info.project_info, subject, world, relay, glyphs)
            self.detail.show_facts(subject.name, facts, only=True)
        else:
            hidden = self._about == "sessions" and bool(self._filters["sessions"])  # no tab comes or goes
            self.detail.show_facts("relay", partial(info.overview, world, relay), only=not hidden)
        if self.detail.populated:
            session = subject if isinstance(subject, Session) else None
            self.detail.show_log(session, self._engine_epoch, world.stirs.get(session.id, 0) if session else 0)
            self.detail.changes.show(session, world.facts.get(session.id) if session else None)

    def offer_keys(self) -> None:
        """Show the keys that mean something here and now; those of the tab that has the focus first."""
        places, meaningful = self.places, self._is_enabled()
        offered = [a for a in ACTIONS if a.footer and _offered(a, places, meaningful)]
        own = [replace(a, footer=min(a.footer + OWN, MOST)) for a in offered if a.places and a.places <= TABS]
        taken = {key for a in own for key in a.keys.split(",")}
        others = [a for a in offered if not a.places <= TABS or not a.places]
        self.query_one(KeyBar).offer(own + [self._worded(a) for a in others if taken.isdisjoint(a.keys.split(","))])

    def _worded(self, action: Action) -> Action:
        """The action as the key bar names it here and now."""
        subject = self.subject
        if action.name != "stop_start" or not isinstance(subject, Session):
            return action
        return replace(action, label="stop" if subject.state is SessionState.RUNNING else "start")

    def offered(self, action: Action) -> bool:
        """Whether the action means something here and now."""
        return _offered(action, self.places, self._is_enabled())

    def _is_enabled(self) -> Mapping[str, bool]:
        """By name, whether actions mean something now; the others always do."""
        sought = L in self.places and self.detail.log_view.state.found is not None
        subject = self.subject
        running = isinstance(subject, Session) and subject.state is SessionState.RUNNING
        failed = (isinstance(subject, Session) and subject.error_reason is not None) or (
            isinstance(subject, Project) and subject.clone_error is not None
        )
        job = self.world.jobs.get(subject.id) if subject else None
        return {
            "attach": running,
            "shell": running,
            "stop_start": isinstance(subject, Session),
            "restart": isinstance(subject, Session),
            "remove": subject is not None,
            "push": isinstance(subject, Session) and job is None,
            "update": running and job is None,
            "look_again": isinstance(subject, Session),
            "fetch": self.fetchable() is not None,
            "retry": failed and job is None,
            "edit_source": failed and isinstance(subject, Project),
            "cancel": job is not None and job.cancellable,
            "new_session": bool(self.world.records.live_projects()) and not sought,
            "new_project": not sought,
            "log_next": sought,
            "log_previous": sought,
            "undo": self.world.records.removed_last() is not None,
            "meters": self.world.records.any_running,
            "strays": bool(self.world.strays),
        }

    def fetchable(self) -> Project | None:
        """The project whose base a fetch would bring up to date: the subject, or that of the subject."""
        subject = self.subject
        project = self.world.project(subject.project_id) if isinstance(subject, Session) else subject
        return project if project is not None and project.clone_state is CloneState.READY else None

    def _say_what_is_seen(self) -> None:
        """Facts are looked for in the background of sessions that are on the screen and stay there, no others."""
        if self._seeing is None:
            self._seeing = self.set_timer(SEEN, self._report_visible_rows)

    def _report_visible_rows(self) -> None:
        self._seeing = None
        self.relay.facts.show(self.sessions.visible_keys)

    # --- the cursor and the focus ---

    def set_focus(self, widget: Widget | None, scroll_visible: bool = False, from_app_focus: bool = False) -> None:
        """Give a pane the focus. All of them are on the screen: there is nothing to scroll."""
        del scroll_visible
        super().set_focus(widget, False, from_app_focus)

    @on(KeyedTable.CursorMoved, "#projects")
    def project_selected(self) -> None:
        """The sessions pane follows the projects pane."""
        self._draw_sessions()
        self._draw_detail()
        self.offer_keys()

    @on(KeyedTable.CursorMoved, "#sessions")
    def session_selected(self) -> None:
        """The detail pane follows the sessions pane."""
        if self.session is not None:
            self._last_session[self._shown_project or ALL] = self.session.id
            self._rest_then_look(self.session.id)
        if not isinstance(self.subject, Project):
            self._draw_detail()
            self.offer_keys()

    def _rest_then_look(self, session_id: str) -> None:
        """Look at a session's clone once the cursor rests on it."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST, partial(self.relay.facts.request, session_id))

    @on(KeyedTable.RowChosen, "#projects")
    def project_chosen(self) -> None:
        """On to its sessions."""
        self.set_focus(self.sessions)

    @on(KeyedTable.RowChosen, "#sessions")
    def session_chosen(self) -> None:
        """On to its log."""
        self.detail.take_focus()

    def on_descendant_focus(self, _: events.DescendantFocus) -> None:
        """The detail is about the selection of the pane that was last used to select."""
        place = self.place
        if place in {"projects", "sessions"} and place != self._about:
            self._about = place
            self._draw_detail()
        self.offer_keys()

    def select(self, record_id: str) -> None:
        """Put the cursor on a project or a session, and the focus on its pane."""
        if self.world.project(record_id) is not None:
            self.projects.move_to(record_id)
            self.set_focus(self.projects)
        elif (session := self.world.session(record_id)) is not None:
            if self.project is not None and self.project.id != session.project_id:
                self.projects.move_to(session.project_id)
            self.sessions.move_to(record_id)
            self._last_session[self._shown_project or ALL] = record_id
            self.set_focus(self.sessions)


def _offered(action: Action, places: Collection[str], meaningful: Mapping[str, bool]) -> bool:
    return not (action.places and action.places.isdisjoint(places)) and meaningful.get(action.name, True)
