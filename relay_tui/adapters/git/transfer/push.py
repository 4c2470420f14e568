"""Push from a base clone to its upstream: the plan, the push of exactly that plan, and its errors."""

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

_LISTED = 100  # commits that a plan names; it counts all
_REMOTE = "remote: "
_LINK = re.compile(r"https?://[^\s<>\"'`\x00-\x1f\x7f]+")
_OPTIONS = ("--progress", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
_REJECTED = re.compile(r"^ ! \[(?:remote )?(?:rejected|failure)\].*\((?P<reason>.*)\)\s*$")
_PROTECTED = re.compile(r"protected branch|GH006|GH013|not allowed to (force )?push code to protected", re.IGNORECASE)
_DENIED = re.compile(
    r"returned error: 403|Permission to \S+ denied|denied to |not allowed to (push|upload|write)|access denied"
    r"|insufficient permission|unable to create temporary object|service not enabled|You do not have permission"
    r"|Write access to repository not granted|push access|read-only",
    re.IGNORECASE,
)
_DIVERGED = ("non-fast-forward", "fetch first", "stale info", "needs force")


def plan_push(base: Path, source: CloneSource, branch: str, commit: str) -> PushPlan:
    """Return what a push of `commit` to the upstream's `branch` would send, by the last fetch of the upstream."""
    upstream = trusted_git.refs(base, f"refs/heads/{branch}").get(f"refs/heads/{branch}", "")
    return PushPlan(
        remote=source.url,
        branch=branch,
        commit=commit,
        commits=commits.read(base, commit, *commits.NOT_UPSTREAM, limit=_LISTED),
        count=commits.count(base, commit, *commits.NOT_UPSTREAM),
        new_branch=not upstream,
        lfs_files=len(lfs_transfer.objects_to_push(base, commit)),
        diverged=bool(upstream) and not commits.is_ancestor(base, upstream, commit),
    )


def push(base: Path, source: CloneSource, plan: PushPlan, task: TaskContext) -> PushResult:
    """Push the commit of the plan, and set the base clone's branch to it. Raises ConflictError and GitError."""
    task.raise_if_cancelled()
    lfs_transfer.send(base, source, lfs_transfer.objects_to_push(base, plan.commit), task)
    task.report("Connecting")
    target = f"refs/heads/{plan.branch}"
    command = ("push", *_OPTIONS, "--", source.url, f"{plan.commit}:{target}")
    outcome = remote.run_remote_command(base, command, source, task)
    messages = remote_lines(outcome.lines, spellings(source))
    if outcome.code:
        raise push_error(outcome, plan, messages, spellings(source))
    with trusted_git.lock_heads(base, task):
        title = f"Pushed, but cannot update {plan.branch} in the base clone"
        trusted_git.run_capture(base, "update-ref", target, plan.commit, title=title)
    links = dict.fromkeys(link.rstrip(".,;:!?)]}") for line in messages for link in _LINK.findall(line))
    return PushResult(branch=plan.branch, commit=plan.commit, said=messages, links=tuple(links))


def remote_lines(lines: Sequence[str], secrets: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that the remote sent, without blank lines around them and without secrets."""
    messages = [redact(line[len(_REMOTE) :].rstrip(), secrets) for line in lines if line.startswith(_REMOTE)]
    while messages and not messages[0]:
        del messages[0]
    while messages and not messages[-1]:
        del messages[-1]
    return tuple(messages)


def push_error(outcome: Outcome, plan: PushPlan, messages: Sequence[str], secrets: Sequence[str]) -> RelayError:
    """Return the error for a push that failed. `messages` are the lines that the remote sent."""
    text = "\n".join(outcome.lines)
    reason = next((found["reason"] for line in outcome.lines if (found := _REJECTED.match(line))), "")
    detail = redact("\n".join([*messages, *([reason] if reason else [])]), secrets)
    if reason in _DIVERGED:
        return ConflictError(
            f"The upstream's {plan.branch} has commits that the session lacks",
            detail,
            "Merge or rebase them, then push again: {update}, or git pull in its shell.",
        )
    if reason and (_PROTECTED.search(text)):
        return GitError(
            f"The upstream protects its branch {plan.branch}",
            detail,
            "Push another branch and ask for it to be merged: git switch -c NAME in the session, then push.",
        )
    if "hook declined" in reason:
        return GitError(
            "The upstream's hook declined the push", detail, "Change the commits as the message above requires."
        )
    if "currently checked out" in reason:
        return GitError(
            f"The upstream is a working repository that has {plan.branch} checked out",
            detail,
            "Push another branch, or export the commits to it: relay session export S --to PATH.",
        )
    if _DENIED.search(text):
        detail = redact("\n".join(relevant_lines(outcome.lines)), secrets)
        return GitError(
            "You may not push to this repository",
            detail,
            "Check which account this host's git uses, and that it may write: relay uses no other account.",
        )
    if reason:
        return GitError("The upstream rejected the push", detail, "See its reason above.")
    return git_error(outcome, "The push failed", secrets)
