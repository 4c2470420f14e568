"""Paths: layout of the data directory, configuration file, relay's own log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from relay_tui.domain.errors import FileSystemError


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback


def default_data_dir() -> Path:
    """Return `$RELAY_DATA_DIR`, else the XDG data directory + `/relay`."""
    chosen = os.environ.get("RELAY_DATA_DIR", "")
    return Path(chosen).expanduser().absolute() if chosen else _xdg("XDG_DATA_HOME", ".local/share") / "relay"


def config_file() -> Path:
    """Return `$RELAY_CONFIG`, else the XDG config directory + `/relay/config.toml`."""
    chosen = os.environ.get("RELAY_CONFIG", "")
    return Path(chosen).expanduser().absolute() if chosen else _xdg("XDG_CONFIG_HOME", ".config") / "relay/config.toml"


def log_file() -> Path:
    """Return the path of relay's own log: the XDG state directory + `/relay/relay.log`."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "relay/relay.log"


def demo_home() -> Path:
    """Return the parent of the demos' temporary directories: the XDG state directory + `/relay/demo`."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "relay/demo"


@dataclass(frozen=True, slots=True)
class DataDir:
    """Layout of one data directory. `root` is absolute."""

    root: Path

    @property
    def store(self) -> Path:
        """TinyDB file."""
        return self.root / "store.json"

    @property
    def locks(self) -> Path:
        """Lock files, one for each project or session with a running operation."""
        return self.root / "locks"

    @property
    def tmp(self) -> Path:
        """Scratch space on the same file system as everything else."""
        return self.root / "tmp"

    @property
    def cache(self) -> Path:
        """Files that can be deleted at any time."""
        return self.root / "cache"

    @property
    def trash(self) -> Path:
        """Removed clones, one directory each, until their retention ends."""
        return self.root / "trash"

    @property
    def not_isolated(self) -> Path:
        """Marker file: exists once the user agreed to sessions without a sandbox."""
        return self.root / "not-isolated"

    @property
    def processes(self) -> Path:
        """Process sessions: state, log and home, one directory each."""
        return self.root / "processes"

    @property
    def saved_logs(self) -> Path:
        """Logs that the user saved from the screen."""
        return self.root / "logs"

    def project(self, project_id: str) -> Path:
        """Return a project's directory."""
        return self.root / "projects" / project_id

    def base(self, project_id: str) -> Path:
        """Return a project's bare base clone."""
        return self.project(project_id) / "base.git"

    def session(self, project_id: str, session_id: str) -> Path:
        """Return a session's clone."""
        return self.project(project_id) / "sessions" / session_id

    def shadow_repo(self, project_id: str, session_id: str) -> Path:
        """Return the shadow repository of a session's clone: used by the host only, never mounted."""
        return self.project(project_id) / "eyes" / f"{session_id}.git"

    def prepare(self) -> None:
        """Create the data directory with mode 0700. Raises FileSystemError."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.root.stat().st_mode & 0o777 != 0o700:
                self.root.chmod(0o700)  # only if needed: the file system may be read-only
            for directory in (self.locks, self.tmp, self.cache, self.trash, self.processes, self.root / "projects"):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise FileSystemError(
                f"Cannot use the data directory {self.root}",
                f"{error.strerror}: {error.filename}",
                "Choose another directory with --data-dir or $RELAY_DATA_DIR.",
            ) from error
