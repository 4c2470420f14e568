"""Help screen: every key, from the table of actions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from relay_tui.ui.keys.actions import ACTIONS, BY_NAME, SHARED_KEYS, Action, format_keys
from relay_tui.ui.widgets.hanging_indent import HangingIndent


class HelpScreen(ModalScreen[None]):
    """Keys by group: all of them, or those of one screen."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss(None)", "Close"),
        *(Binding(a.keys, "dismiss(None)", id=a.binding_id, show=False) for a in (BY_NAME["help"], BY_NAME["quit"])),
        Binding("j", "scroll('down')", show=False),
        Binding("k", "scroll('up')", show=False),
    ]

    def __init__(self, actions: Sequence[Action] = ACTIONS, *, ascii_only: bool) -> None:
        super().__init__()
        self._actions = actions
        self._ascii_only = ascii_only

    def compose(self) -> ComposeResult:
        """Build one line for each key."""
        with VerticalScroll(classes="box -help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield HangingIndent(self._content())

    def action_scroll(self, direction: str) -> None:
        """Scroll with j and k."""
        box = self.query_one(VerticalScroll)
        (box.scroll_down if direction == "down" else box.scroll_up)(animate=False)

    def _content(self) -> Content:
        lines: list[Content] = []
        for group, actions in groupby(self._actions, key=lambda action: action.group):
            lines.append(Content.styled(group, "bold $foreground-muted"))
            lines += [self._line(format_keys(a, ascii_only=self._ascii_only), a.help) for a in actions]
            lines.append(Content(""))
        lines.append(Content.styled("Lists and log", "bold $foreground-muted"))
        for keys, words in SHARED_KEYS:
            shown = " ".join(k for k in keys.split() if k.isascii() or not self._ascii_only)
            lines.append(self._line(shown, words))
        return Content("\n").join(lines)

    def _line(self, keys: str, words: str) -> Content:
        return Content.assemble((f"  {keys:<16}", "bold $primary-lighten-1"), words)
