"""What of a log matches: a filter leaves only that, a search goes from one match to the next."""

from __future__ import annotations

from textual.message import Message

from relay_tui.ui.log.model import position
from relay_tui.ui.log.model.matches import AllLines, MatchIndex
from relay_tui.ui.log.model.pattern import Pattern
from relay_tui.ui.log.model.position import RowPosition
from relay_tui.ui.log.viewport import LogViewport

_SLICE = 0.006  # seconds of looking for matches at once
_PAUSE = 0.004  # seconds between, for everything else


class LogSearch(LogViewport):
    """Looks for matches a moment at a time; a step that leads to none known yet is taken as soon as one is."""

    _filtered: MatchIndex | None = None
    _found: MatchIndex | None = None
    _looking = False

    class NothingFound(Message):
        """All was looked at for the next match, and there is none."""

    @property
    def has_all(self) -> bool:
        """Whether there are no older lines that can be had."""
        raise NotImplementedError

    @property
    def filter(self) -> Pattern | None:
        """What the lines that are shown match."""
        return self._filter

    def set_filter(self, pattern: Pattern | None) -> None:
        """Show only the lines that a pattern accepts, now and from now on; None: all of them.

        A reader's place stays the line it was, shown or not: so none is lost to patterns that are half typed.
        """
        if pattern == self._filter:
            return
        self._filter = pattern
        self._restart_filter()
        self._restart_search()
        self._changed()

    def set_search(self, pattern: Pattern | None) -> None:
        """Seek a pattern: its matches stand out and are counted; None: nothing any more."""
        if pattern == self._search:
            return
        self._search = pattern
        self._current = None
        self._steps = ()
        self._drawn_lines.clear()
        self._restart_search()
        self._changed()

    def search(self, step: int = 0) -> None:
        """Go to the next line found (1), the one before (-1), or the last at or above the bottom (0)."""
        self._steps = (*self._steps, step)
        self._take_steps()

    def _take_steps(self) -> None:
        """Go as far as it is known where to."""
        while self._steps:
            step, *rest = self._steps
            number = self._sought(step)
            if number is None:
                if self._all_seen:
                    self._steps = ()
                    if step:
                        self.post_message(self.NothingFound())
                return
            self._current = number
            self._show(number)
            self._steps = tuple(rest)

    def _sought(self, step: int) -> int | None:
        """The number of the line that a step leads to; None: there is none, or it is not known yet."""
        found = self._found
        if found is None:
            return None
        if self._current is None or step == 0:
            at = found.index(self._below()) - 1
        else:
            at = found.index(self._current)
            if step < 0 or found.place(self._current):
                at += step
        if not 0 <= at < len(found):
            if not len(found) or not self._all_seen:
                return None
            at %= len(found)
        number = found.at(at)
        return number if self._filtered is None or self._filtered.place(number) else None

    @property
    def _all_seen(self) -> bool:
        """Whether no match can be missing."""
        return self.has_all and self._all_looked_at

    @property
    def _all_looked_at(self) -> bool:
        return all(matches.complete for matches in self._matches)

    @property
    def _matches(self) -> list[MatchIndex]:
        return [matches for matches in (self._filtered, self._found) if matches is not None]

    def _below(self) -> int:
        """The number of the line below the screen's last."""
        rows = self._visible()
        return self._lines.at(rows[-1].line) + 1 if rows else self.buffer.end

    def _show(self, number: int) -> None:
        """Bring what was found in a line into sight, a third down the screen unless it is there."""
        drawn = self._line(number)
        begin, end = drawn.found(self._search) if self._search is not None else (0, 0)
        place = RowPosition(self._lines.index(number), drawn.row(begin, self.look))
        self._pan(begin, end)
        if place not in self._visible():
            self._stay(position.move_by(place, -self.size.height // 3, len(self._lines), self._height))
        else:
            self._stay(self._place())

    def _restart_filter(self) -> None:
        start = None if self._following else self._top[0]
        self._filtered = MatchIndex(self.buffer, self._filter, start=start) if self._filter else None
        self._lines = self._filtered if self._filtered is not None else AllLines(self.buffer)
        self._rows = None

    def _restart_search(self) -> None:
        start = self._below() if self._current is None else self._current
        patterns = [pattern for pattern in (self._filter, self._search) if pattern is not None]
        self._found = MatchIndex(self.buffer, *patterns, spots=True, start=start) if self._search else None

    def _resume_search(self) -> None:
        """Begin to look, unless nothing is left to be looked at. What the buffer dropped is no match at once."""
        for matches in self._matches:
            matches.forget()
        if not self._looking and not self._all_looked_at:
            self._looking = True
            self._look()

    def _look(self) -> None:
        """Look for matches for a moment; go on when everybody else had theirs."""
        for matches in self._matches:
            matches.advance(_SLICE / len(self._matches))
        self._rows = None
        self._looking = not self._all_looked_at
        if self._looking:
            self.set_timer(_PAUSE, self._look_on)

    def _look_on(self) -> None:
        self._look()
        self._take_steps()
        self._changed()
