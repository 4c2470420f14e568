"""Fake machine without any problems, until a test sets one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from relay_tui.domain.errors import NotFoundError, RelayError
from relay_tui.ports.host import CommandResult, EngineFacts, FilesystemInfo, HeldLock
from relay_tui.ports.runtime import Isolation
from relay_tui.ports.task import TaskContext

ENGINE = EngineFacts(
    product="Fake",
    version="1.0",
    address="unix:///fake.sock",
    origin="the default",
    local=True,
    rootless=False,
    cgroups="v2, systemd",
    limits=MappingProxyType({"memory": True, "cpus": True, "processes": True}),
)
GROUND = FilesystemInfo(mode=0o700, mine=True, total=100 << 30, free=50 << 30, kind="ext4", network=False)
SAID: dict[object, CommandResult] = {
    ("git", "--version"): CommandResult(0, "git version 2.39.5\n", ""),
    ("git", "config", "--global", "user.name"): CommandResult(0, "Ada\n", ""),
    ("git", "config", "--global", "user.email"): CommandResult(0, "ada@host.example\n", ""),
    ("git-lfs", "version"): CommandResult(0, "git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)\n", ""),
    ("tmux", "-V"): CommandResult(0, "tmux 3.3a\n", ""),
    ("ssh-add", "-l"): CommandResult(0, "256 SHA256:abc me@home (ED25519)\n", ""),
}


@dataclass
class FakeMachine:
    """The Machine port. A value that is an error is raised."""

    programs: set[str] = field(default_factory=lambda: {"git", "git-lfs", "tmux", "ssh-add", "bwrap"})
    said: dict[object, CommandResult] = field(default_factory=lambda: dict(SAID))
    variables: dict[str, str] = field(default_factory=lambda: {"SSH_AUTH_SOCK": "/fake/agent", "LANG": "C.UTF-8"})
    facts: EngineFacts | RelayError = ENGINE
    lies: FilesystemInfo | RelayError = GROUND
    isolated: Isolation = field(default_factory=lambda: Isolation(True, "bubblewrap 0.8.0"))
    writable: RelayError | None = None
    locks: list[HeldLock] = field(default_factory=list)
    remotes: dict[str, RelayError] = field(default_factory=dict)

    def find(self, program: str) -> str:
        """Below /usr/bin, if it is there."""
        return f"/usr/bin/{program}" if program in self.programs else ""

    def run(self, command: Sequence[str], task: TaskContext) -> CommandResult:
        """Return the scripted result for the whole command or for its first word."""
        task.raise_if_cancelled()
        return self.said.get(tuple(command)) or self.said[command[0]]

    def isolation(self, task: TaskContext) -> Isolation:
        """Holds, unless it is scripted not to."""
        task.raise_if_cancelled()
        return self.isolated

    def variable(self, name: str) -> str:
        """From the fake environment."""
        return self.variables.get(name, "")

    def engine(self, patience: float) -> EngineFacts:
        """The engine, or why it does not answer."""
        del patience
        if isinstance(self.facts, RelayError):
            raise self.facts
        return self.facts

    def remote(self, url: str, task: TaskContext) -> None:
        """Answers, unless it is scripted not to."""
        task.raise_if_cancelled()
        if url in self.remotes:
            raise self.remotes[url]

    def filesystem_info(self, path: Path) -> FilesystemInfo:
        """The same everywhere."""
        if isinstance(self.lies, NotFoundError) and path.is_dir():
            return GROUND
        if isinstance(self.lies, RelayError):
            raise self.lies
        return self.lies

    def try_writing(self, directory: Path) -> None:
        """Fails if it is scripted to."""
        del directory
        if self.writable is not None:
            raise self.writable

    def held(self) -> list[HeldLock]:
        """The scripted locks."""
        return self.locks
