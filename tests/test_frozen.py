"""Outward facts that other revisions, scripts and configurations depend on, as literal values.

A change in here breaks a user's script, a running session or a data directory. The facts are read through the
command line, files and sockets; the few that no command prints are collected from the package by their values.
"""

from __future__ import annotations

import enum
import fcntl
import importlib
import json
import os
import pkgutil
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from git_servers import make_repository, run_git
from installed_relay import IMAGE, PROGRAM, InstalledRelay, clear_engine
from waiting import wait_until

import relay_tui


def _fields(words: str) -> list[str]:
    """Names, in their order."""
    return words.split()


PROJECT = _fields(
    "id name source default_branch default_image default_profile default_runtime clone_state clone_error desired "
    "created_at updated_at deleted_at"
)
SESSION = _fields(
    "id project_id name branch base_branch image profile work_dir runtime isolated container_id desired state "
    "error_reason exit_code notes created_at updated_at deleted_at"
)
FAULT = ["kind", "title", "detail", "hint"]
COMMIT = ["hash", "subject", "author", "authored_at"]
PROFILE = _fields(
    "name image command tty env user cpus memory pids network capabilities runtime readable new_privileges loosened"
)

_CONFIG = """
image = "registry.invalid/thing:1"
profile = "say"
runtime = "process"
glyphs = "ascii"
theme = "nord"
trash_days = 3
trash_share = 0.5
log_lines = 1000
log_bytes = "2m"
[profiles.say]
command = 'echo out; echo err >&2; while read -r words; do eval "$words"; done; exec sleep 1000'
tty = false
env = { CI = "1" }
[profiles.talk]
command = 'while read -r words; do eval "$words"; done'
[profiles.fail]
command = "exit 3"
[profiles.all]
image = "registry.invalid/other:1"
command = ["make", "-j"]
tty = false
env = { CI = "1" }
user = "image"
cpus = 1.5
memory = "1g"
pids = 100
network = "none"
capabilities = ["NET_BIND_SERVICE"]
runtime = "docker"
readable = ["/opt"]
new_privileges = true
[keys]
"""
KEYS = _fields(
    "new_session attach shell stop_start restart retry cancel remove push update look_again meters mark joint_log "
    "undo strays new_project edit_source fetch next_file previous_file next_hunk previous_hunk compare edit_file "
    "copy_hunk copy_path filter next_pane previous_pane previous_tab next_tab zoom back doctor help command_palette "
    "quit log_search log_next log_previous log_filter log_follow log_wrap log_times log_since log_mark log_full "
    "log_copy log_save log_clear"
)
"""Names of actions in [keys]. Other names may be added; each of these keeps its meaning."""


@dataclass(frozen=True)
class World:
    """A project `demo` with the process sessions `main` (a log), `talk` (a terminal) and `fail` (exit code 3)."""

    relay: InstalledRelay
    upstream: Path

    def session(self, name: str) -> dict[str, Any]:
        """A session as JSON."""
        return self.relay.json("session", "show", name)

    def place(self, name: str) -> Path:
        """The directory of a session's process."""
        return self.relay.data / "processes" / str(self.session(name)["id"])

    def base(self) -> Path:
        """The project's base clone."""
        return self.relay.data / "projects" / str(self.session("main")["project_id"]) / "base.git"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One for all tests, at a short path: the address of a socket has room for 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="relay-test-"))
    relay = InstalledRelay(root)
    relay.config.write_text(_CONFIG)
    upstream = make_repository(root / "demo.git", branches=("main", "side"), bare=True)
    relay.json("project", "add", upstream, "--not-isolated")
    create = ("session", "create", "demo", "--not-isolated", "--new-branch")
    relay.json(*create, "talk", "--profile", "talk")
    relay.fails(1, *create, "fail", "--profile", "fail")
    tree = Path(str(relay.json("session", "show", "main")["work_dir"]))
    (tree / "work.txt").write_text("work\n")
    run_git("add", "work.txt", cwd=tree)
    run_git("commit", "--quiet", "-m", "Work", cwd=tree)
    (tree / "README.md").write_text("changed\n")
    (tree / "new.txt").write_text("new\n")
    try:
        yield World(relay, upstream)
    finally:
        for row in relay.run("project", "list", "--json").rows:
            relay.run("project", "remove", str(row["id"]), "--yes")
        shutil.rmtree(root, ignore_errors=True)


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_fields_of_projects_and_sessions(world: World) -> None:
    [project] = world.relay.run("project", "list", "--json").rows
    assert list(project) == [*PROJECT, "sessions"]
    for row in world.relay.run("session", "list", "--json").rows:
        assert list(row) == [*SESSION, "project"]
    failed = world.session("fail")
    assert list(failed["error_reason"]) == FAULT
    assert (failed["state"], failed["exit_code"], failed["error_reason"]["kind"]) == ("error", 3, "engine")
    main = world.session("main")
    assert (main["runtime"], main["desired"], main["state"]) == ("process", "running", "running")
    assert main["container_id"] == f"process-{main['id']}"
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{13}", main["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", main["created_at"])


