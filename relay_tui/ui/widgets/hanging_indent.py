"""Labels and values as text: a value that is wrapped continues below the value, not below the label."""

from __future__ import annotations

import re

from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Region, Size
from textual.widget import Widget

_BEFORE = re.compile(r" *(?:\S(?: ?\S)*? {2,}(?=\S))?")
_LEAST = 16  # cells a value goes on in; with less the line goes on at its beginning


class HangingIndent(Widget):
    """Shows some content. Where a line begins with a label, or with spaces, the rest of it is indented so as well."""

    DEFAULT_CSS = "HangingIndent { width: 1fr; height: auto; }"

    def __init__(self, content: Content | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._content = content or Content("")

    def update(self, content: Content) -> None:
        """Show this instead."""
        if not content.is_same(self._content):
            width = self.content_size.width
            before, lines = wrap(self._content, width), wrap(content, width)
            self._content = content
            if width and len(before) == len(lines):
                others = [y for y, (old, new) in enumerate(zip(before, lines, strict=True)) if not new.is_same(old)]
                self.refresh(*(Region(0, y, width, 1) for y in others))
            else:
                self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - as overridden
        """As many lines as it takes in that width."""
        return len(wrap(self._content, width))

    def render(self) -> RenderResult:
        """The lines as they fit."""
        return Content("\n").join(wrap(self._content, self.content_size.width))


def wrap(content: Content, width: int) -> list[Content]:
    """The lines of `content`, none wider than `width` cells."""
    return [folded for line in content.split("\n", allow_blank=True) for folded in _fold_line(line, max(1, width))]


def _fold_line(line: Content, width: int) -> list[Content]:
    if line.cell_length <= width:
        return [line]
    match = _BEFORE.match(line.plain)
    indent = line[: match.end() if match else 0]
    if width - indent.cell_length < _LEAST:
        return line.wrap(width)
    first, *more = line[len(indent) :].wrap(width - indent.cell_length)
    return [indent + first, *(rest.pad_left(indent.cell_length) for rest in more)]
