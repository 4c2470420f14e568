"""Reads of Textual's private attributes by tests, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual._compositor import Compositor
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

if TYPE_CHECKING:
    from textual.binding import Binding
    from textual.dom import DOMNode
    from textual.geometry import Region
    from textual.screen import Screen

__all__ = ["MAX_QUEUED_WRITES", "Compositor", "WriterThread", "compositor", "dirty_regions", "key_bindings", "lines"]


def compositor(screen: Screen[Any]) -> Compositor:
    """Return the compositor of a screen."""
    return screen._compositor


def lines(screen: Screen[Any]) -> list[str]:
    """Return what is on the terminal, line by line."""
    return [strip.text.rstrip() for strip in screen._compositor.render_strips()]


def dirty_regions(found: Compositor) -> set[Region]:
    """Return the regions that are drawn next."""
    return found._dirty_regions


def key_bindings(node: DOMNode) -> Mapping[str, Sequence[Binding]]:
    """Return the bindings of a node by their keys."""
    return node._bindings.key_to_bindings