def test_fields_of_status_and_diff(world: World) -> None:
    status = world.relay.json("session", "status", "main")
    assert list(status) == _fields(
        "session branch head changed added deleted untracked conflicted stashes upstream ahead behind unpushed last "
        "notes dirty"
    )
    assert list(status["last"]) == COMMIT  # type: ignore[call-overload]
    diff: dict[str, Any] = world.relay.json("session", "diff", "main")
    assert list(diff) == ["session", "against", "base", "files", "notes", "patch", "cut"]
    changed, new = diff["files"]
    assert list(changed) == ["path", "change", "content", "added", "deleted", "old_path", "size"]
    assert (changed["change"], new["change"], new["content"]) == ("modified", "untracked", "text")
    stat = world.relay.json("session", "diff", "main", "--stat", "--against", "branch-point")
    assert stat["against"] == "branch-point"
    assert list(stat) == ["session", "against", "base", "files", "notes"]


def test_fields_of_what_leaves_a_session(world: World, tmp_path: Path) -> None:
    plan: dict[str, Any] = world.relay.json("session", "push", "main", "--dry-run")
    assert list(plan) == _fields(
        "session remote branch commit commits count new_branch diverged lfs_files pushed said links"
    )
    assert [list(commit) for commit in plan["commits"]] == [COMMIT]
    session = world.session("main")["id"]
    [kept] = world.relay.run("project", "kept", "demo", "--json").rows
    assert list(kept) == ["session_id", "ref", "commit", "count", "name"]
    assert kept["ref"] == f"refs/relay/{session}/heads/main"
    note = json.loads((world.base() / "relay-sessions" / session).read_text())
    assert note == {"name": "main", "begun_on": "main", "on": "main"}
    exported = world.relay.json("session", "export", "main", "--to", tmp_path / "exported")
    assert list(exported) == ["session", "to", "branch", "brought", "left"]
    assert "uncommitted" in exported["brought"]  # type: ignore[operator]
    assert list(world.relay.json("project", "fetch", "demo")) == ["project", "changed"]
    assert list(world.relay.json("session", "update", "talk")) == ["session", "branch", "commit", "count", "said"]
    assert list(world.relay.json("session", "logs", "talk")) == ["session", "log"]
    error = world.relay.fails(4, "session", "remove", "main")
    assert error["kind"] == "unsaved-work"


