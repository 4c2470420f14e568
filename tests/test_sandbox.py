"""Sandbox of a process session: a hostile command can read, write and reach only its own files."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import missing
from processes import ORDINARY, as_ordinary, ordinary_place, python_for_all
from waiting import wait_until

from relay_tui import sandbox_policy
from relay_tui.adapters.linux import landlock
from relay_tui.adapters.process import hidden_paths, sandbox
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.config import load
from relay_tui.domain.errors import ConfigError, ConflictError
from relay_tui.paths import DataDir
from relay_tui.ports import ContainerSpec
from relay_tui.ports.task import TaskContext
from relay_tui.sandbox_policy import exposes_hidden
from relay_tui.services.sessions.container_spec import relaxed_hardening, spec_notes

TOOLS = (".cargo/bin/cargo", ".nvm/bin/tool", "tools/bin/tool")
ABSTRACT = {"connect to an abstract socket", "send to an abstract socket"}
HOSTILE = Path(__file__).with_name("hostile.py")
_RUNNER = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from relay_tui.adapters.process.runtime import ProcessRuntime
from relay_tui.paths import DataDir
from relay_tui.ports import ContainerSpec
from relay_tui.ports.task import TaskContext
place = DataDir(Path(sys.argv[2]))
place.prepare()
runtime = ProcessRuntime(place)
isolated, readable = sys.argv[3] == "isolated", tuple(sys.argv[5:])
import ctypes
numbers = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(os.uname().machine)
kept = 0
if numbers:
    libc = ctypes.CDLL(None)
    libc.syscall(numbers[1], 1, None)
    kept = libc.syscall(numbers[0], b"user", b"relay-hostile", b"secret", 6, -3)
if isolated and not runtime.isolation().works:
    sys.exit(runtime.isolation().words)

def make(session, command):
    clone = place.session("p1", session)
    clone.mkdir(parents=True, exist_ok=True)
    labels = {"relay.session": session, "relay.project": "p1"}
    return runtime.create(ContainerSpec(name=session, image="", command=command, tty=True, workspace=clone,
        labels=labels, network=sys.argv[4], runtime="process", isolated=isolated, readable=readable), TaskContext())

clone = place.session("p1", "s1")
sibling = make("s2", ())
from relay_tui.domain.errors import RelayError
try:
    runtime.start(sibling)
except RelayError as error:
    sys.exit(f"{error.title}: {error.detail}")
told = clone / "world.json"
told.write_text(json.dumps({**json.loads(told.read_text()), "key": kept}))
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
        self.engine = root / "agent.sock"
        self.outer: list[str] = []
        """What lies outside of the places that are hidden as a whole, and is root's alone to read."""
        self.services: list[str] = [str(root / "agent.sock")]
        self._stack = ExitStack()

    def plant(self) -> None:
        """Put everything in its place."""
        data, home = self.data, self.home
        names = (".ssh/id_ed25519", ".aws/credentials", ".config/gh/hosts.yml", ".netrc", ".gnupg/key")
        self.secrets = [home / name for name in (*names, ".docker/config.json", ".kube/config", ".mozilla/cookies")]
        self.secrets.append(self.root / "aws-elsewhere")
        if not os.geteuid():
            self._plant_as_root()
        base, store = data / "projects/p1/base.git/HEAD", data / "store.json"
        sibling = data / "projects/p1/sessions/s2/file"
        tool = home / ".nvm/bin/tool"
        tool.parent.mkdir(parents=True)
        tool.write_text("#!/bin/sh\necho it runs\n")
        tool.chmod(0o755)
        self.secrets.append(home / ".cargo/credentials.toml")
        (home / ".cargo/bin").mkdir(parents=True)
        (home / ".cargo/bin/cargo").symlink_to(tool)
        (home / "tools").symlink_to(home / ".nvm")
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
        stream, datagrams = (socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))
        abstract = f"relay-hostile-{self.token}"
        self._stack.enter_context(stream).bind(f"\0{abstract}")
        self._stack.enter_context(datagrams).bind(f"\0{abstract}-datagrams")
        stream.listen()
        kept = ("/etc/relay-hostile", "/usr/bin/relay-hostile", "/sys/fs/cgroup/relay-hostile", "/opt/relay-hostile")
        targets = [self.canary, home / ".bashrc", home / ".ssh/authorized_keys", sibling, base, store]
        targets += [tool, home / ".cargo/new", home / "tools/new"]
        targets += [self.root / "new", Path("/proc/sys/kernel/core_pattern"), *map(Path, kept)]
        targets += [self.root / "source/relay_tui/adapters/process/supervisor/launcher.py", Path("/dev/shm/../sda")]
        world = {
            "token": self.token,
            "root": str(self.root),
            "clone": str(self.clone),
            "home": str(home),
            "data": str(data),
            "processes": str(data / "processes"),
            "secrets": [*map(str, self.secrets), *self.outer],
            "abstract": abstract,
            "key": 0,
            "tools": [str(home / name) for name in TOOLS],
            "sibling": str(sibling),
            "base": str(base),
            "store": str(store),
            "canary": str(self.canary),
            "targets": [str(path) for path in targets],
            "sockets": [*self.services, "/var/run/docker.sock", "/run/dbus/system_bus_socket"],
            "port": tcp.getsockname()[1],
            "pid": os.getpid(),
        }
        self.world = world
        (self.clone / "world.json").touch()
        if self.ordinary and not os.geteuid():
            subprocess.run(("chown", "-R", f"{ORDINARY}:{ORDINARY}", self.root), check=True)

    def _plant_as_root(self) -> None:
        """Secrets where only root may read, sockets where everybody may connect: both where nothing is hidden whole."""
        for place, mode, name in (("/etc", 0o755, "key"), ("/var/lib", 0o700, "open"), ("/var/cache", 0o755, "key")):
            directory = self._outer(place, mode)
            secret = directory / name
            secret.write_text(f"token {self.token}\n")
            secret.chmod(0o644 if name == "open" else 0o600)
            self.outer.append(str(secret))
        engines, mixed, contexts = (self._outer("/srv", 0o755) for _ in range(3))
        self.engine = engines / "engine.sock"
        (mixed / "notes").touch()
        self._listen(self.engine)
        self._listen(mixed / "plain.sock")
        self._listen(contexts / "context.sock")
        meta = self.home / ".docker/contexts/meta/x/meta.json"
        meta.parent.mkdir(parents=True)
        meta.write_text(json.dumps({"Endpoints": {"docker": {"Host": f"unix://{contexts}/context.sock"}}}))
        if not self.ordinary:  # only root can read another process's working directory, to which a relative name refers
            self._stack.callback(os.chdir, Path.cwd())
            os.chdir(mixed)
            self._listen(Path("nearby.sock"))
            self.services.append(str(mixed / "nearby.sock"))

    def _outer(self, place: str, mode: int) -> Path:
        directory = Path(tempfile.mkdtemp(prefix="relay-hostile-", dir=place))
        self._stack.callback(shutil.rmtree, directory)
        directory.chmod(mode)
        return directory

    def _listen(self, path: Path) -> None:
        line = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        line.bind(str(path))
        path.chmod(0o666)
        line.listen()
        if path.is_absolute():
            self.services.append(str(path))

    def outside(self) -> dict[str, bytes]:
        """Every file but what is the session's own."""
        own = (self.clone, self.data / "processes", self.data / "locks", self.data / "cache")
        files = (
            p
            for p in self.root.rglob("*")
            if p.is_file() and not any(p.is_relative_to(o) for o in own) and p.suffix != ".pyc"
        )
        return {str(path): path.read_bytes() for path in files}

    def attack(self, kind: str, *readable: str, network: str = "none") -> dict[str, str]:
        """Run the hostile command; answer what it got. Without a sandbox, only what harms nothing but our own files."""
        harmless = [] if kind == "isolated" else [*self.harmless()]
        (self.clone / "world.json").write_text(json.dumps({**self.world, "harmless": harmless}))
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "SECRET_TOKEN": self.token}
        env["AWS_SHARED_CREDENTIALS_FILE"] = str(self.root / "aws-elsewhere")
        before = as_ordinary() if self.ordinary else ()
        env["DOCKER_HOST"] = f"unix://{self.engine}"
        command = (*before, self.python, "-B", "-c", _RUNNER, str(self.root / "source"), str(self.data), kind)
        command = (*command, network, *readable)
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
        attempts |= {f"connect to {path}" for path in self.services} | ABSTRACT
        attempts |= set() if self.ordinary else {f"read {path}" for path in self.outer}
        return attempts | {"find the token in any process"}

    def close(self) -> None:
        """Stop listening."""
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


