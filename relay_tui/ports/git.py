"""Port for git on the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relay_tui.domain.models import Branch, Identity
    from relay_tui.ports.task import TaskContext


@dataclass(frozen=True, slots=True)
class CloneSource:
    """Source of a clone. `url` has no credentials; those stay in memory and are not part of the repr."""

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


class Git(Protocol):
    """git on the host. Every method raises GitError with git's message, or FileSystemError."""

    def parse_source(self, text: str) -> CloneSource:
        """Parse a typed source: separate credentials, make local paths absolute. Raises InvalidInputError."""
        ...

    def check_branch_name(self, name: str) -> None:
        """Raise InvalidInputError, field 'branch', if git does not allow the name or it starts with '-'."""
        ...

    def clone_base(self, source: CloneSource, target: Path, task: TaskContext) -> str:
        """Create a bare clone of every head and tag at `target`, which must not exist; return the default branch.

        Uses a temporary name beside `target` until the clone is complete. Leaves nothing if cancelled or failed.
        """
        ...

    def origin(self, base: Path) -> str:
        """Return the source of a base clone; '' if it has none."""
        ...

    def default_branch(self, base: Path) -> str:
        """Return the branch of a base clone's HEAD, else main, master or the first; '' if it has no branch."""
        ...

    def branch_of(self, work_dir: Path) -> str:
        """Return the current branch of a session's clone; '' if it is on none. Raises UnknownStateError."""
        ...

    def branches(self, base: Path) -> list[Branch]:
        """Return every head of a base clone, the most recently committed first."""
        ...

    def clone_session(
        self, base: Path, target: Path, *, branch: str, new_branch: str, origin: str, task: TaskContext
    ) -> list[str]:
        """Create an independent clone of `base` at `target`, on `branch`, or on `new_branch` created from it if not ''.

        `target` may be an empty directory. `origin` becomes the remote. Uses a temporary name until the clone is
        complete. Returns notes about missing parts: a submodule, LFS files.
        """
        ...

    def identity(self) -> Identity:
        """Return the host's user.name and user.email."""
        ...
