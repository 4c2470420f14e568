"""A project's upstream, its base, and a session's clone of it, by real git; and what somebody did in the clone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from git_servers import make_repository, run_git

from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.transfer import GitTransferAdapter
from relay_tui.ports import CloneSource, SessionClone
from relay_tui.ports.task import TaskContext

SESSION = "01sessionid00"


@dataclass(frozen=True)
class Ground:
    """An upstream with a clone of it that somebody works in, the base, and the session's clone."""

    root: Path
    upstream: Path
    other: Path
    clone: SessionClone
    exit: GitTransferAdapter

    @property
    def tmp(self) -> Path:
        """Directory for relay's temporary copies. Empty between two calls."""
        return self.root / "data/tmp"

    @property
    def source(self) -> CloneSource:
        """The upstream, without a login."""
        return CloneSource(str(self.upstream))

    def commit(self, where: Path, name: str = "work.txt", text: str = "work\n", message: str = "Some work") -> str:
        """Commit a file in a work tree; answer the commit."""
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text)
        run_git("add", "--", name, cwd=where)
        run_git("commit", "--quiet", "-m", message, cwd=where)
        return run_git("rev-parse", "HEAD", cwd=where)

    def work(self, name: str = "work.txt", text: str = "work\n", message: str = "Some work") -> str:
        """Commit a file in the session."""
        return self.commit(self.clone.work_dir, name, text, message)

    def upstream_moves(self, name: str = "news.txt", text: str = "news\n", branch: str = "main") -> str:
        """Somebody else pushes a commit."""
        run_git("fetch", "--quiet", cwd=self.other)
        run_git("checkout", "--quiet", "-B", branch, f"origin/{branch}", cwd=self.other)
        commit = self.commit(self.other, name, text, f"News on {branch}")
        run_git("push", "--quiet", "origin", branch, cwd=self.other)
        return commit

    def git(self, *arguments: str) -> str:
        """Run git in the session, as its container does."""
        return run_git(*arguments, cwd=self.clone.work_dir)

    def in_base(self, *arguments: str) -> str:
        """Run git in the base."""
        return run_git(*arguments, cwd=self.clone.base)

    def head(self, branch: str, where: Path | None = None) -> str:
        """The commit of a branch, of the upstream if nowhere else."""
        return run_git("rev-parse", f"refs/heads/{branch}", cwd=where or self.upstream)


def lay(root: Path, *, branches: Sequence[str] = ("main", "side"), new_branch: str = "topic") -> Ground:
    """Create the repositories below `root`. The session is on `new_branch`, created from main ('': on main)."""
    upstream = make_repository(root / "upstream.git", branches=branches, tags=("v1",), bare=True)
    run_git("clone", "--quiet", str(upstream), str(root / "other"), cwd=root)
    base, tree = root / "data/projects/p/base.git", root / f"data/projects/p/sessions/{SESSION}"
    (root / "data/tmp").mkdir(parents=True)
    git = GitAdapter(workers=1)
    git.clone_base(CloneSource(str(upstream)), base, TaskContext())
    git.clone_session(base, tree, branch="main", new_branch=new_branch, origin=str(upstream), task=TaskContext())
    clone = SessionClone(
        session_id=SESSION,
        work_dir=tree,
        shadow_dir=root / f"data/projects/p/eyes/{SESSION}.git",
        base=base,
        branch=new_branch or "main",
        base_branch="main",
    )
    return Ground(root, upstream, root / "other", clone, GitTransferAdapter(root / "data/tmp"))
