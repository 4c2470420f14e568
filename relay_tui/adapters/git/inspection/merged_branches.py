"""Detection of commits that the upstream has under another hash: squashed, rebased, or with the same content."""

from __future__ import annotations

from dataclasses import dataclass

from relay_tui.adapters.git.inspection import clone_status
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import Commit

_NEWEST = 500
"""Number of upstream commits after the merge base that are compared."""

_PATCH = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "--no-color", "--full-index", "--no-renames")


@dataclass(frozen=True, slots=True)
class Branch:
    """Unpushed commits of one branch of the session."""

    name: str
    unmerged: int
    """Number of commits whose changes the upstream lacks."""
    examples: tuple[Commit, ...] = ()
    safe: str = ""
    """Evidence that the upstream has the other commits, as text for the user."""
    commits: frozenset[str] = frozenset()
    """Hashes that the upstream lacks, those of merged commits included."""


def count_missing_by_name(snapshot: CloneSnapshot, name: str, tip: str, most: int) -> Branch:
    """Count the commits whose hashes the upstream lacks, with `most` examples."""
    missing = snapshot.missing_commits([tip])
    examples = tuple(clone_status.log_unfetched(snapshot, [tip], most))
    return Branch(name, len(missing), examples, commits=frozenset(missing))


def count_unmerged(snapshot: CloneSnapshot, name: str, tip: str, most: int) -> Branch:
    """Count a branch's unpushed commits without those that the upstream has under another hash.

    The result is only as reliable as the snapshot's objects: see verified_objects.
    """
    missing = snapshot.missing_commits([tip])
    if not missing:
        return Branch(name, 0)
    count = f"{len(missing)} {'commit' if len(missing) == 1 else 'commits'} of {name}"
    unmerged = missing
    for branch, upstream in _candidates(snapshot, name):
        unmerged = _exclude_same_patches(snapshot, upstream, tip, unmerged)
        if not unmerged:
            safe = f"{count} reached {branch} as the same changes (rebased or cherry-picked)."
            return Branch(name, 0, safe=safe, commits=frozenset(missing))
        if how := _squashed(snapshot, upstream, tip):
            return Branch(name, 0, safe=f"{count} reached {branch} {how}.", commits=frozenset(missing))
    log = clone_status.log_unfetched(snapshot, [tip], most * 4)
    examples = tuple(commit for commit in log if commit.hash in unmerged)[:most]
    merged = len(missing) - len(unmerged)
    safe = f"{merged} of {count} are in the upstream as the same changes." if merged else ""
    return Branch(name, len(unmerged), examples, safe, frozenset(missing))


def _candidates(snapshot: CloneSnapshot, name: str) -> list[tuple[str, str]]:
    """Return upstream branches that may have the work: its upstream, its base, the usual names; each commit once."""
    wanted = (snapshot.upstream.name, name, snapshot.clone.base_branch, "main", "master", "develop")
    found: dict[str, str] = {}
    for branch in wanted:
        hashed = snapshot.fetched.get(f"refs/heads/{branch}", "")
        if hashed and hashed not in found.values():
            found[branch] = hashed
    return list(found.items())


def _exclude_same_patches(snapshot: CloneSnapshot, upstream: str, tip: str, commits: set[str]) -> set[str]:
    """Return the commits whose patch no upstream commit has. A merge has no patch, so it never counts as unmerged."""
    kept = snapshot.git.run(
        *("rev-list", "--no-merges", "--cherry-pick", "--right-only", f"--max-count={len(commits) + 1}"),
        *(f"{upstream}...{tip}", "--"),
    )
    return commits & set(kept.decode().split())


def _squashed(snapshot: CloneSnapshot, upstream: str, tip: str) -> str:
    """Describe how the upstream has all of the branch's changes together; '' if it does not have them."""
    found = snapshot.git.run("merge-base", upstream, tip, success=(0, 1)).split()
    if not found:
        return ""
    merge_base = found[0].decode()
    changes = snapshot.git.run("diff-tree", "-r", "--no-renames", "--raw", "-z", "--abbrev=64", merge_base, tip, "--")
    if not changes:
        return "in effect: together they change nothing"
    session_ids = _patch_ids(snapshot, snapshot.git.run("diff-tree", "-p", *_PATCH, merge_base, tip, "--"), single=tip)
    if session_ids:
        log = ("log", "-p", "-m", "--first-parent", *_PATCH, "--no-show-signature", "--no-notes", "--format=commit %H")
        patches = snapshot.git.run(*log, f"--max-count={_NEWEST}", f"{merge_base}..{upstream}", "--", base_only=True)
        wanted = next(iter(session_ids))
        if commit := _patch_ids(snapshot, patches).get(wanted):
            return f"squashed into {commit[:10]}"
    if _has_same_content(snapshot, changes, upstream):
        return "by content: every file it changed is the same there"
    return ""


def _patch_ids(snapshot: CloneSnapshot, patches: bytes, single: str = "") -> dict[str, str]:
    """Return patch-id → commit. `single` is the commit of a patch that names none."""
    if single:
        patches = f"commit {single}\n".encode() + patches
    lines = snapshot.git.run("patch-id", "--stable", stdin=patches).decode().split("\n")
    return {fields[0]: fields[1] for line in lines if len(fields := line.split()) == 2}


def _has_same_content(snapshot: CloneSnapshot, changes: bytes, upstream: str) -> bool:
    """Return whether each path that the branch changed has the same blob and mode in the upstream."""
    fields = iter(changes.split(b"\0"))
    wanted: dict[bytes, bytes] = {}
    for head in fields:
        if head.startswith(b":"):
            _, mode, _, blob, _ = head[1:].split(b" ")
            wanted[next(fields)] = b"" if set(mode) == {ord("0")} else mode + b" " + blob
    tree = snapshot.git.run("ls-tree", "-r", "-z", "--full-tree", upstream, base_only=True)
    present = {}
    for entry in tree.split(b"\0"):
        if entry:
            head, _, path = entry.partition(b"\t")
            mode, _, blob = head.split(b" ")
            present[path] = mode + b" " + blob
    return all(present.get(path, b"") == content for path, content in wanted.items())