def test_fields_of_upkeep(world: World) -> None:
    assert world.relay.json("reconcile", "--dry-run") == {"steps": [], "unseen": []}
    assert world.relay.json("reconcile") == {"done": [], "unknown": [], "unseen": []}
    stranger = world.base().parent / "sessions/stranger00000"
    run_git("clone", "--quiet", str(world.upstream), str(stranger), cwd=world.upstream)
    dry: dict[str, Any] = world.relay.json("reconcile", "--dry-run")
    assert [list(step) for step in dry["steps"]] == [["act", "subject", "words"]]
    assert (dry["steps"][0]["act"], dry["steps"][0]["subject"]) == ("unknown-directory", "stranger00000")
    done: dict[str, Any] = world.relay.json("reconcile", "--trash-unknown")
    assert list(done) == ["done", "unknown", "trashed", "unseen"]
    assert [list(step) for step in done["trashed"]] == [["act", "subject", "words", "error"]]
    [entry] = (world.relay.data / "trash").iterdir()
    assert re.fullmatch(r"stranger00000-\d+-\d+", entry.name)
    purged = world.relay.json("purge", "--older-than", "0")
    assert list(purged) == ["entries", "freed", "left"]


def test_fields_of_doctor(world: World) -> None:
    found: dict[str, Any] = world.relay.run("doctor", "--json").document
    assert list(found) == ["ok", "counts", "findings"]
    assert list(found["counts"]) == ["ok", "warning", "broken", "absent", "unknown"]
    assert {tuple(row) for row in found["findings"]} == {("name", "verdict", "found", "mend", "seconds")}
    assert {row["verdict"] for row in found["findings"]} <= set(found["counts"])
    assert [row["name"] for row in found["findings"]][:5] == [
        *("engine", "bubblewrap", "confinement", "runtimes", "terminal"),
    ]


def test_fields_of_a_removed_session(world: World) -> None:
    created = world.relay.json("session", "create", "demo", "--branch", "side", "--not-isolated")
    assert list(created) == [*SESSION, "project"]
    removed = world.relay.json("session", "remove", "side", "--keep")
    assert list(removed) == [*SESSION, "project", "safe"]
    assert (removed["desired"], removed["state"]) == ("removed", "removing")
    [entry] = [path.name for path in (world.relay.data / "trash").iterdir()]
    assert re.fullmatch(rf"{created['id']}-\d+-\d+", entry)
    world.relay.json("purge", "--older-than", "0")


# --- configuration ---------------------------------------------------------------------------------------------------


def test_configuration_keys_and_their_meaning(world: World) -> None:
    shown: dict[str, Any] = world.relay.json("config", "show")
    assert list(shown) == ["path", "image", "profile", "glyphs", "theme", "data_dir", "profiles", "keys"]
    assert list(shown["profiles"]["default"]) == PROFILE
    assert world.relay.json("profile", "show", "all") == shown["profiles"]["all"]
    assert {**shown["profiles"]["all"], "loosened": []} == {
        "name": "all",
        "image": "registry.invalid/other:1",
        "command": ["make", "-j"],
        "tty": False,
        "env": {"CI": "1"},
        "user": "image",
        "cpus": 1.5,
        "memory": 1 << 30,
        "pids": 100,
        "network": "none",
        "capabilities": ["NET_BIND_SERVICE"],
        "runtime": "docker",
        "readable": ["/opt"],
        "new_privileges": True,
        "loosened": [],
    }
    assert list(world.relay.json("config", "path")) == ["path", "exists"]


def test_environment_variables_that_choose_places(tmp_path: Path) -> None:
    places = {"XDG_DATA_HOME": tmp_path / "d", "XDG_CONFIG_HOME": tmp_path / "c", "XDG_STATE_HOME": tmp_path / "s"}
    relay = InstalledRelay(tmp_path, {name: str(path) for name, path in places.items()})
    env = {name: value for name, value in relay.env.items() if not name.startswith("RELAY_")}
    done = subprocess.run(
        (PROGRAM, "--debug", "config", "show", "--json"), env=env, capture_output=True, text=True, check=True
    )
    shown = json.loads(done.stdout)
    assert (shown["data_dir"], shown["path"]) == (str(tmp_path / "d/relay"), str(tmp_path / "c/relay/config.toml"))
    assert str(tmp_path / "s/relay/relay.log") in done.stderr


