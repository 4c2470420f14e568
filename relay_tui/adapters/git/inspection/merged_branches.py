"""Whether commits that the upstream lacks by name have reached it all the same: squashed, rebased, or by content."""

from __future__ import annotations

from dataclasses import dataclass

from relay_tui.adapters.git.inspection import clone_status
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import Commit

_NEWEST = 500
"""How many of the upstream's commits since the two parted are compared."""

_PATCH = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "--no-color", "--full-index", "--no-renames")


@dataclass(frozen=True, slots=True)
class Branch:
    """What one branch of the session has that the upstream lacks: `left` is how many commits, `safe` why not more.

    `commits` are all that the upstream lacks by name.
    """

    name: str
    left: int
    examples: tuple[Commit, ...] = ()
    safe: str = ""
    commits: frozenset[str] = frozenset()


def count_missing_by_name(view: CloneSnapshot, name: str, tip: str, most: int) -> Branch:
    """Count all that the upstream lacks by name."""
    missing = view.missing([tip])
    return Branch(name, len(missing), tuple(clone_status.log(view, [tip], most)), commits=frozenset(missing))


def count_unmerged(view: CloneSnapshot, name: str, tip: str, most: int) -> Branch:
    """Count a branch's unpushed commits, less those that are in the upstream under another name.

    What it calls safe is only as true as the objects in view.
    """
    missing = view.missing([tip])
    if not missing:
        return Branch(name, 0)
    lacks = frozenset(missing)
    count = f"{len(missing)} {'commit' if len(missing) == 1 else 'commits'} of {name}"
    left = missing
    for branch, upstream in _candidates(view, name):
        left = _without_same_patch(view, upstream, tip, left)
        if not left:
            how = f"{count} reached {branch} as the same changes (rebased or cherry-picked)."
            return Branch(name, 0, safe=how, commits=lacks)
        if reason := _squashed(view, upstream, tip):
            return Branch(name, 0, safe=f"{count} reached {branch} {reason}.", commits=lacks)
    shown = tuple(commit for commit in clone_status.log(view, [tip], most * 4) if commit.hash in left)[:most]
    some = len(missing) - len(left)
    safe = f"{some} of {count} are in the upstream as the same changes." if some else ""
    return Branch(name, len(left), shown, safe, lacks)


def _candidates(view: CloneSnapshot, name: str) -> list[tuple[str, str]]:
    """Where its work may have gone: its upstream, where it was begun, the usual names; each commit once."""
    wanted = (view.upstream.name, name, view.clone.base_branch, "main", "master", "develop")
    found: dict[str, str] = {}
    for branch in wanted:
        hashed = view.fetched.get(f"refs/heads/{branch}", "")
        if hashed and hashed not in found.values():
            found[branch] = hashed
    return list(found.items())


def _without_same_patch(view: CloneSnapshot, upstream: str, tip: str, left: set[str]) -> set[str]:
    """Those of `left` whose patch no commit of the upstream has; merges carry none, so they count as the rest does."""
    kept = view.sight.git(
        *("rev-list", "--no-merges", "--cherry-pick", "--right-only", f"--max-count={len(left) + 1}"),
        *(f"{upstream}...{tip}", "--"),
    )
    return left & set(kept.decode().split())


def _squashed(view: CloneSnapshot, upstream: str, tip: str) -> str:
    """How all of the branch's changes together are in the upstream; '' if they are not."""
    found = view.sight.git("merge-base", upstream, tip, fine=(0, 1)).split()
    if not found:
        return ""
    parted = found[0].decode()
    ours = view.sight.git("diff-tree", "-r", "--no-renames", "--raw", "-z", "--abbrev=64", parted, tip, "--")
    if not ours:
        return "long ago: it changes nothing any more"
    mine = _patch_ids(view, view.sight.git("diff-tree", "-p", *_PATCH, parted, tip, "--"), single=tip)
    if mine:
        log = ("log", "-p", "-m", "--first-parent", *_PATCH, "--no-show-signature", "--no-notes", "--format=commit %H")
        theirs = view.sight.git(*log, f"--max-count={_NEWEST}", f"{parted}..{upstream}", "--", alone=True)
        wanted = next(iter(mine))
        if commit := _patch_ids(view, theirs).get(wanted):
            return f"squashed into {commit[:10]}"
    if _same_content(view, ours, upstream):
        return "by content: every file it changed is the same there"
    return ""


def _patch_ids(view: CloneSnapshot, patches: bytes, single: str = "") -> dict[str, str]:
    """Patch-id → commit."""
    if single:
        patches = f"commit {single}\n".encode() + patches
    lines = view.sight.git("patch-id", "--stable", stdin=patches).decode().split("\n")
    return {words[0]: words[1] for line in lines if len(words := line.split()) == 2}


def _same_content(view: CloneSnapshot, ours: bytes, upstream: str) -> bool:
    """Whether each path that the branch changed has in the upstream the very blob and mode that it has here."""
    fields = iter(ours.split(b"\0"))
    wanted: dict[bytes, bytes] = {}
    for head in fields:
        if head.startswith(b":"):
            _, mode, _, blob, _ = head[1:].split(b" ")
            wanted[next(fields)] = b"" if set(mode) == {ord("0")} else mode + b" " + blob
    tree = view.sight.git("ls-tree", "-r", "-z", "--full-tree", upstream, alone=True)
    there = {}
    for entry in tree.split(b"\0"):
        if entry:
            head, _, path = entry.partition(b"\t")
            mode, _, blob = head.split(b" ")
            there[path] = mode + b" " + blob
    return all(there.get(path, b"") == what for path, what in wanted.items())
