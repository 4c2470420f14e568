"""Scroll size and position of a widget that keeps its vertical scrollbar, set without a layout of the screen.

Assigning `virtual_size`, `scroll_y` or `show_vertical_scrollbar` makes Textual lay out and redraw the whole screen.
Where the scrollbar keeps its place, only the scrollbar itself has to be drawn again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from textual.geometry import Size


def keep_vertical_scrollbar(widget: Widget) -> None:
    """Show the vertical scrollbar from the start. To be called before the widget is mounted."""
    widget.set_reactive(Widget.show_vertical_scrollbar, True)


def set_virtual_size(widget: Widget, size: Size) -> None:
    """Set the scrollable size of a widget whose vertical scrollbar is shown."""
    widget.set_reactive(Widget.virtual_size, size)
    widget.vertical_scrollbar.window_virtual_size = size.height


def set_scroll_position(widget: Widget, line: int) -> None:
    """Move the scrollbar to `line`. The widget draws its lines itself, for instance because it follows its end."""
    widget.set_reactive(Widget.scroll_y, line)
    widget.set_reactive(Widget.scroll_target_y, line)
    if widget.show_vertical_scrollbar:
        widget.vertical_scrollbar.position = line
