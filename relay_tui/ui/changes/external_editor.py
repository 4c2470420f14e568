"""Open a session's file in the user's editor: only a regular file inside the clone."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from relay_tui.domain.errors import ConflictError, FileSystemError, InvalidInputError, NotFoundError

_COMMON = ("sensible-editor", "editor", "nano", "vi")


def resolve_in_clone(work_dir: Path, path: str) -> Path:
    """The file to open. A session may have put a symlink in its place, or in that of a directory above it.

    Raises NotFoundError, FileSystemError, or ConflictError if it is no ordinary file or lies outside of the clone.
    """
    try:
        root = Path(os.path.realpath(work_dir, strict=True))
        found = Path(os.path.realpath(root / path, strict=True))
        mode = found.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError("The file is no longer there", path, "Deleted files cannot be opened.") from error
    except (OSError, ValueError) as error:
        raise FileSystemError(
            "The file cannot be opened", str(error), "Look at it from a shell in the session."
        ) from error
    if not found.is_relative_to(root):
        raise ConflictError(
            "It leads out of the clone", f"{path} is a symlink to {found}", "relay opens only files inside the session."
        )
    if found.relative_to(root).parts[:1] == (".git",):
        raise ConflictError("It is a part of git's own", path, "relay opens only the session's files.")
    if not stat.S_ISREG(mode):
        raise ConflictError("It is not a file that can be edited", path, "Look at it from a shell in the session.")
    return found


def editor_command(environment: Mapping[str, str], path: Path) -> list[str]:
    """The command of $VISUAL or $EDITOR, else of what is commonly there. Raises InvalidInputError if it is nonsense."""
    wanted = environment.get("VISUAL") or environment.get("EDITOR")
    if wanted:
        try:
            command = shlex.split(wanted)
        except ValueError as error:
            raise InvalidInputError("editor", "$EDITOR is not a command", f"{wanted}: {error}") from error
    else:
        folders = [folder for folder in environment.get("PATH", os.defpath).split(os.pathsep) if folder]
        command = [name for name in _COMMON if any(os.access(Path(folder, name), os.X_OK) for folder in folders)][:1]
    if not command:
        raise NotFoundError("There is no editor", "", "Set $EDITOR to the command of one.")
    return [*command, str(path)]


def edit(command: list[str]) -> None:
    """Run the editor to its end. Not in the clone: some read configuration from the directory they are started in."""
    try:
        subprocess.run(command, check=False, cwd=Path.home() if Path.home().is_dir() else "/")
    except OSError as error:
        raise NotFoundError("The editor cannot be started", str(error), "Set $EDITOR to the command of one.") from error