def test_every_action_keeps_its_name_in_the_configuration(tmp_path: Path) -> None:
    """The first unknown name is refused: if that is the last one here, all others are known."""
    relay = InstalledRelay(tmp_path)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    own = dict(zip(KEYS, (f"alt+{letter}" for letter in letters), strict=False))
    own["log_since"] = " ".join(f"alt+{digit}" for digit in range(7))
    assert list(own) == KEYS
    lines = [f'{name} = "{keys}"' for name, keys in {**own, "no_such_action": "f9"}.items()]
    relay.config.write_text("\n".join(["[keys]", *lines]))
    with _on_terminal(relay) as screen:
        assert screen.wait(20) == 1
        words = screen.words()
    assert "keys.no_such_action" in words
    assert [name for name in own if f"keys.{name} " in words] == []


# --- a session's surroundings ----------------------------------------------------------------------------------------


def test_variables_in_a_session(world: World) -> None:
    said = world.relay.run("session", "shell", "talk", "--", "env").out.splitlines()
    assert sorted(re.sub("=[0-9a-f]{32}$", "=<token>", line) for line in said if line.startswith("RELAY_")) == [
        "RELAY_BRANCH=talk",
        "RELAY_PROJECT=demo",
        "RELAY_RUN=<token>",
        "RELAY_SESSION=talk",
        f"RELAY_WORKSPACE_DIR={world.session('talk')['work_dir']}",
    ]


@pytest.mark.engine
def test_labels_name_and_mount_of_a_container(engine: docker.DockerClient, tmp_path: Path) -> None:
    relay = InstalledRelay(tmp_path)
    source = make_repository(tmp_path / "demo.git", bare=True)
    relay.config.write_text('[profiles.work]\ncommand = "exec sleep 1000"\n')
    relay.json("project", "add", source, "--runtime", "docker", "--image", IMAGE)
    relay.json("session", "create", "demo", "--name", "other", "--profile", "work")
    try:
        for name, idle in (("main", "yes"), ("other", "")):
            session = relay.json("session", "show", name)
            seen: dict[str, Any] = engine.api.inspect_container(session["container_id"])
            labels = {key: value for key, value in seen["Config"]["Labels"].items() if key.startswith("relay.")}
            assert labels == {
                "relay.data-dir": str(relay.data),
                "relay.project": session["project_id"],
                "relay.session": session["id"],
                "relay.name": f"demo/{name}",
                "relay.user": seen["Config"]["User"],
                "relay.idle": idle,
            }
            assert seen["Name"] == f"/relay-demo-{name}-{str(session['id'])[-4:]}"
            assert [(mount["Source"], mount["Destination"]) for mount in seen["Mounts"]] == [
                (session["work_dir"], "/workspace")
            ]
            env = [variable for variable in seen["Config"]["Env"] if variable.startswith("RELAY_")]
            assert env == [
                "RELAY_WORKSPACE_DIR=/workspace",
                f"RELAY_SESSION={name}",
                "RELAY_PROJECT=demo",
                "RELAY_BRANCH=main",
            ]
    finally:
        clear_engine(engine, tmp_path)


# --- the data directory ----------------------------------------------------------------------------------------------


def test_names_in_the_data_directory(world: World) -> None:
    data = world.relay.data
    assert {path.name for path in data.iterdir()} - {"not-isolated"} == set(
        _fields("store.json store.json.bak store.lock reserve locks tmp cache trash processes projects")
    )
    assert sorted(path.name for path in (data / "reserve").iterdir()) == list("01234567")
    main = world.session("main")
    project = data / "projects" / main["project_id"]
    assert {path.name for path in project.iterdir()} == {"base.git", "sessions", "eyes"}
    assert main["work_dir"] == str(project / "sessions" / main["id"])
    eyes = {path.name for path in (project / "eyes").iterdir()}
    assert {f"{main['id']}.git", f"{main['id']}.lock"} <= eyes
    config = run_git("config", "--file", str(project / "base.git/config"), "--list", cwd=project)
    assert f"remote.origin.url={world.upstream}" in config
    assert "remote.origin.fetch=+refs/heads/*:refs/heads/*" in config


