"""From a base to its upstream: what would go, and sending exactly that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.git.credentials import spellings
from relay_tui.adapters.git.errors import git_error, redact, relevant_lines
from relay_tui.adapters.git.process import Outcome
from relay_tui.adapters.git.transfer import commits, lfs_transfer, remote, trusted_git
from relay_tui.domain.errors import ConflictError, GitError, RelayError
from relay_tui.domain.transfers import PushPlan, PushResult
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

_LISTED = 100


_REMOTE = "remote: "


_LINK = re.compile(r"https?://[^\s<>\"'`\x00-\x1f\x7f]+")


_OPTIONS = ("--progress", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")


def plan_push(base: Path, source: CloneSource, branch: str, commit: str) -> PushPlan:
    """What a push of `commit` to the upstream's `branch` would send, as the base knows the upstream."""
    theirs = trusted_git.refs(base, f"refs/heads/{branch}").get(f"refs/heads/{branch}", "")
    return PushPlan(
        remote=source.url,
        branch=branch,
        commit=commit,
        commits=commits.read(base, commit, *commits.UPSTREAM, limit=_LISTED),
        count=commits.count(base, commit, *commits.UPSTREAM),
        new_branch=not theirs,
        lfs_files=len(lfs_transfer.objects_to_push(base, commit)),
        diverged=bool(theirs) and not commits.is_ancestor(base, theirs, commit),
    )


def push(base: Path, source: CloneSource, wanted: PushPlan, task: TaskContext) -> PushResult:
    """Send it; afterwards the base knows that the upstream has it."""
    task.raise_if_cancelled()
    lfs_transfer.send(base, source, lfs_transfer.objects_to_push(base, wanted.commit), task)
    task.report("Connecting")
    target = f"refs/heads/{wanted.branch}"
    command = ("push", *_OPTIONS, "--", source.url, f"{wanted.commit}:{target}")
    outcome = remote.run_remote_command(base, command, source, task)
    said = remote_lines(outcome.lines, spellings(source))
    if outcome.code:
        raise push_error(outcome, wanted, said, spellings(source))
    with trusted_git.lock_heads(base, task):
        trusted_git.run_capture(
            base, "update-ref", target, wanted.commit, title="The push is not noted in the base clone"
        )
    links = dict.fromkeys(link.rstrip(".,;:!?)]}") for line in said for link in _LINK.findall(line))
    return PushResult(branch=wanted.branch, commit=wanted.commit, said=said, links=tuple(links))


def remote_lines(lines: Sequence[str], secrets: Sequence[str]) -> tuple[str, ...]:
    """What the remote itself said, without the blank lines around it, and without secrets."""
    said = [redact(line[len(_REMOTE) :].rstrip(), secrets) for line in lines if line.startswith(_REMOTE)]
    while said and not said[0]:
        del said[0]
    while said and not said[-1]:
        del said[-1]
    return tuple(said)


_REJECTED = re.compile(r"^ ! \[(?:remote )?(?:rejected|failure)\].*\((?P<reason>.*)\)\s*$")


_PROTECTED = re.compile(r"protected branch|GH006|GH013|not allowed to (force )?push code to protected", re.IGNORECASE)


_DENIED = re.compile(
    r"returned error: 403|Permission to \S+ denied|denied to |not allowed to (push|upload|write)|access denied"
    r"|insufficient permission|unable to create temporary object|service not enabled|You do not have permission"
    r"|Write access to repository not granted|push access|read-only",
    re.IGNORECASE,
)


_AHEAD = ("non-fast-forward", "fetch first", "stale info", "needs force")


def push_error(outcome: Outcome, plan: PushPlan, said: Sequence[str], secrets: Sequence[str]) -> RelayError:
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
        detail = redact("\n".join(relevant_lines(outcome.lines)), secrets)
        return GitError(
            "You may not push to this repository",
            detail,
            "Check which account this host's git uses, and that it may write: relay lends no other.",
        )
    if reason:
        return GitError("The upstream rejected the push", own, "Its reason stands above.")
    return git_error(outcome, "The push failed", secrets)