def test_with_the_network_of_the_machine_it_reaches_that_alone(machine: Machine) -> None:
    got = machine.attack("isolated", network="bridge")
    own_tmp = {name for name in got if name.startswith("write /tmp/")} | {"write through a symlink in its clone"}
    known = set() if landlock.abi() >= 6 else ABSTRACT  # the doctor reports kernels that cannot restrict these
    reached = {name for name, what in got.items() if what} - own_tmp
    assert reached == {"reach a service of the machine"} | known


def test_what_a_profile_makes_readable_is_read_and_opens_nothing_else(machine: Machine) -> None:
    before = machine.outside()
    got = machine.attack("isolated", "~/.cargo", "~/tools", "~/not-there")
    tools = {f"run {machine.home / name}" for name in TOOLS}
    assert {name: what for name, what in got.items() if name in tools} == dict.fromkeys(tools, r"b'it runs\n'")
    own_tmp = {name for name in got if name.startswith("write /tmp/")} | {"write through a symlink in its clone"}
    own_tmp -= {name for name in got if any(part in name for part in (".cargo", ".nvm", "/tools/"))}
    assert {name: what for name, what in got.items() if what and name not in own_tmp | tools} == {}
    assert machine.outside() == before


def test_without_a_sandbox_much_of_it_does(machine: Machine) -> None:
    """The attempts are real ones: this is what makes them fail above."""
    got = machine.attack("bare")
    assert {name for name, what in got.items() if what} == machine.harmless()
    wait_until(lambda: b"hostile" in machine.canary.read_bytes())