def test_rows_of_the_store(world: World) -> None:
    store = json.loads((world.relay.data / "store.json").read_bytes())
    assert {"_meta", "projects", "sessions"} <= set(store)
    assert isinstance(store["_meta"]["store"]["schema"], int)
    for kind, fields in (("projects", PROJECT), ("sessions", SESSION)):
        assert store[kind]
        for row in store[kind].values():
            assert list(row) == fields
    failed = next(row for row in store["sessions"].values() if row["name"] == "fail")
    assert list(failed["error_reason"]) == FAULT


def test_a_lock_names_its_holder(world: World) -> None:
    session = world.session("talk")
    supervisor = json.loads((world.place("talk") / "state.json").read_text())["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    stopping = world.relay.begin("session", "stop", "talk")
    path = world.relay.data / "locks" / f"{session['id']}.lock"
    try:
        wait_until(lambda: path.exists() and path.read_bytes(), what="a lock file")
        held = json.loads(path.read_bytes())
        assert set(held) == {"pid", "started", "purpose"}
        assert held["pid"] == stopping.pid
        with path.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.kill(supervisor, signal.SIGCONT)
        stopping.communicate(timeout=40)
        world.relay.json("session", "start", "talk")
    assert not path.exists()


# --- process sessions: files -----------------------------------------------------------------------------------------


def test_files_of_a_process(world: World) -> None:
    place = world.place("main")
    assert {path.name for path in place.iterdir()} - {"tmp"} == set(
        _fields("spec.json state.json .state.json.spare log home lock sock supervisor.err")
    )
    spec = json.loads((place / "spec.json").read_text())
    assert list(spec) == _fields("session_id project_id name argv tty env cwd isolated network readable")
    assert (spec["argv"][:2], spec["tty"], spec["network"], spec["env"]["CI"]) == (["/bin/sh", "-c"], False, True, "1")
    state = json.loads((place / "state.json").read_text())
    assert list(state) == _fields("pid start boot started_at kills_before status token exit_code before")
    assert (state["status"], state["exit_code"], state["before"]) == ("running", None, [])
    ended = json.loads((world.place("fail") / "state.json").read_text())
    assert {"finished_at", "kills_after", "signal"} <= set(ended)
    assert (ended["status"], ended["exit_code"], ended["signal"]) == ("exited", 3, "")


def test_a_second_run_remembers_how_the_first_ended(world: World) -> None:
    world.relay.fails(1, "session", "start", "fail")
    state = json.loads((world.place("fail") / "state.json").read_text())
    assert [list(end) for end in state["before"]] == [["began", "at", "exit_code"]]
    assert state["before"][0]["exit_code"] == 3


_HEAD, _FOOT = "<BBxxIQ", "<I"
"""A record of a log: stream, what begins, length, nanoseconds since 1970; then the bytes; then the length again."""


def test_records_of_a_log(world: World) -> None:
    """Written by this revision: streams 1 and 2, the first record of a run is of kind 3, others begin a line (1)."""
    content = (world.place("main") / "log/00000001").read_bytes()
    records = []
    while content:
        stream, begins, length, moment = struct.unpack_from(_HEAD, content)
        data = content[16 : 16 + length]
        assert struct.unpack_from(_FOOT, content, 16 + length) == (length,)
        assert abs(moment / 1e9 - time.time()) < 3600
        records.append((stream, begins, data))
        content = content[20 + length :]
    assert sorted(records) in ([(1, 1, b"out\n"), (2, 3, b"err\n")], [(1, 3, b"out\n"), (2, 1, b"err\n")])


def test_a_log_of_an_earlier_revision_is_read(world: World) -> None:
    place = world.place("fail")
    moment = 1_700_000_000_000_000_000
    older = b""
    for number, (stream, begins, data) in enumerate(
        [(1, 0, b"without a kind\n"), (1, 3, b"first\nsec"), (2, 1, b"complaint\n"), (1, 2, b"ond\n")]
    ):
        older += struct.pack(_HEAD, stream, begins, len(data), moment + number * 1_000_000_000)
        older += data + struct.pack(_FOOT, len(data))
    log = place / "log"
    for segment in log.iterdir():
        segment.unlink()
    (log / "00000007").write_bytes(older + b"\x01\x01")  # the last record was cut by a kill
    done = world.relay.run("session", "logs", "fail")
    assert (done.out, done.err) == ("without a kind\nfirst\nsecond\n", "complaint\n")
    stamped = world.relay.run("session", "logs", "fail", "--timestamps", "--tail", "1")
    assert stamped.out == "2023-11-14T22:13:21.000000001Z second\n"


# --- process sessions: the supervisor's socket -----------------------------------------------------------------------


class Line:
    """A connection to the supervisor of a session, on which bytes are written as an earlier revision does."""

    def __init__(self, place: Path, request: bytes, descriptors: tuple[int, ...] = ()) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(place / "sock"))
        socket.send_fds(self.socket, [request], descriptors)

    def line(self) -> bytes:
        """The next line."""
        said = b""
        while not said.endswith(b"\n"):
            data = self.socket.recv(1)
            assert data, said
            said += data
        return said

    def until(self, words: bytes) -> bytes:
        """Everything up to these words."""
        said = b""
        while words not in said:
            data = self.socket.recv(1 << 16)
            assert data, said
            said += data
        return said

    def close(self) -> None:
        self.socket.close()


