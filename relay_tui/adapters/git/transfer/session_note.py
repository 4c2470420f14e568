"""Note in the base clone about a session, for its saved refs: its name and branches. It outlives the record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import translate_os_errors
from relay_tui.ports import SessionClone

_DIRECTORY = "relay-sessions"  # in the base clone
_MOST = 1 << 16  # bytes


@dataclass(frozen=True, slots=True)
class SessionNote:
    """State of one session when its work was last imported into the base clone. The field names are those on disk."""

    name: str = ""
    begun_on: str = ""
    """Branch that the session started on."""
    on: str = ""
    """Branch of its HEAD; '' when detached."""


def write(clone: SessionClone, branch: str) -> None:
    """Write the note of a session whose HEAD is on `branch`, atomically. Raises FileSystemError."""
    directory = clone.base / _DIRECTORY
    staged = directory / f"{clone.session_id}.partial"
    with translate_os_errors("Cannot write the session's note in the base clone", staged):
        directory.mkdir(mode=0o700, exist_ok=True)
        staged.write_text(json.dumps(asdict(SessionNote(clone.name, clone.branch, branch))))
        staged.replace(directory / clone.session_id)


def read(base: Path, session_id: str) -> SessionNote | None:
    """Return the note of a session, None if there is none or it is not valid."""
    try:
        with (base / _DIRECTORY / session_id).open("rb") as file:
            content = json.loads(file.read(_MOST))
        return SessionNote(*(str(content[field]) for field in ("name", "begun_on", "on")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
