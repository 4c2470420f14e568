"""Host port for the local machine: its programs, engine, network, and one data directory."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.filesystem import file_locks
from relay_tui.adapters.git import process
from relay_tui.adapters.git.clone.source import is_local, parse_source
from relay_tui.adapters.git.credentials import provide_credentials, spellings
from relay_tui.adapters.git.errors import git_error
from relay_tui.adapters.host import command as host_command
from relay_tui.adapters.host import filesystem_info
from relay_tui.paths import DataDir
from relay_tui.ports.host import CommandResult, EngineFacts, FilesystemInfo, HeldLock
from relay_tui.ports.runtime import Isolation
from relay_tui.ports.task import TaskContext


class LocalHost:
    """Local machine. Nothing is cached, so that the user's fixes take effect at the next check."""

    def __init__(self, data_dir: DataDir) -> None:
        self._data_dir = data_dir

    def find(self, program: str) -> str:
        """Return the path of a program; '' if it is not installed."""
        return shutil.which(program) or ""

    def run(self, command: Sequence[str], task: TaskContext) -> CommandResult:
        """Run a command to its end, without a terminal."""
        return host_command.run_command(command, task)

    def isolation(self, task: TaskContext) -> Isolation:
        """Run a test program in a sandbox like that of this data directory's sessions."""
        from relay_tui.adapters.process import sandbox

        found = sandbox.probe(self._data_dir.root, lambda command: host_command.run_command(command, task))
        return Isolation(found.works, found.words, found.hint, gap=found.gap)

    def variable(self, name: str) -> str:
        """Return an environment variable; '' if it is not set."""
        return os.environ.get(name, "")

    def engine(self, patience: float) -> EngineFacts:
        """Query the engine's properties."""
        from relay_tui.adapters.docker.info import describe

        return describe(patience)

    def remote(self, url: str, task: TaskContext) -> None:
        """Query the HEAD of a project's remote."""
        check_remote(url, task)

    def filesystem_info(self, path: Path) -> FilesystemInfo:
        """Return information about a directory's file system."""
        return filesystem_info.filesystem_info(path)

    def try_writing(self, directory: Path) -> None:
        """Write, sync, lock and remove a small file there."""
        filesystem_info.check_writable(directory)

    def held(self) -> list[HeldLock]:
        """Return the locks of the data directory that are held, the longest held first."""
        found = []
        for path in self._data_dir.locks.glob("*.lock"):
            holder = file_locks.read_holder(path)
            if holder is not None:
                try:
                    seconds = max(0.0, time.time() - path.stat().st_mtime)
                except FileNotFoundError:
                    continue
                description = f"{holder.purpose}, pid {holder.pid}"
                found.append(HeldLock(path.stem, description, holder.pid, seconds, _is_stopped(holder.pid)))
        return sorted(found, key=lambda held: -held.seconds)


def _is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, for example by a debugger or ctrl+z."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :][:1] in b"Tt"


def check_remote(url: str, task: TaskContext) -> None:
    """Query the HEAD of a remote. Raises GitError with git's message, InvalidInputError, CancelledError."""
    source = parse_source(url)
    over_http = source.url.startswith(("http://", "https://"))
    extra = {} if over_http or is_local(source.url) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with provide_credentials(source) as credentials:
        command = ("git", *credentials.options, "-c", "core.hooksPath=/dev/null", "ls-remote", "--", source.url, "HEAD")
        result = host_command.run_command(command, task, env=env, pass_fds=credentials.descriptors)
    if result.code:
        outcome = process.Outcome(result.code, b"", tuple(result.err.splitlines()))
        raise git_error(outcome, "Cannot read the remote", spellings(source))
