"""Everything that depends on what Textual keeps private, used only with versions of Textual that were read for it.

With any other version relay runs on Textual's stock parts. It then draws more than it has to, wakes up ten times a
second for keys, and takes an escape and a key in one packet for that key with alt.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.screen import Screen

REVIEWED = (8, 2, 5), (8, 2, 8)
"""The first and the last version of Textual whose `_compositor`, `_xterm_parser` and `linux_driver` were read.

Between them the escape sequences that are asked of the terminal and parsed changed, and the offsets of selected text;
`_dirty_regions`, `_get_renders`, `run_input_thread` and `exit_event` did not. Below 8.2.5 relay's screen does not
start on a terminal with 16 colours.
"""


def is_reviewed(textual_version: str) -> bool:
    """Return True if the private parts of this version of Textual are known. A pre-release is not."""
    parts = textual_version.split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return False
    first, last = REVIEWED
    return first <= tuple(int(part) for part in parts) <= last


def driver_class() -> type[Driver] | None:
    """Return relay's driver of the terminal; None, for Textual's own, if this version of Textual was not reviewed."""
    if not is_reviewed(version("textual")):
        return None
    from relay_tui.ui.textual_internals.driver import TerminalDriver

    return TerminalDriver


def install_compositor(screen: Screen[Any]) -> None:
    """Make `screen` redraw only the lines that changed. Keep its compositor if Textual was not reviewed.

    To be called in the constructor of the screen: the compositor knows nothing yet.
    """
    if is_reviewed(version("textual")):
        from relay_tui.ui.textual_internals.compositor import PartialUpdateCompositor

        screen._compositor = PartialUpdateCompositor()
