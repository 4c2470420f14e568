"""Detail pane: tabs about the selected project or session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Tab, Tabs

from relay_tui.text.sanitize import clean
from relay_tui.ui.log.state import format_state
from relay_tui.ui.log.view import LogView
from relay_tui.ui.presentation.formatting import ASCII, Glyphs
from relay_tui.ui.widgets.hanging_indent import HangingIndent
from relay_tui.ui.widgets.stats_line import StatsLine
from relay_tui.ui.widgets.titled_border import TitledContainer

if TYPE_CHECKING:
    from relay_tui.config import Config
    from relay_tui.domain.models import Session
    from relay_tui.ports import Runtime
    from relay_tui.services.clone_status import CloneStatusService
    from relay_tui.ui.changes.tab import ChangesTab
    from relay_tui.ui.log.pane import LogPane

SETTLE = 0.1  # seconds that the cursor rests before Info is drawn for its row


class Detail(TitledContainer):
    """Log, Info and Changes of the selected session, or Info of a project. An empty frame until it is populated."""

    def __init__(self, *, glyphs: Glyphs) -> None:
        super().__init__(id="detail", classes="pane")
        self._glyphs = glyphs
        self._wanted = "log"
        self._title = self._state = ""
        self._facts: Callable[[], Content] = Content
        self._populated = False
        self._passing: Timer | None = None

    async def populate(self, runtime: Runtime, changes: CloneStatusService, config: Config) -> None:
        """Mount the tabs: most of the screen's widgets, none of which the first paint needs."""
        from relay_tui.services.logs.source import LogSource
        from relay_tui.ui.changes.tab import ChangesTab
        from relay_tui.ui.log.model.buffer import LogBuffer
        from relay_tui.ui.log.pane import LogPane

        plain = self._glyphs is ASCII
        tabs = Tabs(Tab("Log", id="log"), Tab("Info", id="info"), Tab("Changes", id="changes"))
        tabs.can_focus = False  # for the mouse only: the keys are actions of the screen
        log = LogPane(LogSource(runtime), LogBuffer(config.log_lines, config.log_bytes), ascii_only=plain)
        info = VerticalScroll(HangingIndent(id="facts"), id="info")
        await self.mount(
            Horizontal(tabs, StatsLine(ascii_only=plain), id="tabs"),
            ContentSwitcher(log, ChangesTab(changes, plain=plain), info, initial="log"),
        )
        self._populated = True
        self.watch(self.log_view, "state", self.show_state, init=False)

    @property
    def populated(self) -> bool:
        """Whether the tabs are mounted."""
        return self._populated

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    @property
    def log_pane(self) -> LogPane:
        """The pane that follows the session's log."""
        from relay_tui.ui.log.pane import LogPane

        return self.query_one(LogPane)

    @property
    def changes(self) -> ChangesTab:
        """The Changes tab."""
        from relay_tui.ui.changes.tab import ChangesTab

        return self.query_one(ChangesTab)

    @property
    def tab(self) -> str:
        """The tab that is shown; '' while none is mounted."""
        return self.query_one(ContentSwitcher).current or "" if self._populated else ""

    # --- what is shown ---

    def show_facts(self, title: str, facts: Callable[[], Content], *, only: bool) -> None:
        """Show the title of the subject. `facts` returns the text of Info, called only while Info is shown.

        `only`: the subject has no other tab.
        """
        if title != self._title:
            self._title = title
            self.set_title(Content(clean(title)))
            if self.tab == "info":
                self._schedule_facts()
        self._facts = facts
        if not self._populated:
            return
        tabs = self.query_one(Tabs)
        if tabs.query_one("#log", Tab).display == only:
            for name in ("log", "changes"):
                (tabs.hide if only else tabs.show)(name)
        self._switch("info" if only else self._wanted)

    def _schedule_facts(self) -> None:
        """Draw Info once the cursor rests: its layout takes longer than a move of the cursor."""
        if self._passing is not None:
            self._passing.stop()
        self._passing = self.set_timer(SETTLE, self._rested)

    def _rested(self) -> None:
        self._passing = None
        self._draw_facts()

    def _draw_facts(self) -> None:
        """Draw Info if it is shown and the cursor rests."""
        if self._passing is None and self.query_one(ContentSwitcher).current == "info":
            self.query_one("#facts", HangingIndent).update(self._facts())

    def show_log(self, session: Session | None, engine_epoch: int = 0, stirs: int = 0) -> None:
        """Follow the session's log; None: no log.

        `engine_epoch` counts how often the engine became reachable, `stirs` the events of the container. A log that
        ended is read again after either.
        """
        self.log_pane.show(session, engine_epoch, stirs)
        self.show_state()

    def show_state(self) -> None:
        """Show the state of the log's view in the border, in the same draw."""
        shown = self.query_one(ContentSwitcher).current == "log" and self.log_pane.session is not None
        words = format_state(self.log_view.state, self._glyphs.dot) if shown else ""
        if words != self._state:
            self._state = words
            self.set_subtitle(Content(words))

    # --- tabs ---

    @on(Tabs.TabActivated)
    def tab_chosen(self, event: Tabs.TabActivated) -> None:
        """Show a tab after a click on it or a call of `turn`."""
        chosen = event.tab.id or "log"
        if self.tab != chosen:
            self._show(chosen)
        if event.tabs.query_one("#log", Tab).display:
            self._wanted = chosen

    def turn(self, step: int) -> None:
        """Show the next tab, or with -1 the previous one."""
        names = [tab.id or "" for tab in self.query(Tab) if tab.display]
        at = names.index(self.tab) if self.tab in names else 0
        wanted = names[(at + step) % len(names)]
        if len(names) > 1:
            self._wanted = wanted  # at once: the next draw uses it and may come before the message of the tab
        self._switch(wanted)

    def _switch(self, name: str) -> None:
        tabs = self.query_one(Tabs)
        if tabs.active != name:
            tabs.active = name
        if self.tab != name:
            self._show(name)
        else:
            self._draw_facts()

    def _show(self, name: str) -> None:
        """Show the content of a tab. It gets the focus if the previous content had it."""
        focused = self.screen.focused
        inside = focused is not None and self in focused.ancestors
        self.query_one(ContentSwitcher).current = name
        if name == "changes":
            self.changes.look_again()
        if inside:
            self.take_focus()
        self._draw_facts()
        self.show_state()

    def back(self) -> bool:
        """Leave a part of the tab for the part that contains it. Return False if there is none."""
        return self.tab == "changes" and self.changes.back()

    def take_focus(self) -> None:
        """Focus the content of the current tab."""
        if self.tab == "changes":
            self.changes.take_focus()
        else:  # at once: widget.focus() would come after the next key
            self.screen.set_focus(self.log_view if self.tab == "log" else self.query_one("#info", VerticalScroll))
