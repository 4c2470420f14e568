"""Unsaved work: changes and commits that would be lost with a session's clone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from relay_tui.adapters.git.inspection import clone_status, worktree_status
from relay_tui.adapters.git.inspection.merged_branches import Branch, count_missing_by_name, count_unmerged
from relay_tui.adapters.git.untrusted import files
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.adapters.git.untrusted.verified_objects import copy_verified_objects
from relay_tui.domain.changes import Commit
from relay_tui.domain.errors import UnknownStateError
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind

LARGE = 10 << 20
"""Bytes from which an ignored file or directory is reported."""

_EXAMPLES = 5
_MOST_BRANCHES = 200
_MOST_ENTRIES = 200_000
_SECONDS = 5.0  # to measure ignored files


def find_unsaved_work(snapshot: CloneSnapshot) -> RemovalCheck:
    """Find the changes and commits that the upstream does not have."""
    status = worktree_status.start_status(snapshot)
    ignored = snapshot.git.start(
        "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "--no-empty-directory", "-z"
    )
    try:
        found = worktree_status.read_status(snapshot, status)
        risks = [*_uncommitted(found), *_ignored(snapshot, ignored.result())]
    finally:
        worktree_status.stop_status(status)
        ignored.kill()
    risks += _stashed(snapshot)
    unpushed, safe = _unpushed(snapshot)
    reasons = clone_status.uncounted_locations(snapshot)
    unknown = [Risk(hazard=RiskKind.UNKNOWN, count=0, reason=reason) for reason in reasons]
    return RemovalCheck(risks=(*risks, *unpushed, *unknown), safe=safe)


def unknown_risk(reason: str) -> RemovalCheck:
    """Return the result for a clone that cannot be read: all of its work may be unsaved."""
    return RemovalCheck(risks=(Risk(hazard=RiskKind.UNKNOWN, count=0, reason=reason),))


def _uncommitted(found: worktree_status.Status) -> list[Risk]:
    kinds = ((RiskKind.DIRTY, found.tracked), (RiskKind.UNTRACKED, found.untracked))
    return [
        Risk(hazard=hazard, count=len(paths), examples=tuple(sorted(paths)[:_EXAMPLES]))
        for hazard, paths in kinds
        if paths
    ]


def _ignored(snapshot: CloneSnapshot, listed: bytes) -> list[Risk]:
    """Return the large ignored files and directories. Measuring stops after some seconds, so a size may be too low."""
    deadline = time.monotonic() + _SECONDS
    sizes = {}
    for raw in listed.split(b"\0"):
        if raw and (size := _size(snapshot, os.fsdecode(raw), deadline)) >= LARGE:
            sizes[os.fsdecode(raw)] = size
    if not sizes:
        return []
    largest = sorted(sizes, key=lambda path: -sizes[path])[:_EXAMPLES]
    return [
        Risk(hazard=RiskKind.IGNORED, count=len(sizes), size=sum(sizes.values()), examples=tuple(largest)),
    ]


def _size(snapshot: CloneSnapshot, path: str, deadline: float) -> int:
    """Return the bytes of a file, or of all files below a directory. Symbolic links are not followed."""
    try:
        with files.parent_directory(snapshot.tree, path.rstrip("/")) as (parent, name):
            if not path.endswith("/"):
                return os.lstat(name, dir_fd=parent).st_size
            with files.directory(name, parent) as inner:
                return _directory_size(inner, deadline, [0], 0)
    except (OSError, UnknownStateError):
        return 0


def _directory_size(directory: int, deadline: float, seen: list[int], depth: int) -> int:
    total = 0
    for entry in files.entries(directory, _MOST_ENTRIES, shown="a directory"):
        seen[0] += 1
        if seen[0] > _MOST_ENTRIES or time.monotonic() > deadline:
            break
        if entry.is_dir(follow_symlinks=False):
            if depth < 100:
                with files.directory(entry.name, directory) as inner:
                    total += _directory_size(inner, deadline, seen, depth + 1)
        else:
            total += os.lstat(entry.name, dir_fd=directory).st_size
    return total


def _stashed(snapshot: CloneSnapshot) -> list[Risk]:
    stashes = snapshot.git_dir.stashes()
    if not stashes:
        return []
    shown = clone_status.read_commits(snapshot, stashes[:_EXAMPLES])
    return [Risk(hazard=RiskKind.STASHED, count=len(stashes), examples=_commit_lines(shown))]


def _unpushed(snapshot: CloneSnapshot) -> tuple[list[Risk], tuple[str, ...]]:
    """Return the unpushed commits of each branch and tag, then those of a detached HEAD and of stash parents.

    The second value is the evidence for commits that the upstream has under another hash.
    """
    if len(snapshot.tips) > _MOST_BRANCHES:
        return [_count_all(snapshot)], ()
    risks, safe = [], []
    reported: list[str] = []
    covered: set[str] = set()
    for tip, branch in _branches(snapshot):
        reported.append(tip)
        covered |= branch.commits
        if branch.unmerged:
            examples = _commit_lines(branch.examples)
            risks.append(Risk(hazard=RiskKind.UNPUSHED, count=branch.unmerged, branch=branch.name, examples=examples))
        if branch.safe:
            safe.append(branch.safe)
    for tip in snapshot.unfetched:
        if tip not in reported and (rest := snapshot.missing_commits([tip]) - covered):
            where = "a detached HEAD" if tip == snapshot.head.hash else "the stash"
            log = clone_status.log_unfetched(snapshot, [tip, *(f"^{known}" for known in reported)], _EXAMPLES)
            risks.append(Risk(hazard=RiskKind.UNPUSHED, count=len(rest), branch=where, examples=_commit_lines(log)))
            reported.append(tip)
            covered |= rest
    return risks, tuple(safe)


def _branches(snapshot: CloneSnapshot) -> list[tuple[str, Branch]]:
    """Return tip and unpushed commits of each branch, tag and other ref.

    A branch that seems to be merged is counted again with verified objects.
    """
    refs = [(name.removeprefix("refs/heads/").removeprefix("refs/"), tip) for name, tip in snapshot.tips.items()]
    counted = [(tip, count_unmerged(snapshot, name, tip, _EXAMPLES)) for name, tip in refs]
    merged = [tip for tip, branch in counted if branch.safe]
    if not merged:
        return counted
    try:
        with copy_verified_objects(snapshot, merged) as verified:
            return [(tip, _verify_merged(snapshot, verified, tip, branch)) for tip, branch in counted]
    except UnknownStateError:
        return [(tip, count_missing_by_name(snapshot, branch.name, tip, _EXAMPLES)) for tip, branch in counted]


def _verify_merged(snapshot: CloneSnapshot, verified: CloneSnapshot, tip: str, branch: Branch) -> Branch:
    """Count a branch that seems to be merged again, using no object that the session could have forged.

    If that fails, each commit whose hash the upstream lacks counts as unpushed.
    """
    if not branch.safe:
        return branch
    try:
        return count_unmerged(verified, branch.name, tip, _EXAMPLES)
    except UnknownStateError:
        return count_missing_by_name(snapshot, branch.name, tip, _EXAMPLES)


def _count_all(snapshot: CloneSnapshot) -> Risk:
    """Return the unpushed commits of all branches as one risk, for a clone with too many branches to list."""
    count = len(snapshot.missing_commits(snapshot.unfetched))
    examples = _commit_lines(clone_status.log_unfetched(snapshot, snapshot.unfetched, _EXAMPLES))
    return Risk(hazard=RiskKind.UNPUSHED, count=count, examples=examples)


def _commit_lines(commits: Iterable[Commit]) -> tuple[str, ...]:
    return tuple(f"{commit.hash[:10]} {commit.subject}" for commit in commits)
