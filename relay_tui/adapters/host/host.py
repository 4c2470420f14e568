"""The Machine port: this host, its programs, its engine, its network, one data dir on it."""

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
    """Nothing is cached, so that fixes in the meantime are visible."""

    def __init__(self, place: DataDir) -> None:
        self._place = place

    def find(self, program: str) -> str:
        """The path of a program, '' when it is not there."""
        return shutil.which(program) or ""

    def run(self, command: Sequence[str], task: TaskContext) -> CommandResult:
        """Run a command to its end, without a terminal."""
        return host_command.run_command(command, task)

    def isolation(self, task: TaskContext) -> Isolation:
        """Run something in a sandbox as sessions of this data dir get it."""
        from relay_tui.adapters.process import sandbox

        found = sandbox.probe(self._place.root, lambda command: host_command.run_command(command, task))
        return Isolation(found.works, found.words, found.hint, gap=found.gap)

    def variable(self, name: str) -> str:
        """A variable of the environment, '' when it is not set."""
        return os.environ.get(name, "")

    def engine(self, patience: float) -> EngineFacts:
        """Ask the engine about itself."""
        from relay_tui.adapters.docker.info import describe

        return describe(patience)

    def remote(self, url: str, task: TaskContext) -> None:
        """Ask a project's remote for its HEAD."""

        check_remote(url, task)

    def filesystem_info(self, path: Path) -> FilesystemInfo:
        """Return information about a directory's file system."""
        return filesystem_info.filesystem_info(path)

    def try_writing(self, directory: Path) -> None:
        """Write, sync, lock and remove a small file there."""
        filesystem_info.check_writable(directory)

    def held(self) -> list[HeldLock]:
        """The locks of the data dir that somebody holds, the longest held first."""
        found = []
        for path in self._place.locks.glob("*.lock"):
            holder = file_locks.read_holder(path)
            if holder is not None:
                try:
                    seconds = max(0.0, time.time() - path.stat().st_mtime)
                except FileNotFoundError:
                    continue
                words = f"{holder.purpose}, pid {holder.pid}"
                found.append(HeldLock(path.stem, words, holder.pid, seconds, _stopped(holder.pid)))
        return sorted(found, key=lambda held: -held.seconds)


def _stopped(pid: int) -> bool:
    """Return whether a process is stopped, for example by a debugger or ctrl+z."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat[stat.rindex(b")") + 2 :][:1] in b"Tt"


def check_remote(url: str, task: TaskContext) -> None:
    """Ask for its HEAD. Raises GitError in git's own words, InvalidInputError, CancelledError."""
    source = parse_source(url)
    over_http = source.url.startswith(("http://", "https://"))
    extra = {} if over_http or is_local(source.url) else process.ssh_command()
    env = process.environment("https:http:ssh:git:file", extra)
    with provide_credentials(source) as loan:
        command = ("git", *loan.options, "-c", "core.hooksPath=/dev/null", "ls-remote", "--", source.url, "HEAD")
        said = host_command.run_command(command, task, env=env, pass_fds=loan.descriptors)
    if said.code:
        outcome = process.Outcome(said.code, b"", tuple(said.err.splitlines()))
        raise git_error(outcome, "The remote cannot be read", spellings(source))
