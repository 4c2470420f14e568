"""The detail pane: tabs about whatever is selected."""

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

SETTLE = 0.1  # seconds the cursor rests before everything is told about what it is on


class Detail(TitledContainer):
    """Log and Info of the selected session, or Info alone of a project. An empty frame until it is furnished."""

    def __init__(self, *, glyphs: Glyphs) -> None:
        super().__init__(id="detail", classes="pane")
        self._glyphs = glyphs
        self._wanted = "log"
        self._title = self._state = ""
        self._facts: Callable[[], Content] = Content
        self._furnished = False
        self._passing: Timer | None = None

    async def furnish(self, runtime: Runtime, changes: CloneStatusService, config: Config) -> None:
        """Put in a line of tabs over what they show: most of the screen's widgets, and none of its first content."""
        from relay_tui.services.logs.source import LogSource
        from relay_tui.ui.changes.tab import ChangesTab
        from relay_tui.ui.log.model.buffer import LogBuffer
        from relay_tui.ui.log.pane import LogPane

        plain = self._glyphs is ASCII
        tabs = Tabs(Tab("Log", id="log"), Tab("Info", id="info"), Tab("Changes", id="changes"))
        tabs.can_focus = False  # they are for the eye and the mouse; keys are `[` and `]`
        log = LogPane(LogSource(runtime), LogBuffer(config.log_lines, config.log_bytes), ascii_only=plain)
        info = VerticalScroll(HangingIndent(id="facts"), id="info")
        await self.mount(
            Horizontal(tabs, StatsLine(ascii_only=plain), id="tabs"),
            ContentSwitcher(log, ChangesTab(changes, plain=plain), info, initial="log"),
        )
        self._furnished = True
        self.watch(self.log_view, "state", self.show_state, init=False)

    @property
    def populated(self) -> bool:
        """Whether there is more than a frame."""
        return self._furnished

    @property
    def log_view(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    @property
    def log_pane(self) -> LogPane:
        """What follows it."""
        from relay_tui.ui.log.pane import LogPane

        return self.query_one(LogPane)

    @property
    def changes(self) -> ChangesTab:
        """The Changes tab."""
        from relay_tui.ui.changes.tab import ChangesTab

        return self.query_one(ChangesTab)

    @property
    def tab(self) -> str:
        """Which of the tabs is seen."""
        return self.query_one(ContentSwitcher).current or "" if self._furnished else ""

    # --- what is shown ---

    def show_facts(self, title: str, facts: Callable[[], Content], *, only: bool) -> None:
        """Name the selected thing; `facts` tells everything about it when it is looked at; `only`: there is no log."""
        if title != self._title:
            self._title = title
            self.say_above(Content(clean(title)))
            if self.tab == "info":
                self._tell_soon()
        self._facts = facts
        if not self._furnished:
            return
        tabs = self.query_one(Tabs)
        if tabs.query_one("#log", Tab).display == only:
            for name in ("log", "changes"):
                (tabs.hide if only else tabs.show)(name)
        self._switch("info" if only else self._wanted)

    def _tell_soon(self) -> None:
        """Tell everything once the cursor rests: to lay it out takes longer than to move the cursor."""
        if self._passing is not None:
            self._passing.stop()
        self._passing = self.set_timer(SETTLE, self._rested)

    def _rested(self) -> None:
        self._passing = None
        self._tell_facts()

    def _tell_facts(self) -> None:
        """Tell everything, if anybody looks, and the cursor is not passing by."""
        if self._passing is None and self.query_one(ContentSwitcher).current == "info":
            self.query_one("#facts", HangingIndent).update(self._facts())

    def show_log(self, session: Session | None, engine_epoch: int = 0, stirs: int = 0) -> None:
        """Follow the session's log; None: nobody's. The numbers count what it may go on after."""
        self.log_pane.show(session, engine_epoch, stirs)
        self.show_state()

    def show_state(self) -> None:
        """Tell in the border what the log's view does, in one drawing with it."""
        shown = self.query_one(ContentSwitcher).current == "log" and self.log_pane.session is not None
        words = format_state(self.log_view.state, self._glyphs.dot) if shown else ""
        if words != self._state:
            self._state = words
            self.say_below(Content(words))

    # --- tabs ---

    @on(Tabs.TabActivated)
    def tab_chosen(self, event: Tabs.TabActivated) -> None:
        """A click on a tab, or our own switching."""
        chosen = event.tab.id or "log"
        if self.tab != chosen:
            self._show(chosen)
        if event.tabs.query_one("#log", Tab).display:
            self._wanted = chosen

    def turn(self, step: int) -> None:
        """Show the next tab, or the one before."""
        names = [tab.id or "" for tab in self.query(Tab) if tab.display]
        at = names.index(self.tab) if self.tab in names else 0
        wanted = names[(at + step) % len(names)]
        if len(names) > 1:
            self._wanted = wanted  # at once: the next drawing, which may come before the tab's news, goes by it
        self._switch(wanted)

    def _switch(self, name: str) -> None:
        tabs = self.query_one(Tabs)
        if tabs.active != name:
            tabs.active = name
        if self.tab != name:
            self._show(name)
        else:
            self._tell_facts()

    def _show(self, name: str) -> None:
        """Show what the tab is for; if it takes the place of what had the focus, it has it now."""
        focused = self.screen.focused
        inside = focused is not None and self in focused.ancestors
        self.query_one(ContentSwitcher).current = name
        if name == "changes":
            self.changes.look_again()
        if inside:
            self.take_focus()
        self._tell_facts()
        self.show_state()

    def back(self) -> bool:
        """Leave a part of the tab for the part it belongs to; False if there is none."""
        return self.tab == "changes" and self.changes.back()

    def take_focus(self) -> None:
        """Focus whatever the present tab shows."""
        if self.tab == "changes":
            self.changes.take_focus()
        else:  # at once: widget.focus() would come after the next key
            self.screen.set_focus(self.log_view if self.tab == "log" else self.query_one("#info", VerticalScroll))
