"""How the last runs of a session's process ended, as its state remembers them: each record takes over those before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay_tui.services.ports import RunEnd

KEPT = 8
"""Ends that are remembered: of runs so short that nobody saw them."""


def remembered(state: Mapping[str, Any] | None, by: str = "") -> list[dict[str, Any]]:
    """The ends that the record of a new run takes over. `by`: when a run must have ended that left no word."""
    if state is None:
        return []
    before = [end for end in state.get("before") or [] if isinstance(end, dict)]
    if state.get("started_at"):
        at = state.get("finished_at") or by
        before.append({"began": state["started_at"], "at": at, "exit_code": state.get("exit_code")})
    return before[-KEPT:]


def later(state: Mapping[str, Any] | None, since: str) -> list[RunEnd]:
    """Those of them later than `since`, a time as the state has it."""
    found = []
    for end in remembered(state):
        at, began, code = str(end.get("at") or ""), str(end.get("began") or ""), end.get("exit_code")
        if at > since:
            found.append(RunEnd(at, code if isinstance(code, int) else None, began if began > since else ""))
    return found
