"""`Git` port, implemented with the host's git."""

from __future__ import annotations

import os
from pathlib import Path

from relay_tui.adapters.git import process, refs
from relay_tui.adapters.git.clone.base_clone import clone_base, open_base, origin
from relay_tui.adapters.git.clone.session_clone import clone_session
from relay_tui.adapters.git.clone.source import parse_source
from relay_tui.adapters.git.refs import check_branch_name
from relay_tui.adapters.git.untrusted.gitdir import open_clone
from relay_tui.domain.models import Branch, Identity
from relay_tui.ports import CloneSource
from relay_tui.ports.task import TaskContext

_MOST_WORKERS = 8  # a checkout with more workers is not faster


class GitAdapter:
    """git on the host. `workers` processes write a session's files; by default one per core, at most 8."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or min(os.cpu_count() or 1, _MOST_WORKERS)

    def parse_source(self, text: str) -> CloneSource:
        """Parse what the user typed: split secrets off, make a local path absolute. Raises InvalidInputError."""
        return parse_source(text)

    def check_branch_name(self, name: str) -> None:
        """Raise InvalidInputError, field 'branch', if git would refuse the name. Cheap: starts no process."""
        check_branch_name(name)

    def clone_base(self, source: CloneSource, target: Path, task: TaskContext) -> str:
        """Create a bare clone with every head and tag at `target`; return the default branch."""
        return clone_base(source, target, task)

    def origin(self, base: Path) -> str:
        """Return the URL that a base clone was cloned from; '' if it is not recorded."""
        return origin(base)

    def default_branch(self, base: Path) -> str:
        """Return the branch that HEAD points at, else main, master or the first; '' if there is none."""
        with open_base(base, refs.CANNOT_READ) as repository:
            return refs.default_head(repository)

    def branch_of(self, work_dir: Path) -> str:
        """Return the current branch of a session's clone. Read without git, because the clone may be hostile."""
        with open_clone(work_dir) as git_dir:
            return git_dir.head().branch

    def branches(self, base: Path) -> list[Branch]:
        """Return every branch of a base clone, most recent commit first."""
        return refs.branches(base)

    def clone_session(
        self, base: Path, target: Path, *, branch: str, new_branch: str, origin: str, task: TaskContext
    ) -> list[str]:
        """Create an independent clone of `base` at `target`; return notes on submodules and LFS files that it lacks."""
        return clone_session(
            base, target, branch=branch, new_branch=new_branch, origin=origin, workers=self._workers, task=task
        )

    def identity(self) -> Identity:
        """Return the host's user.name and user.email outside any repository."""
        outcome = process.run_git_capture("config", "-z", "--get-regexp", r"^user\.(name|email)$")
        values = dict(
            entry.partition("\n")[::2] for entry in outcome.stdout.decode(errors="replace").split("\0") if entry
        )
        return Identity(name=values.get("user.name", ""), email=values.get("user.email", ""))
