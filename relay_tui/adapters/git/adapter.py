"""The Git port, fulfilled by the git on the host."""

from __future__ import annotations

import os
from pathlib import Path

from relay_tui.adapters.git import heads, process
from relay_tui.adapters.git.base import clone_base, open_base, origin
from relay_tui.adapters.git.look.gitdir import open_clone
from relay_tui.adapters.git.names import check_branch_name
from relay_tui.adapters.git.session import clone_session
from relay_tui.adapters.git.source import parse_source
from relay_tui.model import Branch, Identity
from relay_tui.services.ports import Source
from relay_tui.services.watch import Watch

_MOST_WORKERS = 8  # more writers than this do not check out faster


class GitAdapter:
    """git on the host. `workers` is how many processes write a session's files; None takes one a core, at most 8."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or min(os.cpu_count() or 1, _MOST_WORKERS)

    def parse_source(self, text: str) -> Source:
        """Turn what was typed into a source: secrets split off, local paths absolute. Raises InvalidInputError."""
        return parse_source(text)

    def check_branch_name(self, name: str) -> None:
        """Raise InvalidInputError, field 'branch', when git would refuse the name. Cheap: starts no process."""
        check_branch_name(name)

    def clone_base(self, source: Source, target: Path, watch: Watch) -> str:
        """Make a bare clone of every head and tag at `target`; answer the default branch."""
        return clone_base(source, target, watch)

    def origin(self, base: Path) -> str:
        """Where a base clone came from; '' if it does not say."""
        return origin(base)

    def default_branch(self, base: Path) -> str:
        """The head that HEAD points at, else main, master or the first; '' when there is none."""
        with open_base(base, heads.CANNOT_READ) as repository:
            return heads.default_head(repository)

    def branch_of(self, work_dir: Path) -> str:
        """The branch that a session's clone is on, read without git: the clone is hostile."""
        with open_clone(work_dir) as git_dir:
            return git_dir.head().branch

    def branches(self, base: Path) -> list[Branch]:
        """Every head of a base clone, the most recently committed first."""
        return heads.branches(base)

    def clone_session(
        self, base: Path, target: Path, *, branch: str, new_branch: str, origin: str, watch: Watch
    ) -> list[str]:
        """Make an independent clone of `base` at `target`; answer what it came without, in words."""
        return clone_session(
            base, target, branch=branch, new_branch=new_branch, origin=origin, workers=self._workers, watch=watch
        )

    def identity(self) -> Identity:
        """The host's user.name and user.email, as they hold outside any repository."""
        outcome = process.ask("config", "-z", "--get-regexp", r"^user\.(name|email)$")
        values = dict(
            entry.partition("\n")[::2] for entry in outcome.stdout.decode(errors="replace").split("\0") if entry
        )
        return Identity(name=values.get("user.name", ""), email=values.get("user.email", ""))
