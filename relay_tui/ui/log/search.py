"""Search and filter of a log: which lines match, and which match is the next one."""

from __future__ import annotations

from relay_tui.ui.log.model.buffer import LogBuffer, LogLine
from relay_tui.ui.log.model.line_text import name_before, pieces_text
from relay_tui.ui.log.model.matches import AllLines, Lines, MatchIndex
from relay_tui.ui.log.model.pattern import Pattern


class LogSearch:
    """The search pattern and the filter of one log, and the lines that match them. Knows no widget.

    Lines are examined in slices of time (`step`). A step to a match that is not known yet is kept until the match is
    found.
    """

    def __init__(self, buffer: LogBuffer) -> None:
        self.pattern: Pattern | None = None
        """The pattern whose matches are highlighted and counted."""
        self.filter: Pattern | None = None
        """The pattern that the visible lines match."""
        self.lines: Lines = AllLines(buffer)
        """The visible lines: all, or those that the filter accepts."""
        self.current: int | None = None
        """The absolute number of the selected match."""
        self.pending: tuple[int, ...] = ()
        """Steps whose matches are not known yet, see `next_match`. Moving the view cancels them."""
        self._buffer = buffer
        self._accepted: MatchIndex | None = None  # lines that the filter accepts
        self._found: MatchIndex | None = None  # of these, lines that the pattern matches

    # --- patterns ---

    def set_filter(self, pattern: Pattern | None, start: int | None) -> None:
        """Show only the lines that a pattern accepts; None: all. Lines near the line number `start` come first."""
        self.filter = pattern
        self._accepted = MatchIndex(self._buffer, pattern, start=start) if pattern else None
        self.lines = self._accepted if self._accepted is not None else AllLines(self._buffer)

    def set_pattern(self, pattern: Pattern | None) -> None:
        """Search for a pattern; None: end the search. `restart` must follow."""
        self.pattern = pattern
        self.current = None
        self.pending = ()

    def restart(self, start: int) -> None:
        """Examine all lines again, from the selected match on, or from the line number `start` on."""
        patterns = [pattern for pattern in (self.filter, self.pattern) if pattern is not None]
        start = start if self.current is None else self.current
        self._found = MatchIndex(self._buffer, *patterns, spots=True, start=start) if self.pattern else None

    # --- results ---

    @property
    def match_count(self) -> int | None:
        """The number of matches found; None if there is no search."""
        return None if self._found is None else len(self._found)

    @property
    def current_rank(self) -> int:
        """The position of the selected match among all matches, from 1; 0: none is selected."""
        return 0 if self._found is None or self.current is None else self._found.place(self.current)

    @property
    def is_given_up(self) -> bool:
        """Whether the pattern or the filter was too slow and was stopped."""
        return any(one is not None and one.given_up for one in (self.filter, self.pattern))

    @property
    def is_complete(self) -> bool:
        """Whether every line in the buffer has been examined."""
        return all(index.complete for index in self._indexes)

    def partial_lines(self) -> list[LogLine]:
        """Return the partial lines that the filter accepts so far."""
        partial, wanted = self._buffer.partial_line, self.filter
        return partial if wanted is None else [line for line in partial if self._accepts_partial(wanted, line)]

    # --- searching ---

    def step(self, budget: float) -> bool:
        """Examine lines for `budget` seconds. Return whether every line has been examined."""
        for index in self._indexes:
            index.advance(budget / len(self._indexes))
        return self.is_complete

    def forget_dropped(self) -> None:
        """Remove matches that the buffer has dropped."""
        for index in self._indexes:
            index.forget()

    def next_match(self, step: int, below: int, *, has_all: bool) -> int | None:
        """Select a match and return its absolute line number; None: there is none, or it is not known yet.

        `step`: 1 selects the next match, -1 the previous one, 0 the last at or above the bottom of the screen.
        `below`: the number of the line below the screen. `has_all`: no older lines can be loaded into the buffer.
        """
        number = self._find(step, below, has_all)
        if number is not None:
            self.current = number
        return number

    def _find(self, step: int, below: int, has_all: bool) -> int | None:
        found, accepted = self._found, self._accepted
        if found is None:
            return None
        if self.current is None or step == 0:
            at = found.index(below) - 1
        else:
            at = found.index(self.current)
            if step < 0 or found.place(self.current):
                at += step
        if not 0 <= at < len(found):
            # Wrapping around leads to the first or the last match, which is known once every line was examined.
            if not len(found) or not (has_all and self.is_complete):
                return None
            at %= len(found)
        number = found.at(at)
        return number if accepted is None or accepted.place(number) else None

    @property
    def _indexes(self) -> list[MatchIndex]:
        return [index for index in (self._accepted, self._found) if index is not None]

    def _accepts_partial(self, pattern: Pattern, partial: LogLine) -> bool:
        lines = [*map(self._buffer.line, self._buffer.pieces_before(partial)), partial]
        return pattern.accepts_text("".join(pieces_text(lines)), name_before(lines[0]))
