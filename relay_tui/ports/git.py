"""git on the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.domain.models import Branch, Identity
    from relay_tui.ports.task import TaskContext


@dataclass(frozen=True, slots=True)
class CloneSource:
    """A place to clone from. `url` is bare; the secret half never leaves memory and never shows in a repr."""

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


class Git(Protocol):
    """git on the host. Every method raises GitError with git's own words, or FileSystemError."""

    def parse_source(self, text: str) -> CloneSource:
        """Turn what was typed into a source: secrets split off, local paths absolute. Raises InvalidInputError."""
        ...

    def check_branch_name(self, name: str) -> None:
        """Raise InvalidInputError, field 'branch', when git would refuse the name, or it begins with '-'."""
        ...

    def clone_base(self, source: CloneSource, target: Path, task: TaskContext) -> str:
        """Make a bare clone of every head and tag at `target` (which must not exist); answer the default branch.

        Works in a temporary name beside `target` and renames when whole. Cancelled or failed, it leaves nothing.
        """
        ...

    def origin(self, base: Path) -> str:
        """Where a base clone came from; '' if it does not say."""
        ...

    def default_branch(self, base: Path) -> str:
        """The head that a base clone's HEAD points at, else main, master or the first; '' when there is none."""
        ...

    def branch_of(self, work_dir: Path) -> str:
        """The branch that a session's clone is on; '' if it is on none. Raises UnknownStateError."""
        ...

    def branches(self, base: Path) -> list[Branch]:
        """Every head of a base clone, the most recently committed first."""
        ...

    def clone_session(
        self, base: Path, target: Path, *, branch: str, new_branch: str, origin: str, task: TaskContext
    ) -> list[str]:
        """Make an independent clone of `base` at `target`, on `branch`, or on `new_branch` begun there if not ''.

        `target` may exist when it is an empty directory. `origin` becomes its remote. Works in a temporary name and
        renames when whole. Answers notes: what the clone came without (a submodule, LFS files), in words.
        """
        ...

    def identity(self) -> Identity:
        """The host's user.name and user.email."""
        ...
