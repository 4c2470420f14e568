"""What a hostile command can read, write and reach from its sandbox: nothing but what is its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import missing
from processes import ORDINARY, as_ordinary, ordinary_place, python_for_all
from waiting import wait_until

HOSTILE = Path(__file__).with_name("hostile.py")
_RUNNER = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.paths import DataDir
from relay_tui.services.ports import ContainerSpec
from relay_tui.services.watch import Watch
place = DataDir(Path(sys.argv[2]))
place.prepare()
runtime = ProcessRuntime(place)
isolated = sys.argv[3] == "isolated"
if isolated and not runtime.isolation().works:
    sys.exit(runtime.isolation().words)

def make(session, command):
    clone = place.session("p1", session)
    clone.mkdir(parents=True, exist_ok=True)
    labels = {"relay.session": session, "relay.project": "p1"}
    return runtime.create(ContainerSpec(name=session, image="", command=command, tty=True, workspace=clone,
        labels=labels, network="none", runtime="process", isolated=isolated), Watch())

clone = place.session("p1", "s1")
sibling = make("s2", ())
from relay_tui.errors import RelayError
try:
    runtime.start(sibling)
except RelayError as error:
    sys.exit(f"{error.title}: {error.detail}")
hostile = make("s1", (os.path.realpath(sys.executable), str(clone / "hostile.py"), str(clone / "world.json")))
runtime.start(hostile)
seen = runtime.wait(hostile, 120)
words = b"".join(chunk.data for chunk in runtime.logs(hostile, follow=False))
home = place.processes / "s1/home/mark"
print(json.dumps({"code": seen.exit_code, "said": words.decode(), "home": home.exists()}))
runtime.remove(sibling)
runtime.remove(hostile)
"""


class Machine:
    """A user with secrets, a data dir with two sessions, and things that must stay as they are."""

    def __init__(self, root: Path, python: str, *, ordinary: bool) -> None:
        self.root = root
        self.python = python
        self.ordinary = ordinary
        self.token = secrets.token_hex(16)
        self.data = root / "share" / "data"
        self.clone = self.data / "projects/p1/sessions/s1"
        self.home = root / "home"
        self._stack = ExitStack()

    def plant(self) -> None:
        """Put everything in its place."""
        data, home = self.data, self.home
        names = (".ssh/id_ed25519", ".aws/credentials", ".config/gh/hosts.yml", ".netrc", ".gnupg/key")
        self.secrets = [home / name for name in (*names, ".docker/config.json", ".kube/config", ".mozilla/cookies")]
        self.secrets.append(self.root / "aws-elsewhere")
        base, store = data / "projects/p1/base.git/HEAD", data / "store.json"
        sibling = data / "projects/p1/sessions/s2/file"
        self.canary = self.root / "canary"
        for path in (*self.secrets, base, store, sibling, self.canary):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"token {self.token}\n")
        self.clone.mkdir(parents=True)
        (self.clone / "hostile.py").write_text(HOSTILE.read_text())
        unix, tcp = (self._stack.enter_context(socket.socket(family)) for family in (socket.AF_UNIX, socket.AF_INET))
        unix.bind(str(self.root / "agent.sock"))
        unix.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        kept = ("/etc/relay-hostile", "/usr/bin/relay-hostile", "/sys/fs/cgroup/relay-hostile", "/opt/relay-hostile")
        targets = [self.canary, home / ".bashrc", home / ".ssh/authorized_keys", sibling, base, store]
        targets += [self.root / "new", Path("/proc/sys/kernel/core_pattern"), *map(Path, kept)]
        targets += [self.root / "source/relay_tui/adapters/process/launch.py", Path("/dev/shm/../sda")]
        world = {
            "token": self.token,
            "root": str(self.root),
            "clone": str(self.clone),
            "home": str(home),
            "data": str(data),
            "processes": str(data / "processes"),
            "secrets": [str(path) for path in self.secrets],
            "sibling": str(sibling),
            "base": str(base),
            "store": str(store),
            "canary": str(self.canary),
            "targets": [str(path) for path in targets],
            "sockets": [str(self.root / "agent.sock"), "/var/run/docker.sock", "/run/dbus/system_bus_socket"],
            "port": tcp.getsockname()[1],
            "pid": os.getpid(),
        }
        self.world = world
        (self.clone / "world.json").touch()
        if self.ordinary and not os.geteuid():
            subprocess.run(("chown", "-R", f"{ORDINARY}:{ORDINARY}", self.root), check=True)

    def outside(self) -> dict[str, bytes]:
        """Every file but what is the session's own."""
        own = (self.clone, self.data / "processes", self.data / "locks", self.data / "cache")
        files = (
            p
            for p in self.root.rglob("*")
            if p.is_file() and not any(p.is_relative_to(o) for o in own) and p.suffix != ".pyc"
        )
        return {str(path): path.read_bytes() for path in files}

    def attack(self, kind: str) -> dict[str, str]:
        """Run the hostile command; answer what it got. Without a sandbox, only what harms nothing but our own files."""
        harmless = [] if kind == "isolated" else [*self.harmless()]
        (self.clone / "world.json").write_text(json.dumps({**self.world, "harmless": harmless}))
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "SECRET_TOKEN": self.token}
        env["AWS_SHARED_CREDENTIALS_FILE"] = str(self.root / "aws-elsewhere")
        before = as_ordinary() if self.ordinary else ()
        command = (*before, self.python, "-B", "-c", _RUNNER, str(self.root / "source"), str(self.data), kind)
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["code"], said["home"]) == (0, True), said
        got: dict[str, str] = json.loads((self.clone / "got.json").read_text())
        return got

    def harmless(self) -> set[str]:
        """Attempts that would succeed without a sandbox, and break nothing of the machine's."""
        attempts = {f"read {path}" for path in self.secrets} | {"read the store", "list the home"}
        attempts |= {"read another session's clone", "reach a service of the machine"}
        attempts |= {f"write {self.canary}", "write through a symlink in its clone"}
        return attempts | {f"connect to {self.root / 'agent.sock'}", "find the token in any process"}

    def close(self) -> None:
        """Nobody listens any more."""
        self._stack.close()


@pytest.fixture(params=["as ourselves", "as an ordinary user"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Everything planted, for ourselves (root, maybe) or for an ordinary user."""
    ordinary = request.param == "as an ordinary user"
    python = python_for_all() if ordinary else sys.executable
    if not python:
        missing("no Python that every user may run")
    with ordinary_place() as root:
        machine = Machine(root, python, ordinary=ordinary)
        machine.plant()
        yield machine
        machine.close()


def test_nothing_that_a_hostile_command_tries_succeeds(machine: Machine) -> None:
    before = machine.outside()
    assert len(before) > 50
    got = machine.attack("isolated")
    assert len(got) > 40
    # its own /tmp takes what is written below /tmp: that the machine's has none of it is seen below
    own_tmp = {name for name in got if name.startswith("write /tmp/")} | {"write through a symlink in its clone"}
    assert {name: what for name, what in got.items() if what and name not in own_tmp} == {}
    assert machine.outside() == before


def test_without_a_sandbox_much_of_it_does(machine: Machine) -> None:
    """The attempts are real ones: this is what makes them fail above."""
    got = machine.attack("bare")
    assert {name for name, what in got.items() if what} == machine.harmless()
    wait_until(lambda: b"hostile" in machine.canary.read_bytes())
