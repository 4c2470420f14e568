"""What refs do not tell of a session that is on record no more: its name, and what its HEAD was on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import from_os
from relay_tui.ports import SessionClone

_DIRECTORY = "relay-sessions"  # within the base, beside the refs that it explains
_MOST = 1 << 16  # bytes


@dataclass(frozen=True, slots=True)
class SessionNote:
    """Of one session, when its work was last brought into the base."""

    name: str = ""
    begun_on: str = ""
    """The branch it was begun on."""
    on: str = ""
    """The branch that its HEAD was on; '' when detached."""


def write(clone: SessionClone, on: str) -> None:
    """Note it, whole or not at all."""
    directory = clone.base / _DIRECTORY
    made = directory / f"{clone.session_id}.partial"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        made.write_text(json.dumps(asdict(SessionNote(clone.name, clone.branch, on))))
        made.replace(directory / clone.session_id)
    except OSError as error:
        raise from_os(error) from error


def read(base: Path, session_id: str) -> SessionNote | None:
    """What was noted, or None: nothing, or nothing that makes sense."""
    try:
        with (base / _DIRECTORY / session_id).open("rb") as file:
            told = json.loads(file.read(_MOST))
        return SessionNote(*(str(told[field]) for field in ("name", "begun_on", "on")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