def _pipes() -> tuple[list[int], int, int]:
    """Descriptors for a program's stdin, stdout and stderr, and the reading ends of the last two."""
    (out, theirs_out), (err, theirs_err) = os.pipe(), os.pipe()
    return [os.open("/dev/null", os.O_RDONLY), theirs_out, theirs_err], out, err


def test_a_supervisor_understands_an_earlier_client(world: World) -> None:
    place = world.place("talk")
    resized = Line(place, b'{"do": "resize", "rows": 33, "columns": 99}\n')
    assert resized.line() == b"{}\n"
    attached = Line(place, b'{"do": "attach"}\necho typed-$((40+2)); stty size\n')
    attached.until(b"typed-42\r\n33 99\r\n")
    attached.socket.send(b"echo again-$((40+2))\n")
    follower = Line(place, b'{"do": "follow"}\n')
    attached.until(b"again-42")
    assert follower.socket.recv(1) == b"."
    waiting = Line(place, b'{"do": "wait"}\n')
    nonsense = Line(place, b'{"do": 7, "what": []}\n')
    resized.close()

    theirs, out, err = _pipes()
    script = 'echo \\"$RELAY_SESSION $ADDED\\"; echo err >&2; exit 7'
    request = f'{{"do": "exec", "argv": ["sh", "-c", "{script}"], "tty": false, "env": {{"ADDED": "x"}}}}\n'
    running = Line(place, request.encode(), tuple(theirs))
    for descriptor in theirs:
        os.close(descriptor)
    started = json.loads(running.line())
    assert list(started) == ["started"]
    assert json.loads(running.line()) == {"ended": started["started"], "code": 7}
    assert (os.read(out, 99), os.read(err, 99)) == (b"talk x\n", b"err\n")
    os.close(out)
    os.close(err)

    theirs, out, err = _pipes()
    missing = Line(place, b'{"do": "exec", "argv": ["nonexistent"], "tty": false, "env": {}}\n', tuple(theirs))
    failed = json.loads(missing.line())
    assert (list(failed), failed["code"]) == (["failed", "words", "code"], 127)
    for descriptor in (*theirs, out, err):
        os.close(descriptor)

    on_terminal = Line(place, b'{"do": "exec", "argv": ["sh", "-c", "tty; exit 3"], "tty": true, "env": {}}\n')
    said, lent, _, _ = socket.recv_fds(on_terminal.socket, 4096, 4)
    assert list(json.loads(said.partition(b"\n")[0])) == ["started"]
    [master] = lent
    assert b"/dev/" in os.read(master, 99)
    os.close(master)

    for line in (attached, follower, waiting, nonsense, missing, running, on_terminal):
        if line is not waiting:
            line.close()
    stopping = Line(place, b'{"do": "stop", "grace": 5.0}\n')
    assert stopping.socket.recv(1) == b""  # the connection ends with the command
    assert waiting.socket.recv(1) == b""
    for line in (stopping, waiting):
        line.close()
    wait_until(lambda: world.session("talk")["state"] != "running", what="the end")
    assert world.relay.json("session", "start", "talk")["state"] == "running"


