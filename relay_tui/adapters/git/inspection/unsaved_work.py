"""What would be lost with a session's clone, kind by kind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from relay_tui.adapters.git.inspection import clone_status, merged_branches, worktree_status
from relay_tui.adapters.git.untrusted import files
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.adapters.git.untrusted.verified_objects import copy_verified_objects
from relay_tui.domain.changes import Commit
from relay_tui.domain.errors import UnknownStateError
from relay_tui.domain.unsaved_work import RemovalCheck, Risk, RiskKind

LARGE = 10 << 20
"""Bytes from which something ignored is worth a word."""

_EXAMPLES = 5
_MOST_BRANCHES = 200
_MOST_ENTRIES = 200_000
_SECONDS = 5.0


def find_unsaved_work(view: CloneSnapshot) -> RemovalCheck:
    """Everything that no commit in the upstream has."""
    begun = worktree_status.begin(view)
    ignored = view.sight.begin(
        "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "--no-empty-directory", "-z"
    )
    try:
        found = worktree_status.read(view, begun)
        risks = [*_files(found), *_ignored(view, ignored.result())]
    finally:
        worktree_status.end(begun)
        ignored.end()
    risks += _stashed(view)
    unpushed, safe = _unpushed(view)
    unknown = [Risk(hazard=RiskKind.UNKNOWN, count=0, reason=words) for words in clone_status.uncounted_locations(view)]
    return RemovalCheck(risks=(*risks, *unpushed, *unknown), safe=safe)


def unknown_risk(reason: str) -> RemovalCheck:
    """Nothing can be told, so all of it is at risk."""
    return RemovalCheck(risks=(Risk(hazard=RiskKind.UNKNOWN, count=0, reason=reason),))


def _files(found: worktree_status.Status) -> list[Risk]:
    kinds = ((RiskKind.DIRTY, found.tracked), (RiskKind.UNTRACKED, found.untracked))
    return [
        Risk(hazard=hazard, count=len(paths), examples=tuple(sorted(paths)[:_EXAMPLES]))
        for hazard, paths in kinds
        if paths
    ]


def _ignored(view: CloneSnapshot, listed: bytes) -> list[Risk]:
    """Ignored files and directories that are large. What takes too long to measure is as large as was seen by then."""
    deadline = time.monotonic() + _SECONDS
    sizes = {}
    for raw in listed.split(b"\0"):
        if raw and (size := _size(view, os.fsdecode(raw), deadline)) >= LARGE:
            sizes[os.fsdecode(raw)] = size
    if not sizes:
        return []
    largest = sorted(sizes, key=lambda path: -sizes[path])[:_EXAMPLES]
    return [
        Risk(hazard=RiskKind.IGNORED, count=len(sizes), size=sum(sizes.values()), examples=tuple(largest)),
    ]


def _size(view: CloneSnapshot, path: str, deadline: float) -> int:
    """Bytes of a file, or of all below a directory; no symlink is followed."""
    *parents, name = path.rstrip("/").split("/")
    descriptor = os.dup(view.tree)
    try:
        for part in parents:
            inner = files.open_directory(part, descriptor)
            os.close(descriptor)
            descriptor = inner
        if path.endswith("/"):
            with files.directory(name, descriptor) as inner:
                return _below(inner, deadline, [0], 0)
        return os.lstat(name, dir_fd=descriptor).st_size
    except (OSError, UnknownStateError):
        return 0
    finally:
        os.close(descriptor)


def _below(directory: int, deadline: float, seen: list[int], depth: int) -> int:
    total = 0
    for entry in files.entries(directory, _MOST_ENTRIES, shown="a directory"):
        seen[0] += 1
        if seen[0] > _MOST_ENTRIES or time.monotonic() > deadline:
            break
        if entry.is_dir(follow_symlinks=False):
            if depth < 100:
                with files.directory(entry.name, directory) as inner:
                    total += _below(inner, deadline, seen, depth + 1)
        else:
            total += os.lstat(entry.name, dir_fd=directory).st_size
    return total


def _stashed(view: CloneSnapshot) -> list[Risk]:
    stashes = view.git.stashes()
    if not stashes:
        return []
    shown = clone_status.named(view, stashes[:_EXAMPLES])
    return [Risk(hazard=RiskKind.STASHED, count=len(stashes), examples=_commit_lines(shown))]


def _unpushed(view: CloneSnapshot) -> tuple[list[Risk], tuple[str, ...]]:
    """Branch by branch, then what no branch has: a detached HEAD, tags, what stashes lie on."""
    if len(view.tips) > _MOST_BRANCHES:
        return [_counted(view, "")], ()
    risks, safe = [], []
    settled: list[str] = []
    covered: set[str] = set()
    for tip, branch in _branches(view):
        settled.append(tip)
        covered |= branch.commits
        if branch.left:
            examples = _commit_lines(branch.examples)
            risks.append(Risk(hazard=RiskKind.UNPUSHED, count=branch.left, branch=branch.name, examples=examples))
        if branch.safe:
            safe.append(branch.safe)
    for tip in view.unfetched:
        if tip not in settled and (rest := view.missing([tip]) - covered):
            where = "a detached HEAD" if tip == view.head.hash else "the stash"
            examples = _commit_lines(clone_status.log(view, [tip, *(f"^{known}" for known in settled)], _EXAMPLES))
            risks.append(Risk(hazard=RiskKind.UNPUSHED, count=len(rest), branch=where, examples=examples))
            settled.append(tip)
            covered |= rest
    return risks, tuple(safe)


def _branches(view: CloneSnapshot) -> list[tuple[str, merged_branches.Branch]]:
    """Tip and verdict of every branch, tag and other ref. What seems safe is judged anew by verified objects."""
    named = [(name.removeprefix("refs/heads/").removeprefix("refs/"), tip) for name, tip in view.tips.items()]
    judged = [(tip, merged_branches.count_unmerged(view, name, tip, _EXAMPLES)) for name, tip in named]
    claims = [tip for tip, branch in judged if branch.safe]
    if not claims:
        return judged
    try:
        with copy_verified_objects(view, claims) as sure:
            return [(tip, _surely(view, sure, tip, branch)) for tip, branch in judged]
    except UnknownStateError:
        return [
            (tip, merged_branches.count_missing_by_name(view, branch.name, tip, _EXAMPLES)) for tip, branch in judged
        ]


def _surely(
    view: CloneSnapshot, sure: CloneSnapshot, tip: str, branch: merged_branches.Branch
) -> merged_branches.Branch:
    """A verdict that rests on nothing which the session could have forged; unpushed is what nothing is sure of."""
    if not branch.safe:
        return branch
    try:
        return merged_branches.count_unmerged(sure, branch.name, tip, _EXAMPLES)
    except UnknownStateError:
        return merged_branches.count_missing_by_name(view, branch.name, tip, _EXAMPLES)


def _counted(view: CloneSnapshot, branch: str) -> Risk:
    """All of it in one: for more branches than anybody reads."""
    count = len(view.missing(view.unfetched))
    examples = _commit_lines(clone_status.log(view, view.unfetched, _EXAMPLES))
    return Risk(hazard=RiskKind.UNPUSHED, count=count, branch=branch, examples=examples)


def _commit_lines(commits: Iterable[Commit]) -> tuple[str, ...]:
    return tuple(f"{commit.hash[:10]} {commit.subject}" for commit in commits)
