"""A session's clone and its base, made as relay makes them, and eyes to look at it; no engine needed."""

from __future__ import annotations

import os
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

from git_servers import make_repository

from relay_tui.adapters.git import GitAdapter
from relay_tui.adapters.git.inspection.adapter import GitInspector
from relay_tui.ports import SessionClone
from relay_tui.ports.task import TaskContext

WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Bench:
    """One upstream, its base clone, and one session of it."""

    upstream: Path
    clone: SessionClone
    look: GitInspector

    @property
    def tree(self) -> Path:
        """The session's work tree."""
        return self.clone.work_dir

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the session."""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """git as the session runs it."""
        return run_git(at or self.tree, *arguments)

    def commit(self, name: str, text: str | bytes, subject: str) -> str:
        """A commit of one file; answers its hash."""
        self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-qm", subject)
        return self.git("rev-parse", "HEAD")

    def raw(self, kind: str, name: str) -> bytes:
        """The bytes of an object."""
        return subprocess.check_output(("git", "-C", str(self.tree), "cat-file", kind, name))

    def forge(self, name: str, kind: str, body: bytes) -> None:
        """Put a loose object under a name that is not its own into the session's store."""
        loose = self.tree / ".git/objects" / name[:2] / name[2:]
        loose.parent.mkdir(exist_ok=True)
        loose.unlink(missing_ok=True)
        loose.write_bytes(zlib.compress(b"%b %d\0%b" % (kind.encode(), len(body), body)))

    def unpack(self, store: Path) -> None:
        """Make every packed object of a repository a loose one: git looks into packs first."""
        for pack in (store / "objects").glob("pack/*.pack"):
            moved = pack.rename(self.tree.parent / pack.name)
            pack.with_suffix(".idx").unlink()
            subprocess.run(("git", f"--git-dir={store}", "unpack-objects", "-q"), input=moved.read_bytes(), check=True)

    def fetch(self) -> None:
        """Fetch into the base clone, as the host does."""
        run_git(self.clone.base, "fetch", "-q", "--prune", "origin")


def run_git(tree: Path, *arguments: str) -> str:
    """Run git in a repository; answer what it wrote."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(("git", *WHO, "-C", str(tree), *arguments), capture_output=True, check=False, env=env)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.decode(errors="surrogateescape").strip()


def bench(root: Path, *, new_branch: str = "", files: dict[str, str | bytes] | None = None) -> Bench:
    """Create an upstream with `files` on main, and a session on main or on a new branch from it."""
    upstream = make_repository(root / "upstream.git", bare=True, files=files or {"a": "1\n", "b": "2\n", "d/c": "3\n"})
    git = GitAdapter()
    base = root / "base.git"
    git.clone_base(git.parse_source(str(upstream)), base, TaskContext())
    tree = root / "sessions/s"
    git.clone_session(base, tree, branch="main", new_branch=new_branch, origin=str(upstream), task=TaskContext())
    clone = SessionClone(
        session_id="s",
        work_dir=tree,
        shadow_dir=root / "eyes/s.git",
        base=base,
        branch=new_branch or "main",
        base_branch="main",
    )
    look = GitInspector(timeout=10)
    look.prepare(clone)
    return Bench(upstream, clone, look)