@dataclass
class Tap:
    """Proxy between clients and a supervisor. It records each request with the number of descriptors sent along."""

    place: Path
    requests: list[tuple[bytes, int]] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the supervisor's socket within the block."""
        real, sock = self.place / "real", self.place / "sock"
        sock.rename(real)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(str(sock))
            door.listen(16)
            threading.Thread(target=self._admit, args=(door, real), daemon=True).start()
            try:
                yield
            finally:
                with suppress(OSError):
                    door.shutdown(socket.SHUT_RDWR)
                if real.exists():
                    real.replace(sock)

    def _admit(self, door: socket.socket, real: Path) -> None:
        with suppress(OSError):
            while True:
                client, _ = door.accept()
                server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                server.connect(str(real))
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        request, sent = b"", 0
        recorded = False
        with client, server, suppress(OSError):
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source, target in ((client, server), (server, client)):
                    if source not in ready:
                        continue
                    data, descriptors, _, _ = socket.recv_fds(source, 1 << 16, 4)
                    if source is client and not recorded:
                        request, sent = request + data, sent + len(descriptors)
                        if b"\n" in request:
                            self.requests.append((request.partition(b"\n")[0] + b"\n", sent))
                            recorded = True
                    if not data:
                        return
                    socket.send_fds(target, [data], descriptors)
                    for descriptor in descriptors:
                        os.close(descriptor)

    def of(self, word: str) -> list[tuple[Mapping[str, Any], int]]:
        """The requests for this, as JSON, with the number of descriptors."""
        found = [(json.loads(request), sent) for request, sent in self.requests]
        return [(request, sent) for request, sent in found if request["do"] == word]


def test_a_client_writes_what_an_earlier_supervisor_reads(world: World) -> None:
    tap = Tap(world.place("talk"))
    with tap.listening():
        with _on_terminal(world.relay, "session", "attach", "talk") as screen:
            screen.type(b"echo here-$((40+2))\r")
            screen.see(b"here-42")
            wait_until(lambda: len(tap.of("resize")) > 1, what="the size, twice")  # one column less, then the real one
            screen.type(b"\x11")
            assert screen.wait(20) == 0
        assert world.relay.run("session", "shell", "talk", "--", "sh", "-c", "cat; exit 7", given=b"x").code == 7
        with _on_terminal(world.relay, "session", "shell", "talk", "--", "sh", "-c", "exit 4") as screen:
            assert screen.wait(20) == 4
        following = world.relay.begin("session", "logs", "talk", "-f")
        wait_until(lambda: tap.of("follow"), what="a follower")
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=20)
    assert tap.of("attach") == [({"do": "attach"}, 0)]
    assert ({"do": "resize", "rows": 30, "columns": 90}, 0) in tap.of("resize")
    piped, on_terminal = tap.of("exec")
    assert piped == ({"do": "exec", "argv": ["sh", "-c", "cat; exit 7"], "tty": False, "env": {}}, 3)
    assert on_terminal[0]["env"]["TERM"] == "xterm-256color"
    assert {**on_terminal[0], "env": {}} == {"do": "exec", "argv": ["sh", "-c", "exit 4"], "tty": True, "env": {}}
    assert on_terminal[1] == 0
    assert tap.of("follow") == [({"do": "follow"}, 0)]
    tap = Tap(world.place("talk"))
    with tap.listening():
        world.relay.json("session", "stop", "talk")
    assert tap.of("stop") == [({"do": "stop", "grace": 10.0}, 0)]
    assert world.relay.json("session", "start", "talk")["state"] == "running"


