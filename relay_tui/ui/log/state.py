"""State of a log view, as text for its pane's border."""

from __future__ import annotations

from dataclasses import dataclass, replace

from relay_tui.ui.keys.actions import key_of


@dataclass(frozen=True, slots=True)
class LogState:
    """State that determines the display of a log."""

    following: bool = True
    unseen: int = 0
    filter: str = ""
    found: int | None = None
    """Number of lines that match the search; None if there is no search."""
    current: int = 0
    """Rank of the current match, from 1; 0 if there is none."""
    sought: str = ""
    searching: bool = False
    """Whether the search is still running."""
    given_up: bool = False
    """Whether the search, or the filter, was too slow."""
    wrap: bool = False
    times: bool = False
    since: str = ""
    dropped: int = 0
    loading: bool = False
    saving: int | None = None
    """Number of lines loaded so far while a log is saved; None if no log is being saved."""
    without_older: str = ""
    """Reason why older lines are missing, if the first line is visible; else ''."""
    connection: str = ""
    """'reconnecting', 'ended', or '' while the log is followed."""

    def counted_on_from(self, before: LogState) -> bool:
        """Return whether only a running count has changed."""
        found = before.found if self.found is not None and before.found is not None else self.found
        saving = before.saving if self.saving is not None and before.saving is not None else self.saving
        unseen = before.unseen if self.unseen and before.unseen else self.unseen
        counts = replace(self, dropped=before.dropped, found=found, saving=saving, unseen=unseen)
        return counts == before and bool(before.dropped or not self.dropped)


def format_state(state: LogState, dot: str) -> str:
    """Return the text for the border. Default values are left out, except whether the log is followed."""
    parts = [state.connection or ("following" if state.following else "paused")]
    if state.saving is not None:
        parts.append(f"saving, {state.saving:,} lines so far, press {key_of('back')} to stop")
    elif state.loading:
        parts.append("loading older lines")
    elif state.without_older:
        parts.append(f"older lines {state.without_older}")
    if state.found is not None:
        of = f"{state.current:,} of {state.found:,}" if state.current else f"{state.found:,}"
        parts.append(f"/{state.sought} {of}" + ("+" if state.searching else ""))
    if state.filter:
        parts.append(f"&{state.filter}")
    if state.given_up:
        parts.append("pattern too slow, search stopped")
    parts += ["wrap"] if state.wrap else []
    parts += ["time"] if state.times else []
    parts += [f"since {state.since}"] if state.since else []
    parts += [f"{state.dropped:,} dropped"] if state.dropped else []
    return f" {dot} ".join(parts)
