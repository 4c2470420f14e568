"""A machine on which all is well, until a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from relay_tui.errors import NotFoundError, RelayError
from relay_tui.services.ports.machine import EngineFacts, Ground, Held, Said
from relay_tui.services.ports.runtime import Isolation
from relay_tui.services.watch import Watch

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
GROUND = Ground(mode=0o700, mine=True, total=100 << 30, free=50 << 30, kind="ext4", network=False)
SAID: dict[object, Said] = {
    ("git", "--version"): Said(0, "git version 2.39.5\n", ""),
    ("git", "config", "--global", "user.name"): Said(0, "Ada\n", ""),
    ("git", "config", "--global", "user.email"): Said(0, "ada@host.example\n", ""),
    ("git-lfs", "version"): Said(0, "git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)\n", ""),
    ("tmux", "-V"): Said(0, "tmux 3.3a\n", ""),
    ("ssh-add", "-l"): Said(0, "256 SHA256:abc me@home (ED25519)\n", ""),
}


@dataclass
class FakeMachine:
    """The Machine port. A value that is an error is raised."""

    programs: set[str] = field(default_factory=lambda: {"git", "git-lfs", "tmux", "ssh-add", "bwrap"})
    said: dict[object, Said] = field(default_factory=lambda: dict(SAID))
    variables: dict[str, str] = field(default_factory=lambda: {"SSH_AUTH_SOCK": "/fake/agent", "LANG": "C.UTF-8"})
    facts: EngineFacts | RelayError = ENGINE
    lies: Ground | RelayError = GROUND
    isolated: Isolation = field(default_factory=lambda: Isolation(True, "bubblewrap 0.8.0"))
    writable: RelayError | None = None
    locks: list[Held] = field(default_factory=list)
    remotes: dict[str, RelayError] = field(default_factory=dict)

    def find(self, program: str) -> str:
        """Below /usr/bin, if it is there."""
        return f"/usr/bin/{program}" if program in self.programs else ""

    def run(self, command: Sequence[str], watch: Watch) -> Said:
        """What the command is scripted to say, by its words or its first word."""
        watch.check()
        return self.said.get(tuple(command)) or self.said[command[0]]

    def isolation(self, watch: Watch) -> Isolation:
        """Holds, unless it is scripted not to."""
        watch.check()
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

    def remote(self, url: str, watch: Watch) -> None:
        """Answers, unless it is scripted not to."""
        watch.check()
        if url in self.remotes:
            raise self.remotes[url]

    def ground(self, path: Path) -> Ground:
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

    def held(self) -> list[Held]:
        """The scripted locks."""
        return self.locks