def test_changes_are_announced_to_every_listener(world: World) -> None:
    directory = world.relay.data / "processes/.listeners"
    directory.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(directory / "test"))
        ear.settimeout(20)
        try:
            world.relay.json("session", "restart", "talk")
            assert ear.recv(100) == world.session("talk")["id"].encode()
        finally:
            (directory / "test").unlink()


# --- values that no command shows ------------------------------------------------------------------------------------


def test_values_of_enumerations_and_kinds_of_errors() -> None:
    """Found by what they are, so that no module and no class is named here."""
    members: set[type] = set()
    for module in pkgutil.walk_packages(relay_tui.__path__, "relay_tui."):
        if not module.name.endswith("__main__"):
            members |= {
                value for value in vars(importlib.import_module(module.name)).values() if isinstance(value, type)
            }
    own = {member for member in members if member.__module__.startswith("relay_tui")}
    found = {frozenset(str(value) for value in member) for member in own if issubclass(member, enum.StrEnum)}
    for words in (
        "pending cloning ready error",
        "running stopped removed",
        "starting running stopped error removing",
        "ok warning broken absent unknown",
        "head branch-point upstream",
        "modified added deleted renamed mode type untracked conflicted",
        "text binary huge lfs submodule symlink unreadable",
        "dirty untracked ignored stashed unpushed unknown",
        "push keep bundle",
        "finish-clone first-session base-gone finish-project-removal finish-removal bring-back build stop note "
        "end-left adopt-container remove-container clear-partial unknown-container unknown-directory",
    ):
        assert frozenset(words.split()) in found, words
    errors = {member for member in own if issubclass(member, Exception) and hasattr(member, "kind")}
    assert {(str(vars(error)["kind"]), error.exit_code) for error in errors if "kind" in vars(error)} == {  # type: ignore[attr-defined]
        ("failed", 1),
        ("invalid-input", 2),
        ("not-found", 3),
        ("conflict", 4),
        ("unsaved-work", 4),
        ("not-comparable", 4),
        ("git", 1),
        ("unknown", 1),
        ("engine", 1),
        ("engine-unreachable", 5),
        ("file-system", 1),
        ("store", 1),
        ("config", 1),
        ("cancelled", 1),
    }


# --- a terminal ------------------------------------------------------------------------------------------------------


class Screen:
    """A program on a pseudo-terminal of 30 lines and 90 columns."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        env = {name: value for name, value in env.items() if name != "COLORTERM"}
        self.process = subprocess.Popen(
            command,
            env={**env, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._seen = b""

    def type(self, data: bytes) -> None:
        """Type bytes."""
        os.write(self._master, data)

    def see(self, words: bytes, timeout: float = 20) -> None:
        """Wait until these words have come."""
        wait_until(lambda: self._read() and words in self._seen, timeout, words.decode())

    def wait(self, timeout: float) -> int:
        """Wait for the end; answer the exit code."""
        wait_until(lambda: self._read() and self.process.poll() is not None, timeout, "the end")
        self._read()
        return self.process.wait()

    def words(self) -> str:
        """All that was written, on one line."""
        return self._seen.decode().replace("\r\n", " ")

    def _read(self) -> bool:
        with suppress(OSError):
            while select.select([self._master], [], [], 0)[0]:
                data = os.read(self._master, 1 << 16)
                if not data:
                    break
                self._seen += data
        return True

    def close(self) -> None:
        """End the program if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@contextmanager
def _on_terminal(relay: InstalledRelay, *arguments: str) -> Iterator[Screen]:
    """Run relay on a pseudo-terminal."""
    screen = Screen([str(PROGRAM), *arguments], relay.env)
    try:
        yield screen
    finally:
        screen.close()
