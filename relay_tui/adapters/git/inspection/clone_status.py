"""Git status of a session's clone: branch, number of changed files, unpushed commits, last commit."""

from __future__ import annotations

from pathlib import Path

from relay_tui.adapters.git.inspection import worktree_status
from relay_tui.adapters.git.refs import COMMIT_FORMAT, parse_commits
from relay_tui.adapters.git.untrusted import files
from relay_tui.adapters.git.untrusted.git_process import GitProcess
from relay_tui.adapters.git.untrusted.lru_cache import LruCache
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import CloneStatus, Commit

_LOG_OPTIONS = ("--no-show-signature", "--no-mailmap", "--no-decorate", "--no-notes", "--no-color")
_LOG = ("log", *_LOG_OPTIONS, "-z", f"--format={COMMIT_FORMAT}")

_last_commits: LruCache[tuple[Path, str], Commit] = LruCache(1000)
"""Commits by shadow repository and hash. One session's object of a hash must not be shown for another session."""


def clone_status(snapshot: CloneSnapshot) -> CloneStatus:
    """Return branch, file counts, unpushed commits and the last commit. The git commands run in parallel."""
    status = worktree_status.start_status(snapshot)
    running: list[GitProcess] = []
    try:
        last = _start_last_commit(snapshot, running)
        ahead = _start_ahead_behind(snapshot, running)
        unpushed = _start_unpushed(snapshot, running)
        found = worktree_status.read_status(snapshot, status)
        ahead_behind = _read_ahead_behind(ahead) if ahead is not None else _level_with_upstream(snapshot)
        return CloneStatus(
            branch=snapshot.head.branch,
            head=snapshot.head.hash,
            changed=len(found.changed),
            added=len(found.added),
            deleted=len(found.deleted),
            untracked=len(found.untracked),
            conflicted=len(found.conflicted),
            stashes=len(snapshot.git_dir.stashes()),
            upstream=snapshot.upstream.name,
            ahead=ahead_behind[0],
            behind=ahead_behind[1],
            unpushed=_count_unpushed(snapshot, unpushed) if unpushed is not None else 0,
            last=_read_last_commit(snapshot, last.result())
            if last is not None
            else _last_commits.get((snapshot.clone.shadow_dir, snapshot.head.hash)),
            notes=tuple(snapshot.notes) + _notes(snapshot, found),
        )
    finally:
        worktree_status.stop_status(status)
        for process in running:
            process.kill()


def log_unfetched(snapshot: CloneSnapshot, tips: list[str], most: int) -> list[Commit]:
    """Return the newest `most` commits that are reachable from `tips` and from no ref that the host fetched."""
    return _parse(snapshot.git.run(*_LOG, f"--max-count={most}", "--stdin", stdin=snapshot.exclude_fetched(tips)))


def read_commits(snapshot: CloneSnapshot, hashes: list[str]) -> list[Commit]:
    """Return exactly these commits."""
    lines = "".join(f"{name}\n" for name in hashes).encode()
    return _parse(snapshot.git.run(*_LOG, "--no-walk=unsorted", "--stdin", stdin=lines))


def _parse(output: bytes) -> list[Commit]:
    return parse_commits(output.decode(errors="replace"))


def _start_last_commit(snapshot: CloneSnapshot, running: list[GitProcess]) -> GitProcess | None:
    if not snapshot.head.hash or (snapshot.clone.shadow_dir, snapshot.head.hash) in _last_commits:
        return None
    running.append(snapshot.git.start(*_LOG, "--max-count=1", snapshot.head.hash, "--"))
    return running[-1]


def _read_last_commit(snapshot: CloneSnapshot, output: bytes) -> Commit | None:
    found = _parse(output)
    return _last_commits.put((snapshot.clone.shadow_dir, snapshot.head.hash), found[0]) if found else None


def _start_ahead_behind(snapshot: CloneSnapshot, running: list[GitProcess]) -> GitProcess | None:
    upstream, head = snapshot.upstream.hash, snapshot.head.hash
    if not upstream or not head or upstream == head:
        return None
    running.append(snapshot.git.start("rev-list", "--left-right", "--count", f"{head}...{upstream}", "--"))
    return running[-1]


def _level_with_upstream(snapshot: CloneSnapshot) -> tuple[int | None, int | None]:
    return (0, 0) if snapshot.upstream.hash and snapshot.head.hash else (None, None)


def _read_ahead_behind(process: GitProcess) -> tuple[int, int]:
    ahead, behind = process.result().split()
    return int(ahead), int(behind)


def _start_unpushed(snapshot: CloneSnapshot, running: list[GitProcess]) -> GitProcess | None:
    if not snapshot.unfetched:
        return None
    running.append(snapshot.start_missing_commits(snapshot.unfetched))
    return running[-1]


def _count_unpushed(snapshot: CloneSnapshot, process: GitProcess) -> int:
    return len(snapshot.read_missing_commits(snapshot.unfetched, process))


def _notes(snapshot: CloneSnapshot, found: worktree_status.Status) -> tuple[str, ...]:
    """Describe what the counts leave out, and unfinished git operations."""
    notes = [f"{operation}." for operation in snapshot.git_dir.unfinished_operations()]
    if found.staged_only:
        count = len(found.staged_only)
        notes.append(f"{count} {'file is' if count == 1 else 'files are'} staged with other content than on disk.")
    return (*notes, *uncounted_locations(snapshot))


def uncounted_locations(snapshot: CloneSnapshot) -> tuple[str, ...]:
    """Name the parts of the clone whose changes are not counted: submodules and linked worktrees."""
    notes = []
    if files.exists(".gitmodules", snapshot.tree) or snapshot.git_dir.has_entries("modules"):
        notes.append("Changes in submodules are not counted.")
    if snapshot.git_dir.has_entries("worktrees"):
        notes.append("Changes in linked worktrees are not counted.")
    return tuple(notes)