@pytest.mark.parametrize("home", ["/", "/usr", "/sbin", "/dev"])
def test_a_home_that_nothing_runs_without_is_not_hidden(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As accounts of services have it, and users without an entry: their secrets are hidden one by one."""
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(sandbox_policy, "own_home", lambda: Path(home))
    monkeypatch.setattr(sandbox_policy, "_SECRETS_OF_HOME", (".ssh", "bin", "null"))
    found = hidden_paths.find_hidden_paths(tmp_path / "data", ())
    assert not {Path("/"), Path("/usr"), Path("/usr/sbin"), Path("/dev")} & {*found.directories, *found.files}
    monkeypatch.setattr(sandbox_policy, "_SECRETS_OF_HOME", (".ssh",))
    proof = sandbox.probe(tmp_path / "data")
    assert proof.works or proof.words == "bubblewrap is not installed", proof


def test_a_sandbox_that_cannot_close_what_sessions_have_closed_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sandbox.probe(tmp_path).works:
        missing(sandbox.probe(tmp_path).words)
    monkeypatch.setattr(hidden_paths, "find_hidden_paths", lambda *_: hidden_paths.HiddenPaths((Path("/usr"),), ()))
    assert not sandbox.probe(tmp_path).works


def test_what_root_alone_may_read_is_found(tmp_path: Path) -> None:
    made = {"open/file": 0o644, "open/key": 0o640, "open/deep/er/key": 0o600, "open/deep/er/file": 0o604}
    for name, mode in (made | {"shut/file": 0o644, "passage/file": 0o644}).items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(mode)
    (tmp_path / "root/link").symlink_to("open/key")
    (tmp_path / "root/shut").chmod(0o750)
    (tmp_path / "root/passage").chmod(0o711)
    found = {str(path.relative_to(tmp_path / "root")) for path in hidden_paths.private(str(tmp_path / "root"), 99)}
    assert found == {"open/key", "open/deep/er/key", "shut", "passage"}
    found = {str(path.relative_to(tmp_path / "root")) for path in hidden_paths.private(str(tmp_path / "root"), 3)}
    assert found == {"open/key", "shut", "passage"}  # not files that lie deep: there may be many


def test_sockets_are_found_as_the_kernel_tells_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "unix"
    names = ("/srv/a b.sock", "@abstract", "", "/proc/self/fd/7/sock", "/srv/c")
    rows = [f"0000000000000000: 00000002 00000000 00010000 0001 01 {n} {name}" for n, name in enumerate(names)]
    table.write_text("\n".join(["Num RefCount Protocol Flags Type St Inode Path", *rows, ""]))
    monkeypatch.setattr(hidden_paths, "_UNIX_SOCKETS", table)
    assert [*hidden_paths.listening()] == [Path("/srv/a b.sock"), Path("/srv/c")]
    monkeypatch.setattr(hidden_paths, "_UNIX_SOCKETS", tmp_path / "none")
    assert [*hidden_paths.listening()] == []


# fmt: off
REFUSED = (
    "~", "/", "/home", "~/..", "~/.config", "~/.config/gh", "~/.config/gh/hosts.yml", "~/.ssh", "~/.ssh/config",
    "~/.aws", "~/.netrc", "~/.gnupg", "~/.local", "~/.local/share", "~/.local/share/relay/projects", "/run",
    "/run/user/1000", "/var/run/docker.sock", "/proc", "/proc/1/root", "/sys", "/dev/shm", "/tmp", "/mnt",
    "/var/lib/docker", "/var/lib", "/etc", "/etc/shadow", "~/link-to-ssh", "~/.config/relay", "~/nested/../.ssh",
    "~/.local/state/relay", "~/loop",
)
# fmt: on


@pytest.mark.parametrize("path", REFUSED)
def test_what_would_open_what_is_hidden_is_no_readable(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path, monkeypatch)
    assert exposes_hidden(path)
    if path != "~":
        with pytest.raises(ConfigError, match=r"profiles\.x\.readable would expose"):
            load(_config(home, path))


@pytest.mark.parametrize(
    "path", ["~/.cargo", "~/.nvm", "~/.local/bin", "~/.local/share/uv", "/opt/tools", "/mnt/tools"]
)
def test_what_lies_beside_it_is(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = _home(tmp_path, monkeypatch)
    assert exposes_hidden(path) == ""
    found = load(_config(home, path)).find_profile("x")
    assert found.readable == (path,)
    assert relaxed_hardening(found, "process") == relaxed_hardening(found) == [f"may read {path}"]
    assert relaxed_hardening(found, "docker") == []
    (note,) = spec_notes("docker", True, found)
    assert note == f"A container cannot use a setting of the profile: readable {path}."
    assert exposes_hidden(path, Path(path.replace("~", str(home))) / "data")  # the data dir, somewhere in it


def _home(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = root / "user"
    (home / ".ssh").mkdir(parents=True)
    (home / "link-to-ssh").symlink_to(home / ".ssh")
    (home / "loop").symlink_to(home / "loop")
    for variable in ("RELAY_DATA_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "RELAY_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


def _config(home: Path, path: str) -> Path:
    config = home / "config.toml"
    config.write_text(f"[profiles.x]\nreadable = [{json.dumps(path)}]\n")
    return config


@pytest.mark.parametrize("value", ['"~/.cargo"', '["tools"]', "[1]", '["~root/x"]', '["~/a\\u0007"]'])
def test_a_readable_that_is_no_list_of_paths_is_refused(value: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[profiles.x]\nreadable = {value}\n")
    with pytest.raises(ConfigError, match="must be a list of paths"):
        load(config)


def test_a_path_that_became_a_link_to_a_secret_is_refused_when_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _home(tmp_path, monkeypatch)
    place = DataDir(tmp_path / "data")
    place.prepare()
    runtime = ProcessRuntime(place)
    if not runtime.isolation().works:
        missing(runtime.isolation().words)
    clone = place.session("p1", "s1")
    clone.mkdir(parents=True)
    labels = {"relay.session": "s1", "relay.project": "p1"}
    spec = ContainerSpec(name="s1", image="", workspace=clone, labels=labels, runtime="process", readable=("~/tools",))
    process_id = runtime.create(spec, TaskContext())
    for secret in (home / ".ssh", place.root):
        (home / "tools").unlink(missing_ok=True)
        (home / "tools").symlink_to(secret)
        with pytest.raises(ConflictError) as caught:
            runtime.start(process_id)
        assert str(secret) in caught.value.title
    assert runtime.inspect(process_id).status == "created"
    runtime.remove(process_id)
