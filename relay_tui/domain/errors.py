"""Errors that relay raises, and `Fault`, an error as a value.

Each error has a `title` (one line: what failed), a `detail` (the full message of git, the engine or the file
system) and a `hint` (the next step). A `Fault` has the same fields and can be stored in a record.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """Error as a value: stored in a record, shown on a row, printed as JSON. `domain.hints` documents the hint."""

    kind: str
    title: str
    detail: str = ""
    hint: str = ""


class RelayError(Exception):
    """Base class of relay's own errors. `exit_code` is the exit code of the command line."""

    kind: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail if detail.strip() != title.strip() else ""  # the title is not repeated
        self.hint = hint
        self.about = ""
        """Session or project that commands in the hint name, if known."""

    @property
    def fault(self) -> Fault:
        """The error as a value for a record."""
        return Fault(self.kind, self.title, self.detail, self.hint)


@contextmanager
def with_step(step: str) -> Iterator[None]:
    """Prefix the title of errors that any step can raise with `step`: 'Cloning: The disk is full'."""
    try:
        yield
    except (FileSystemError, EngineUnreachableError) as error:  # the titles of other errors name the step already
        if not error.title.startswith(f"{step}: "):
            error.title = f"{step}: {error.title}"
        raise


class InvalidInputError(RelayError):
    """Invalid user input. `field` is the name of the form field or option."""

    kind = "invalid-input"
    exit_code = 2

    def __init__(self, field: str, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title, detail, hint)
        self.field = field


class NotFoundError(RelayError):
    """No project or session has the given name."""

    kind = "not-found"
    exit_code = 3


class ConflictError(RelayError):
    """Refused: the operation would break a rule, or another relay is working on the same subject."""

    kind = "conflict"
    exit_code = 4


class NameTakenError(ConflictError):
    """The name is taken by another project, or by another session of the project."""

    field: ClassVar[str] = "name"


class NoImageError(ConflictError):
    """An image was requested, but the session's runtime does not use images."""

    field: ClassVar[str] = "image"


class NeedsConsentError(ConflictError):
    """Refused until the user consents. `consent` identifies the consent."""

    def __init__(self, consent: str, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title, detail, hint)
        self.consent = consent


class GitError(RelayError):
    """git failed. `detail` is git's message with secrets redacted."""

    kind = "git"


class UnknownStateError(GitError):
    """The state of a session's clone cannot be determined; `detail` has the reason. It counts as unsaved work."""

    kind = "unknown"


class NotComparableError(ConflictError):
    """The base for a comparison does not exist. The rest of the clone's state is known."""

    kind = "not-comparable"


class EngineError(RelayError):
    """The container engine refused or failed. `detail` is the engine's message."""

    kind = "engine"


class UnreachableReason(StrEnum):
    """Reason why no engine answers."""

    UNKNOWN = "unknown"
    MISSING = "missing"
    """No engine is installed."""
    STOPPED = "stopped"
    """An engine is installed but does not run."""
    FORBIDDEN = "forbidden"
    """The engine runs, but this user may not use it."""
    MUTE = "mute"
    """The engine accepts connections but does not answer."""
    ASTRAY = "astray"
    """The configured address leads to no engine."""
    REMOTE = "remote"
    """The configured address leads to another machine."""


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
    """A file operation failed: full disk, unwritable directory, existing path."""

    kind = "file-system"


class ForeignFilesError(FileSystemError):
    """A directory belongs to another user, because its session changed the owner."""


class StoreError(RelayError):
    """The store file cannot be read or written."""

    kind = "store"


class ConfigError(RelayError):
    """config.toml is invalid. `detail` names the file and the key."""

    kind = "config"


class CancelledError(RelayError):
    """The user cancelled the operation."""

    kind = "cancelled"
