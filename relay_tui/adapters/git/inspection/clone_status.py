"""The facts of a session: what git would say of it, had it not been asked in a place that lies."""

from __future__ import annotations

from pathlib import Path

from relay_tui.adapters.git.inspection import worktree_status
from relay_tui.adapters.git.refs import parse_git_time
from relay_tui.adapters.git.untrusted import files
from relay_tui.adapters.git.untrusted.git_process import GitProcess
from relay_tui.adapters.git.untrusted.lru_cache import LruCache
from relay_tui.adapters.git.untrusted.snapshot import CloneSnapshot
from relay_tui.domain.changes import CloneStatus, Commit

_FORMAT = "--format=%H%x00%an%x00%at%x00%s"
_LOG = ("log", "--no-show-signature", "--no-mailmap", "--no-decorate", "--no-notes", "--no-color", "-z", _FORMAT)

_commits: LruCache[tuple[Path, str], Commit] = LruCache(1000)
"""By the eye too: what one session makes of a hash is no answer for another."""


def clone_status(view: CloneSnapshot) -> CloneStatus:
    """Branch, counts, what is unpushed, the last commit. The questions are asked side by side."""
    begun = worktree_status.begin(view)
    asked: list[GitProcess] = []
    try:
        last = _begin_last(view, asked)
        ahead = _begin_ahead(view, asked)
        unpushed = _begin_unpushed(view, asked)
        found = worktree_status.read(view, begun)
        ahead_behind = _counts(ahead) if ahead is not None else _level(view)
        return CloneStatus(
            branch=view.head.branch,
            head=view.head.hash,
            changed=len(found.changed),
            added=len(found.added),
            deleted=len(found.deleted),
            untracked=len(found.untracked),
            conflicted=len(found.conflicted),
            stashes=len(view.git.stashes()),
            upstream=view.upstream.name,
            ahead=ahead_behind[0],
            behind=ahead_behind[1],
            unpushed=len(view.end_missing(view.unfetched, unpushed)) if unpushed is not None else 0,
            last=_keep(view, last.result())
            if last is not None
            else _commits.get((view.clone.shadow_dir, view.head.hash)),
            notes=tuple(view.notes) + _notes(view, found),
        )
    finally:
        worktree_status.end(begun)
        for running in asked:
            running.end()


def commits(output: bytes) -> list[Commit]:
    """Commits as `log(…)` wrote them."""
    fields = output.decode(errors="replace").split("\0")
    found = []
    for at in range(0, len(fields) - 3, 4):
        name, author, seconds, subject = fields[at : at + 4]
        found.append(Commit(hash=name, subject=subject, author=author, authored_at=parse_git_time(seconds)))
    return found


def log(view: CloneSnapshot, tips: list[str], most: int) -> list[Commit]:
    """The newest of the commits that the upstream lacks."""
    return commits(view.sight.git(*_LOG, f"--max-count={most}", "--stdin", stdin=view.without_fetched(tips)))


def named(view: CloneSnapshot, hashes: list[str]) -> list[Commit]:
    """These commits and no others."""
    lines = "".join(f"{name}\n" for name in hashes).encode()
    return commits(view.sight.git(*_LOG, "--no-walk=unsorted", "--stdin", stdin=lines))


def _begin_last(view: CloneSnapshot, asked: list[GitProcess]) -> GitProcess | None:
    if not view.head.hash or (view.clone.shadow_dir, view.head.hash) in _commits:
        return None
    asked.append(view.sight.begin(*_LOG, "--max-count=1", view.head.hash, "--"))
    return asked[-1]


def _keep(view: CloneSnapshot, output: bytes) -> Commit | None:
    found = commits(output)
    return _commits.put((view.clone.shadow_dir, view.head.hash), found[0]) if found else None


def _begin_ahead(view: CloneSnapshot, asked: list[GitProcess]) -> GitProcess | None:
    upstream, head = view.upstream.hash, view.head.hash
    if not upstream or not head or upstream == head:
        return None
    asked.append(view.sight.begin("rev-list", "--left-right", "--count", f"{head}...{upstream}", "--"))
    return asked[-1]


def _level(view: CloneSnapshot) -> tuple[int | None, int | None]:
    return (0, 0) if view.upstream.hash and view.head.hash else (None, None)


def _counts(running: GitProcess) -> tuple[int, int]:
    ahead, behind = running.result().split()
    return int(ahead), int(behind)


def _begin_unpushed(view: CloneSnapshot, asked: list[GitProcess]) -> GitProcess | None:
    if not view.unfetched:
        return None
    asked.append(view.begin_missing(view.unfetched))
    return asked[-1]


def _notes(view: CloneSnapshot, found: worktree_status.Status) -> tuple[str, ...]:
    """What the counts leave out, and what git was left in the middle of."""
    notes = [f"{words}." for words in view.git.under_way()]
    if found.staged_only:
        count = len(found.staged_only)
        notes.append(f"{count} {'file is' if count == 1 else 'files are'} staged otherwise than on disk.")
    return (*notes, *uncounted_locations(view))


def uncounted_locations(view: CloneSnapshot) -> tuple[str, ...]:
    """Places in which there may be work that nobody counts."""
    notes = []
    if files.exists(".gitmodules", view.tree) or view.git.has_entries("modules"):
        notes.append("Changes within submodules are not counted.")
    if view.git.has_entries("worktrees"):
        notes.append("Changes in its linked worktrees are not counted.")
    return tuple(notes)
