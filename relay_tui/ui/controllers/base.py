"""Controller base class, and what all controllers are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from relay_tui.ui.keys.dispatch import Handler

if TYPE_CHECKING:
    from textual.app import App
    from textual.notifications import SeverityLevel
    from textual.screen import Screen
    from textual.timer import Timer
    from textual.widget import Widget

    from relay_tui.domain.errors import Fault
    from relay_tui.services.relay import Relay
    from relay_tui.ui.changes.tab import ChangesTab
    from relay_tui.ui.presentation.formatting import Glyphs
    from relay_tui.ui.selection import Selection
    from relay_tui.ui.state import AppState
    from relay_tui.ui.widgets.table.table import KeyedTable

_Answer = TypeVar("_Answer")


class DetailPane(Protocol):
    """Interface of the detail pane for controllers."""

    display: bool

    @property
    def populated(self) -> bool:
        """Whether its tabs are mounted."""
        ...

    @property
    def changes(self) -> ChangesTab:
        """The Changes tab."""
        ...

    def turn(self, step: int) -> None:
        """Show the next tab, or with -1 the previous one."""
        ...

    def back(self) -> bool:
        """Leave a part of the tab. Return False if there is nothing to leave."""
        ...

    def take_focus(self) -> None:
        """Focus the content of the current tab."""
        ...


class MainView(Protocol):
    """Interface of the main screen for controllers."""

    @property
    def app(self) -> App[Any]:
        """The running app."""
        ...

    @property
    def projects(self) -> KeyedTable:
        """The projects pane."""
        ...

    @property
    def sessions(self) -> KeyedTable:
        """The sessions pane."""
        ...

    @property
    def detail(self) -> DetailPane:
        """The detail pane."""
        ...

    @property
    def focused(self) -> Widget | None:
        """The widget that has the focus."""
        ...

    @property
    def is_on_top(self) -> bool:
        """Whether no other screen covers this one."""
        ...

    def show_latest(self, record_id: str) -> None:
        """Read the state, draw it, and select a new project or session."""
        ...

    def draw_projects(self) -> None:
        """Draw the projects pane."""
        ...

    def draw_sessions(self) -> None:
        """Draw the sessions pane."""
        ...

    def focus_pane(self, name: str) -> None:
        """Focus a pane."""
        ...

    def set_focus(self, widget: Widget | None) -> None:
        """Focus a widget."""
        ...

    def show_zoomed(self, pane: str) -> None:
        """Show one pane alone; '' shows all panes."""
        ...

    def refresh(self) -> object:
        """Draw the whole screen again."""
        ...

    def set_timer(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call back once after `delay` seconds."""
        ...

    def set_interval(self, interval: float, callback: Callable[[], object]) -> Timer:
        """Call back every `interval` seconds."""
        ...


class Notify(Protocol):
    """Shows a notification."""

    def __call__(
        self, message: str, *, severity: SeverityLevel = ..., timeout: float | None = ..., markup: bool = ...
    ) -> None:
        """Show the message for `timeout` seconds."""
        ...


class Ask(Protocol):
    """Opens a dialog.

    The answer comes to a callback instead of an awaitable: the dialog is open when the key that opens it is handled,
    so the next key is the dialog's. An awaitable would need a worker, which starts later.
    """

    def __call__(self, dialog: Screen[_Answer], on_answer: Callable[[_Answer | None], None]) -> object:
        """Open the dialog. `on_answer` gets None if it was left without an answer."""
        ...


@dataclass(frozen=True, slots=True)
class ControllerContext:
    """Parts of the main screen that controllers share."""

    relay: Relay
    state: Callable[[], AppState]
    """Returns the latest state."""
    selection: Selection
    run: Callable[[Callable[[], object]], None]
    """Runs a service call in a thread; an error becomes a notification."""
    notify: Notify
    notify_error: Callable[[Fault], None]
    ask: Ask
    view: MainView
    glyphs: Glyphs


class Controller:
    """Actions of one subject."""

    def __init__(self, context: ControllerContext) -> None:
        self.context = context

    def handlers(self) -> Mapping[str, Handler]:
        """Return the controller's handlers by action name."""
        raise NotImplementedError
