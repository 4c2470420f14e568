"""Where things lie: the data dir's layout, the config file, relay's own log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from relay_tui.domain.errors import FileSystemError


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback


def default_data_dir() -> Path:
    """`$RELAY_DATA_DIR`, else the XDG data directory + `/relay`."""
    chosen = os.environ.get("RELAY_DATA_DIR", "")
    return Path(chosen).expanduser().absolute() if chosen else _xdg("XDG_DATA_HOME", ".local/share") / "relay"


def config_file() -> Path:
    """`$RELAY_CONFIG`, else the XDG config directory + `/relay/config.toml`."""
    chosen = os.environ.get("RELAY_CONFIG", "")
    return Path(chosen).expanduser().absolute() if chosen else _xdg("XDG_CONFIG_HOME", ".config") / "relay/config.toml"


def log_file() -> Path:
    """relay's own log: the XDG state directory + `/relay/relay.log`."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "relay/relay.log"


def demo_home() -> Path:
    """Where demos have their throw-away directories: the XDG state directory + `/relay/demo`."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "relay/demo"


@dataclass(frozen=True, slots=True)
class DataDir:
    """The layout of one data dir; every path is below `root`, which is absolute."""

    root: Path

    @property
    def store(self) -> Path:
        """The TinyDB file."""
        return self.root / "store.json"

    @property
    def locks(self) -> Path:
        """One lock file for each project or session being worked on."""
        return self.root / "locks"

    @property
    def tmp(self) -> Path:
        """Scratch space on the same file system as everything else."""
        return self.root / "tmp"

    @property
    def cache(self) -> Path:
        """What can be thrown away at any time."""
        return self.root / "cache"

    @property
    def trash(self) -> Path:
        """Removed clones, one directory each, until their retention ends."""
        return self.root / "trash"

    @property
    def not_isolated(self) -> Path:
        """Is there once somebody agreed to run sessions without a sandbox."""
        return self.root / "not-isolated"

    @property
    def processes(self) -> Path:
        """Sessions that run as processes: what runs, their logs and homes, one directory each."""
        return self.root / "processes"

    @property
    def saved_logs(self) -> Path:
        """Logs that somebody saved from the screen."""
        return self.root / "logs"

    def project(self, project_id: str) -> Path:
        """A project's directory."""
        return self.root / "projects" / project_id

    def base(self, project_id: str) -> Path:
        """A project's bare base clone."""
        return self.project(project_id) / "base.git"

    def session(self, project_id: str, session_id: str) -> Path:
        """A session's clone."""
        return self.project(project_id) / "sessions" / session_id

    def eye(self, project_id: str, session_id: str) -> Path:
        """The host-only git directory through which the host looks at a session's clone; never mounted."""
        return self.project(project_id) / "eyes" / f"{session_id}.git"

    def prepare(self) -> None:
        """Make the data dir, readable by its owner alone. Raises FileSystemError."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.root.stat().st_mode & 0o777 != 0o700:
                self.root.chmod(0o700)  # only then: the file system may be read-only
            for directory in (self.locks, self.tmp, self.cache, self.trash, self.processes, self.root / "projects"):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise FileSystemError(
                f"The data directory {self.root} cannot be used",
                f"{error.strerror}: {error.filename}",
                "Choose another with --data-dir or $RELAY_DATA_DIR.",
            ) from error
