"""A diff on the screen, drawn line by line; what a line costs, colours and words, is paid when it is seen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size, clamp
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from relay_tui.text.sanitize import clean_block, to_ascii
from relay_tui.ui.changes.diff_parser import Diff, DiffLine, LineKind
from relay_tui.ui.changes.diff_renderer import DiffRenderer, RenderedLine

_SIDEWAYS = 8
_MOST = 500  # pieces of each sort that are styled in a line: a hostile one would have thousands
_NARROW = 70  # with fewer cells one column of numbers is shown instead of two
_LOOKS = {LineKind.SAME: "same", LineKind.ADDED: "added", LineKind.DELETED: "deleted", LineKind.META: "meta"}


class DiffView(ScrollView, can_focus=True):
    """Shows one diff, of a file or of many; one of its hunks is the one that keys are about."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"diff-view--{name}" for name in ("file", "hunk", "meta", "same", "added", "deleted", "numbers", "here")),
        *(f"diff-view--{name}" for name in ("added-sign", "deleted-sign", "added-word", "deleted-word", "odd")),
        *(f"diff-view--{name}" for name in ("keyword", "string", "number", "comment", "name", "builtin", "words")),
    }
    DEFAULT_CSS = """
    DiffView {
        overflow-x: auto;
        overflow-y: auto;
        scrollbar-size-horizontal: 0;
        scrollbar-size-vertical: 1;
        & > .diff-view--file { background: $panel; color: $text; text-style: bold; }
        & > .diff-view--hunk { color: $text-muted; }
        & > .diff-view--meta { color: $text-muted; text-style: italic; }
        & > .diff-view--words { color: $text-muted; }
        & > .diff-view--numbers { color: $foreground 38%; }
        & > .diff-view--here { color: $primary; }
        & > .diff-view--added { background: $success 13%; }
        & > .diff-view--deleted { background: $error 13%; }
        & > .diff-view--added-sign { color: $success; }
        & > .diff-view--deleted-sign { color: $error-lighten-1; }
        & > .diff-view--added-word { background: $success 36%; }
        & > .diff-view--deleted-word { background: $error 40%; }
        & > .diff-view--odd { color: $text-error; text-style: reverse; }
        & > .diff-view--keyword { color: $text-primary; }
        & > .diff-view--string { color: $text-success; }
        & > .diff-view--number { color: $text-warning; }
        & > .diff-view--comment { color: $text-muted; text-style: italic; }
        & > .diff-view--name { text-style: bold; }
        & > .diff-view--builtin { color: $text-secondary; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "Line down", show=False),
        Binding("up,k", "scroll_up", "Line up", show=False),
        Binding("pagedown,ctrl+f,space", "page(1.0)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1.0)", "Page up", show=False),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False),
        Binding("home,g", "scroll_home", "First line", show=False),
        Binding("end,G", "scroll_end", "Last line", show=False),
        Binding("left", "sideways(-1)", "Left", show=False),
        Binding("right", "sideways(1)", "Right", show=False),
    ]

    class FileReached(Message):
        """Another file of a diff of many is at the top."""

        def __init__(self, view: DiffView, path: str) -> None:
            super().__init__()
            self.view = view
            self.path = path

        def can_replace(self, message: Message) -> bool:
            """Only the last one matters."""
            return isinstance(message, DiffView.FileReached)

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._ascii = ascii_only
        self._diff = Diff()
        self._drawing = DiffRenderer(self._diff, plain=ascii_only)
        self._words = ""
        self._strips: LRUCache[tuple[int, bool], Strip] = LRUCache(1024)
        self._hunk = -1
        self._digits = 1

    # --- what is shown ---

    @property
    def diff(self) -> Diff:
        """The diff that is shown."""
        return self._diff

    @property
    def hunk(self) -> int:
        """The hunk that keys are about; -1 where there is none."""
        return self._hunk

    @property
    def file(self) -> int:
        """The file that keys are about: that of the hunk, else the one at the top; -1 where there is none."""
        return self._diff.file_at(self._diff.hunks[self._hunk] if self._hunk >= 0 else self.scroll_offset.y)

    def show(self, diff: Diff, *, keep: bool = False) -> None:
        """Show another diff from its beginning; `keep`: it is the same one looked at again, so the place stays."""
        top = self.scroll_offset.y if keep else 0
        self._diff, self._words = diff, ""
        self._drawing = DiffRenderer(diff, plain=self._ascii)
        self._strips.clear()
        highest = max((max(line.old, line.new) for line in _samples(diff)), default=1)
        self._digits = max(3, len(str(highest)))
        self.virtual_size = Size(diff.widest + self._gutter, len(diff.lines))
        self._hunk = min(self._hunk, len(diff.hunks) - 1) if keep else -1
        self.scroll_to(None if keep else 0, min(top, max(0, len(diff.lines) - 1)), animate=False, force=True)
        self._settle_hunk()
        self.refresh()

    def say(self, words: str) -> None:
        """Show words instead of a diff."""
        self._diff, self._words = Diff(), words
        self._drawing = DiffRenderer(self._diff, plain=self._ascii)
        self._hunk = -1
        self._strips.clear()
        self.virtual_size = Size(0, 0)
        self.refresh()

    # --- moving ---

    def jump_hunk(self, step: int) -> bool:
        """Go to the next hunk, or the one before; False at the end."""
        wanted = self._hunk + step
        if not 0 <= wanted < len(self._diff.hunks):
            return False
        self._go(wanted)
        return True

    def jump_file(self, step: int) -> bool:
        """Go to the next file of a diff of many, or the one before; False at the end."""
        wanted = self.file + step
        if not 0 <= wanted < len(self._diff.files):
            return False
        self.go_to_file(wanted)
        return True

    def go_to_file(self, file: int) -> None:
        """Put a file's first line at the top."""
        start = self._diff.files[file]
        end = self._diff.files[file + 1] if file + 1 < len(self._diff.files) else len(self._diff.lines)
        first = self._diff.hunk_at(start) + 1
        has_hunk = first < len(self._diff.hunks) and self._diff.hunks[first] < end
        self._hunk = first if has_hunk else self._hunk
        self.scroll_to(y=start, animate=False, force=True)
        self.refresh()

    def _go(self, hunk: int) -> None:
        self._hunk = hunk
        start = self._diff.hunks[hunk]
        top, height = self.scroll_offset.y, self.size.height
        lines = self._diff.hunk_lines(hunk)
        if not top <= start or lines.stop > top + height:  # what is to be seen whole already does not move
            file = self._diff.files[at] if (at := self._diff.file_at(start)) >= 0 else start
            self.scroll_to(y=file if start - file < 4 else start, animate=False, force=True)
        self.refresh()
        self._tell_file()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """The hunk that keys are about is always one that is to be seen."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._settle_hunk()

    def _settle_hunk(self) -> None:
        diff, top, height = self._diff, self.scroll_offset.y, max(1, self.size.height)
        if not diff.hunks:
            self._hunk = -1
            return
        before = self._hunk
        if before >= 0:
            lines = diff.hunk_lines(before)
            if lines.start < top + height and lines.stop > top:
                self._tell_file()
                return
        found = diff.hunk_at(top)
        if found < 0 or (diff.hunk_lines(found).stop <= top and found + 1 < len(diff.hunks)):
            found += 1
        self._hunk = found
        if found != before:
            self.refresh()
        self._tell_file()

    def _tell_file(self) -> None:
        if len(self._diff.files) > 1 and (file := self.file) >= 0:
            self.post_message(self.FileReached(self, self._diff.paths[file]))

    def action_scroll_down(self) -> None:
        """One line down."""
        self.scroll_relative(y=1, animate=False)

    def action_scroll_up(self) -> None:
        """One line up."""
        self.scroll_relative(y=-1, animate=False)

    def action_page(self, part: float) -> None:
        """A page, or part of one."""
        self.scroll_relative(y=round(max(1, self.size.height - 1) * part), animate=False)

    def action_scroll_home(self) -> None:
        """To the first line."""
        self.scroll_to(0, 0, animate=False)

    def action_scroll_end(self) -> None:
        """To the last line."""
        self.scroll_to(y=self.max_scroll_y, animate=False)

    def action_sideways(self, step: int) -> None:
        """A few columns left or right."""
        self.scroll_relative(x=step * _SIDEWAYS, animate=False)

    # --- drawing ---

    @property
    def _gutter(self) -> int:
        return 1 + self._digits * (1 if self._narrow else 2) + (0 if self._narrow else 1) + 3

    @property
    def _narrow(self) -> bool:
        return self.size.width < _NARROW

    def on_resize(self) -> None:
        """One column of numbers or two, by the width."""
        self._strips.clear()
        self.virtual_size = Size(self._diff.widest + self._gutter, len(self._diff.lines))

    def notify_style_update(self) -> None:
        """Forget what was drawn in the former colours."""
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width = self.scrollable_size.width
        scroll_x, scroll_y = self.scroll_offset
        number = scroll_y + y
        if not self._diff.lines:
            return self._words_row(y, width)
        if number >= len(self._diff.lines):
            return Strip.blank(width, self.rich_style)
        here = self._hunk >= 0 and number in self._diff.hunk_lines(self._hunk)
        key = (number, here)
        whole = self._strips.get(key)
        if whole is None:
            whole = self._strips[key] = self._draw(number, here)
        line = self._diff.lines[number]
        ground = self._style(_LOOKS.get(line.kind, "file" if line.kind is LineKind.FILE else "same"))
        if line.kind is LineKind.FILE:
            return whole.crop_extend(0, width, ground)
        gutter = whole.crop(0, self._gutter)
        text = whole.crop(self._gutter + scroll_x, self._gutter + scroll_x + max(0, width - self._gutter))
        return Strip.join([gutter, text]).adjust_cell_length(width, ground)

    def _draw(self, number: int, here: bool) -> Strip:
        """A line as wide as it is."""
        line, drawn = self._diff.lines[number], self._drawing.line(number)
        if line.kind is LineKind.FILE:
            return Strip([Segment(f" {self._shown(drawn.text)} ", self._style("file"))])
        bar = Segment(("|" if self._ascii else "▎") if here else " ", self._style("here"))
        if line.kind is LineKind.HUNK:
            return self._hunk_strip(number, drawn, bar)
        if line.kind is LineKind.META:
            meta = self._style("meta")
            return Strip([bar, Segment(" " * (self._gutter - 1), meta), Segment(self._shown(drawn.text), meta)])
        look = _LOOKS[line.kind]
        numbers = Segment(self._numbers(line), self._style(look, "numbers"))
        sign = {LineKind.ADDED: "+", LineKind.DELETED: "-"}.get(line.kind, " ")
        signed = Segment(f" {sign} ", self._style(look, f"{look}-sign") if sign != " " else self._style(look))
        return Strip([bar, numbers, signed, *self._text(drawn, look)])

    def _hunk_strip(self, number: int, drawn: RenderedLine, bar: Segment) -> Strip:
        first = self._diff.lines[number + 1] if number + 1 < len(self._diff.lines) else None
        at = (first.new or first.old) if first is not None else 0
        dots = "." if self._ascii else "⋯"
        pad = dots.rjust(self._gutter - 4).ljust(self._gutter - 1)
        words = self._shown(drawn.text) or (f"line {at}" if at else "")
        return Strip([bar, Segment(pad + words, self._style("hunk"))])

    def _numbers(self, line: DiffLine) -> str:
        old, new = (str(number or "") for number in (line.old, line.new))
        if self._narrow:
            return (new or old).rjust(self._digits)
        return f"{old.rjust(self._digits)} {new.rjust(self._digits)}"

    def _text(self, drawn: RenderedLine, look: str) -> Iterable[Segment]:
        """The text in pieces of one style: syntax, on it the words that changed, on those what was spelled out."""
        text = drawn.text
        if not (drawn.marked or drawn.pieces or drawn.odd):
            return [Segment(self._shown(text), self._style(look))]
        covers = [
            *((first, last, ink) for first, last, ink in drawn.pieces[:_MOST]),
            *((first, last, f"{look}-word") for first, last in drawn.marked[:_MOST]),
            *((first, last, "odd") for first, last in drawn.odd[:_MOST]),
        ]
        names: list[list[str]] = [[look] for _ in range(max(last for _, last, _ in covers) + 1)]
        for first, last, name in covers:
            for at in range(first, last):
                names[at].append(name)
        names[-1] = [look]
        segments = []
        start = 0
        for same, group in groupby(names[:-1]):
            end = start + sum(1 for _ in group)
            segments.append(Segment(self._shown(text[start:end]), self._style(*same)))
            start = end
        return [*segments, Segment(self._shown(text[start:]), self._style(look))]

    def _shown(self, text: str) -> str:
        return to_ascii(text) if self._ascii else text

    def _style(self, *names: str) -> Style:
        return self.get_visual_style(*(f"diff-view--{name}" for name in names)).rich_style

    def _words_row(self, y: int, width: int) -> Strip:
        look = self._style("words")
        paragraphs = clean_block(self._words).split("\n") if self._words else []
        lines = [line for text in paragraphs for line in textwrap.wrap(text, max(1, width - 4)) or [""]]
        at = y - clamp((self.size.height - len(lines)) // 3, 0, 2)
        if not 0 <= at < len(lines):
            return Strip.blank(width, self.rich_style)
        return Strip([Segment("  " + self._shown(lines[at]), look)]).adjust_cell_length(width, look)


def _samples(diff: Diff) -> Iterable[DiffLine]:
    """The last line of each hunk: none has higher numbers."""
    for hunk in range(len(diff.hunks)):
        lines = diff.hunk_lines(hunk)
        yield diff.lines[lines.stop - 1]
        if lines.stop - 2 > lines.start:
            yield diff.lines[lines.stop - 2]
