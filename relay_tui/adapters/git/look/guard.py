"""What would be lost with a session's clone, kind by kind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from relay_tui.adapters.git.look import facts, landed, reader, status
from relay_tui.adapters.git.look.verified import verified
from relay_tui.adapters.git.look.view import View
from relay_tui.errors import UnknownStateError
from relay_tui.work import AtRisk, Commit, Guarded, Hazard

LARGE = 10 << 20
"""Bytes from which something ignored is worth a word."""

_EXAMPLES = 5
_MOST_BRANCHES = 200
_MOST_ENTRIES = 200_000
_SECONDS = 5.0


def look(view: View) -> Guarded:
    """Everything that no commit in the upstream has."""
    begun = status.begin(view)
    ignored = view.sight.begin(
        "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "--no-empty-directory", "-z"
    )
    try:
        found = status.read(view, begun)
        risks = [*_files(found), *_ignored(view, ignored.result())]
    finally:
        status.end(begun)
        ignored.end()
    risks += _stashed(view)
    unpushed, safe = _unpushed(view)
    unknown = [AtRisk(hazard=Hazard.UNKNOWN, count=0, reason=words) for words in facts.uncounted(view)]
    return Guarded(risks=(*risks, *unpushed, *unknown), safe=safe)


def unknown(reason: str) -> Guarded:
    """Nothing can be told, so all of it is at risk."""
    return Guarded(risks=(AtRisk(hazard=Hazard.UNKNOWN, count=0, reason=reason),))


def _files(found: status.Status) -> list[AtRisk]:
    kinds = ((Hazard.DIRTY, found.tracked), (Hazard.UNTRACKED, found.untracked))
    return [
        AtRisk(hazard=hazard, count=len(paths), examples=tuple(sorted(paths)[:_EXAMPLES]))
        for hazard, paths in kinds
        if paths
    ]


def _ignored(view: View, listed: bytes) -> list[AtRisk]:
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
        AtRisk(hazard=Hazard.IGNORED, count=len(sizes), size=sum(sizes.values()), examples=tuple(largest)),
    ]


def _size(view: View, path: str, deadline: float) -> int:
    """Bytes of a file, or of all below a directory; no symlink is followed."""
    *parents, name = path.rstrip("/").split("/")
    descriptor = os.dup(view.tree)
    try:
        for part in parents:
            inner = reader.open_directory(part, descriptor)
            os.close(descriptor)
            descriptor = inner
        if path.endswith("/"):
            with reader.directory(name, descriptor) as inner:
                return _below(inner, deadline, [0], 0)
        return os.lstat(name, dir_fd=descriptor).st_size
    except (OSError, UnknownStateError):
        return 0
    finally:
        os.close(descriptor)


def _below(directory: int, deadline: float, seen: list[int], depth: int) -> int:
    total = 0
    for entry in reader.entries(directory, _MOST_ENTRIES, shown="a directory"):
        seen[0] += 1
        if seen[0] > _MOST_ENTRIES or time.monotonic() > deadline:
            break
        if entry.is_dir(follow_symlinks=False):
            if depth < 100:
                with reader.directory(entry.name, directory) as inner:
                    total += _below(inner, deadline, seen, depth + 1)
        else:
            total += os.lstat(entry.name, dir_fd=directory).st_size
    return total


def _stashed(view: View) -> list[AtRisk]:
    stashes = view.git.stashes()
    if not stashes:
        return []
    shown = facts.named(view, stashes[:_EXAMPLES])
    return [AtRisk(hazard=Hazard.STASHED, count=len(stashes), examples=_words(shown))]


def _unpushed(view: View) -> tuple[list[AtRisk], tuple[str, ...]]:
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
            examples = _words(branch.examples)
            risks.append(AtRisk(hazard=Hazard.UNPUSHED, count=branch.left, branch=branch.name, examples=examples))
        if branch.safe:
            safe.append(branch.safe)
    for tip in view.unfetched:
        if tip not in settled and (rest := view.missing([tip]) - covered):
            where = "a detached HEAD" if tip == view.head.hash else "the stash"
            examples = _words(facts.log(view, [tip, *(f"^{known}" for known in settled)], _EXAMPLES))
            risks.append(AtRisk(hazard=Hazard.UNPUSHED, count=len(rest), branch=where, examples=examples))
            settled.append(tip)
            covered |= rest
    return risks, tuple(safe)


def _branches(view: View) -> list[tuple[str, landed.Branch]]:
    """Tip and verdict of every branch, tag and other ref. What seems safe is judged anew by verified objects."""
    named = [(name.removeprefix("refs/heads/").removeprefix("refs/"), tip) for name, tip in view.tips.items()]
    judged = [(tip, landed.judge(view, name, tip, _EXAMPLES)) for name, tip in named]
    claims = [tip for tip, branch in judged if branch.safe]
    if not claims:
        return judged
    try:
        with verified(view, claims) as sure:
            return [(tip, _surely(view, sure, tip, branch)) for tip, branch in judged]
    except UnknownStateError:
        return [(tip, landed.unlanded(view, branch.name, tip, _EXAMPLES)) for tip, branch in judged]


def _surely(view: View, sure: View, tip: str, branch: landed.Branch) -> landed.Branch:
    """A verdict that rests on nothing which the session could have forged; unpushed is what nothing is sure of."""
    if not branch.safe:
        return branch
    try:
        return landed.judge(sure, branch.name, tip, _EXAMPLES)
    except UnknownStateError:
        return landed.unlanded(view, branch.name, tip, _EXAMPLES)


def _counted(view: View, branch: str) -> AtRisk:
    """All of it in one: for more branches than anybody reads."""
    count = len(view.missing(view.unfetched))
    examples = _words(facts.log(view, view.unfetched, _EXAMPLES))
    return AtRisk(hazard=Hazard.UNPUSHED, count=count, branch=branch, examples=examples)


def _words(commits: Iterable[Commit]) -> tuple[str, ...]:
    return tuple(f"{commit.hash[:10]} {commit.subject}" for commit in commits)
