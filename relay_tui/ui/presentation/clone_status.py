"""Status of a session's clone as cells of its row and as fields of Info. All text is sanitized."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from relay_tui.domain.errors import Fault
from relay_tui.text.sanitize import clean
from relay_tui.ui.presentation.columns import Cell, cell
from relay_tui.ui.presentation.formatting import Tone, format_hint

if TYPE_CHECKING:
    from relay_tui.domain.changes import CloneStatus
    from relay_tui.domain.models import Session

Known: TypeAlias = "CloneStatus | Fault | None"
"""Clone status, the reason for its absence, or "not checked yet"."""

_MARKS = {"conflict": "✖", "ahead": "↑", "behind": "↓", "unpushed": "⇡", "stash": "≡"}
NOTHING = cell("")
_PLAIN = {"conflict": "!", "ahead": ">", "behind": "<", "unpushed": "^", "stash": "="}


@lru_cache(maxsize=8192)
def clean_cell(text: str, tone: Tone = "") -> Cell:
    """A cell of cleaned text. Thousands of rows have the same branches, images, states and ages in common."""
    return cell(clean(text), tone)


def changes_cell(known: Known, *, plain: bool) -> Cell:
    """`~2 +3 -1 ?4 ↑2 ↓1 ⇡3`: changed, added, deleted, untracked, ahead, behind, nowhere but here."""
    if known is None:
        return NOTHING
    if isinstance(known, Fault):
        return cell("? unknown", "busy")
    marks = _PLAIN if plain else _MARKS
    counts: list[tuple[str, int | None, Tone]] = [
        (marks["conflict"], known.conflicted, "bad"),
        ("~", known.changed, "busy"),
        ("+", known.added, "good"),
        ("-", known.deleted, "bad"),
        ("?", known.untracked, "good"),
        (marks["stash"], known.stashes, "accent"),
        (marks["ahead"], known.ahead if known.ahead is not None else 0, "accent"),
        (marks["behind"], known.behind if known.behind is not None else 0, "dim"),
    ]
    if known.unpushed is None or known.unpushed != known.ahead:  # else it is said already
        counts.append((marks["unpushed"], known.unpushed, "busy"))
    spans: list[tuple[str, Tone]] = []
    for mark, count, tone in counts:
        if count != 0:
            spans.append((f"{' ' if spans else ''}{mark}{count if count is not None else '?'}", tone))
    return Cell(tuple(spans)) if spans else cell("clean", "dim")


def branch_cell(session: Session, known: Known) -> Cell:
    """The branch that the session is on, marked where that is not the one it was made for."""
    if known is None or isinstance(known, Fault) or known.branch == session.branch:
        return clean_cell(session.branch)
    if not known.branch:
        return cell(f"detached {clean(known.head)[:8]}".rstrip(), "busy")
    return cell(clean(known.branch), "busy")


def status_fields(session: Session, known: Known, moment: datetime) -> list[tuple[str, str, str]]:
    """Label, value, style ('' for plain) of everything that is known."""
    if known is None:
        return [("git", "not looked at yet", "$foreground-muted")]
    if isinstance(known, Fault):
        lines = [f"unknown: {known.title}", known.detail, format_hint(known.hint) or "It counts as unsaved work."]
        return [("git", "\n".join(filter(None, lines)), "$text-warning")]
    pairs = [
        ("on branch", *_branch(session, known)),
        ("files", *_files(known)),
        ("upstream", _upstream(known), ""),
        ("not pushed", *_unpushed(known)),
    ]
    if known.stashes:
        pairs.append(("stashes", str(known.stashes), ""))
    if known.last is not None:
        last = known.last
        pairs.append(
            ("last commit", f"{last.hash[:8]} {last.subject}\n{last.author}, {_when(last.authored_at, moment)}", "")
        )
    return [*pairs, *(("note", note, "$text-warning") for note in known.notes)]


def _branch(session: Session, facts: CloneStatus) -> tuple[str, str]:
    if not facts.branch:
        return f"none: detached at {facts.head[:12]}" if facts.head else "none", "$text-warning"
    empty = "" if facts.head else ", which has no commit yet"
    if facts.branch != session.branch:
        return f"{facts.branch}{empty} (it began on {session.branch})", "$text-warning"
    return f"{facts.branch}{empty}", ""


def _files(facts: CloneStatus) -> tuple[str, str]:
    counts = (
        (facts.conflicted, "in conflict"),
        (facts.changed, "changed"),
        (facts.added, "added"),
        (facts.deleted, "deleted"),
        (facts.untracked, "untracked"),
    )
    words = ", ".join(f"{count} {what}" for count, what in counts if count)
    return words or "no changes", "" if not facts.conflicted else "$text-error"


def _upstream(facts: CloneStatus) -> str:
    if not facts.upstream:
        return "the branch follows none"
    if facts.ahead is None or facts.behind is None:
        return f"{facts.upstream}: how far apart is not known"
    if not facts.ahead and not facts.behind:
        return f"{facts.upstream}: the same commit"
    parts = (f"{facts.ahead} ahead" if facts.ahead else "", f"{facts.behind} behind" if facts.behind else "")
    return f"{facts.upstream}: {', '.join(filter(None, parts))}"


def _unpushed(facts: CloneStatus) -> tuple[str, str]:
    if facts.unpushed is None:
        return "unknown", "$text-warning"
    if not facts.unpushed:
        return "nothing: the upstream has every commit", ""
    commits = "1 commit is" if facts.unpushed == 1 else f"{facts.unpushed} commits are"
    return f"{commits} nowhere but here", ""


def _when(stamp: str, moment: datetime) -> str:
    from relay_tui.ui.presentation.formatting import format_time

    return format_time(stamp, moment)
