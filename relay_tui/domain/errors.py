"""The error family: what happened, where, and what to do next.

An error that reaches a person has a `title` (one line: what happened), a `detail` (the words of git, the
engine or the file system, whole) and a `hint` (what to do next). A `Fault` is the same, frozen into a record.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is stored in a record, shown on a row and printed as JSON. hints.py says how the hint is read."""

    kind: str
    title: str
    detail: str = ""
    hint: str = ""


class RelayError(Exception):
    """Base of everything relay raises on purpose. `exit_code` is the command line's."""

    kind: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail if detail.strip() != title.strip() else ""  # nothing is told twice
        self.hint = hint
        self.about = ""
        """The session or project that commands in the hint are to name, where it is known."""

    @property
    def fault(self) -> Fault:
        """The error as a value that can be kept in a record."""
        return Fault(self.kind, self.title, self.detail, self.hint)


@contextmanager
def with_step(step: str) -> Iterator[None]:
    """A full disk, an absent engine: what could happen at any step says at which: 'Cloning: The disk is full'."""
    try:
        yield
    except (FileSystemError, EngineUnreachableError) as error:  # others tell their step by their own title
        if not error.title.startswith(f"{step}: "):
            error.title = f"{step}: {error.title}"
        raise


class InvalidInputError(RelayError):
    """Something typed cannot be used. `field` names the form field or option it stands in."""

    kind = "invalid-input"
    exit_code = 2

    def __init__(self, field: str, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title, detail, hint)
        self.field = field


class NotFoundError(RelayError):
    """No project or session goes by that name."""

    kind = "not-found"
    exit_code = 3


class ConflictError(RelayError):
    """Refused: it would break a rule, or another relay is at it."""

    kind = "conflict"
    exit_code = 4


class NameTakenError(ConflictError):
    """Another project, or another session of the project, has the name already."""

    field: ClassVar[str] = "name"


class NoImageError(ConflictError):
    """An image was asked for by name, and what would run the session has none."""

    field: ClassVar[str] = "image"


class NeedsConsentError(ConflictError):
    """Refused until a person agrees; `consent` is what they agree to."""

    def __init__(self, consent: str, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title, detail, hint)
        self.consent = consent


class GitError(RelayError):
    """git failed; `detail` holds its own words, with secrets taken out."""

    kind = "git"


class UnknownStateError(GitError):
    """Nothing can be said about a session's clone; `detail` says why. It counts as unsaved work."""

    kind = "unknown"


class NotComparableError(ConflictError):
    """What changes were to be told against is not there; all else of the clone is known."""

    kind = "not-comparable"


class EngineError(RelayError):
    """The container engine refused or failed; `detail` holds its own words."""

    kind = "engine"


class UnreachableReason(StrEnum):
    """Why no engine answers."""

    UNKNOWN = "unknown"
    MISSING = "missing"
    """None is installed."""
    STOPPED = "stopped"
    """One is, and does not run."""
    FORBIDDEN = "forbidden"
    """It runs, and is not for this user."""
    MUTE = "mute"
    """It takes a connection and never answers."""
    ASTRAY = "astray"
    """What names the engine leads to none."""
    REMOTE = "remote"
    """What names the engine leads to another machine."""


class EngineUnreachableError(EngineError):
    """No engine answers. `why` says in a sentence what that comes from here, `fix` is the command that fixes it."""

    kind = "engine-unreachable"
    exit_code = 5

    def __init__(
        self,
        title: str,
        detail: str = "",
        hint: str = "",
        *,
        silence: UnreachableReason = UnreachableReason.UNKNOWN,
        why: str = "",
        fix: str = "",
    ) -> None:
        super().__init__(title, detail, hint)
        self.silence = silence
        self.why = why
        self.fix = fix


class FileSystemError(RelayError):
    """The disk is full, a directory cannot be written, a path is in the way."""

    kind = "file-system"


class ForeignFilesError(FileSystemError):
    """A directory belongs to another user: its session gave it away."""


class StoreError(RelayError):
    """The store file cannot be read or written."""

    kind = "store"


class ConfigError(RelayError):
    """config.toml is wrong; `detail` names the file and the key."""

    kind = "config"


class CancelledError(RelayError):
    """The person asked for it to stop."""

    kind = "cancelled"
