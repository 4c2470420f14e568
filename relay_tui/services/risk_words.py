"""What would be lost with a session, in words: the same on the screen and on the command line."""

from __future__ import annotations

from relay_tui.services.spec import format_size
from relay_tui.work import AtRisk, Guarded, Hazard

_SHOWN = 3


def describe(guarded: Guarded) -> list[str]:
    """A line for each kind of work at risk. Names in them were written by the session."""
    return [f"{risk.session}: {_line(risk)}" if risk.session else _line(risk) for risk in guarded.risks]


def _line(risk: AtRisk) -> str:
    if risk.hazard is Hazard.UNKNOWN:
        return f"unknown: {risk.reason}"
    what = _WORDS[risk.hazard](risk)
    examples = list(risk.examples[:_SHOWN])
    if risk.count > len(examples) > 0:
        examples.append("…")
    return f"{what}: {', '.join(examples)}" if examples else what


def _counted(risk: AtRisk, one: str, more: str) -> str:
    size = f", {format_size(risk.size)}" if risk.size is not None else ""
    return f"{risk.count} {one if risk.count == 1 else more}{size}"


def _on(risk: AtRisk) -> str:
    return f" on {risk.branch}" if risk.branch else ""


_WORDS = {
    Hazard.DIRTY: lambda risk: _counted(risk, "changed file", "changed files"),
    Hazard.UNTRACKED: lambda risk: _counted(risk, "untracked file", "untracked files"),
    Hazard.IGNORED: lambda risk: _counted(risk, "large ignored entry", "large ignored entries"),
    Hazard.STASHED: lambda risk: _counted(risk, "stash", "stashes"),
    Hazard.UNPUSHED: lambda risk: f"{_counted(risk, 'commit', 'commits')}{_on(risk)} that the upstream lacks",
}
