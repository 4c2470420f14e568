"""Why a push was refused: each known cause gets its own title and what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence

from relay_tui.adapters.git.faults import meaningful, redact, translate
from relay_tui.adapters.git.process import Outcome
from relay_tui.errors import ConflictError, GitError, RelayError
from relay_tui.work import PushPlan

_REJECTED = re.compile(r"^ ! \[(?:remote )?(?:rejected|failure)\].*\((?P<reason>.*)\)\s*$")
_PROTECTED = re.compile(r"protected branch|GH006|GH013|not allowed to (force )?push code to protected", re.IGNORECASE)
_DENIED = re.compile(
    r"returned error: 403|Permission to \S+ denied|denied to |not allowed to (push|upload|write)|access denied"
    r"|insufficient permission|unable to create temporary object|service not enabled|You do not have permission"
    r"|Write access to repository not granted|push access|read-only",
    re.IGNORECASE,
)
_AHEAD = ("non-fast-forward", "fetch first", "stale info", "needs force")


def refusal(outcome: Outcome, plan: PushPlan, said: Sequence[str], secrets: Sequence[str]) -> RelayError:
    """The error for a push that failed; `said` are the remote's own lines."""
    text = "\n".join(outcome.lines)
    reason = next((found["reason"] for line in outcome.lines if (found := _REJECTED.match(line))), "")
    own = redact("\n".join([*said, *([reason] if reason else [])]), secrets)
    if reason in _AHEAD:
        return ConflictError(
            f"The upstream's {plan.branch} has commits that the session lacks",
            own,
            "Bring them in, then push again: {update}, or git pull in its shell.",
        )
    if reason and (_PROTECTED.search(text)):
        return GitError(
            f"The upstream protects its branch {plan.branch}",
            own,
            "Push another branch and ask for it to be merged: git switch -c NAME in the session, then push.",
        )
    if "hook declined" in reason:
        return GitError("The upstream's hook declined the push", own, "What it says above is for the commits to mend.")
    if "currently checked out" in reason:
        return GitError(
            f"The upstream is a working repository that has {plan.branch} checked out",
            own,
            "Push another branch, or bring the commits there: relay session export S --to PATH.",
        )
    if _DENIED.search(text):
        detail = redact("\n".join(meaningful(outcome.lines)), secrets)
        return GitError(
            "You may not push to this repository",
            detail,
            "Check which account this host's git uses, and that it may write: relay lends no other.",
        )
    if reason:
        return GitError("The upstream rejected the push", own, "Its reason stands above.")
    return translate(outcome, "The push failed", secrets)
