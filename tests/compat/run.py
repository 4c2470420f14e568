"""Compatibility run of two revisions of relay over the same data directory.

`python tests/compat/run.py [--old REV] [--new REV] [--runtime process|docker]` checks that each revision understands
the sessions, process supervisors, containers, logs, locks and records of the other one:

- one revision creates a project and its sessions, the other one lists, attaches to, stops, removes and restores them;
- the same with the revisions exchanged, and with the later one installed over the earlier one while it is in use;
- both change one data directory in turns and at the same time, and a screen of each shows the changes of the other.

Both revisions are used through their command line only. The dependencies are those of the Python that runs this
script. Everything is below one temporary directory; containers and processes are ended even if a step fails. The exit
code is 1 if a step failed, 2 if the run could not begin.
"""

from __future__ import annotations

import argparse
import difflib
import fcntl
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import termios
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

import docker  # noqa: E402
import docker.errors  # noqa: E402
import engine_images  # noqa: E402
from git_servers import make_repository, run_git  # noqa: E402
from terminal_screen import TerminalScreen  # noqa: E402

ROOT = TESTS.parent
IMAGE = "relay-test/git"
LABEL = "relay.data-dir"
PACKAGE = "relay_tui"
CTRL_Q = b"\x11"
PATIENCE = 90.0
"""Seconds for one command."""
LINES = 300
ENGINE_UNREACHABLE = 5

_PRINTER = (
    "echo complaint >&2; sleep 0.3; "  # two streams that are read at the same time have no order
    f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; done; "
    "printf '\\033[31mred\\033[0m\\n'; echo printed; "
    "while :; do if [ -e more ]; then rm -f more; echo more came; fi; sleep 0.2; done"
)
_CONFIG = f"""
profile = "printer"
image = "{IMAGE}"
trash_days = 3
[keys]
strays = "f9"
look_again = "f8"
meters = "f7"
joint_log = "f6"
[profiles.printer]
command = {json.dumps(_PRINTER)}
tty = false
env = {{ COMPAT = "yes" }}
[profiles.shell]
command = 'while read -r words; do eval "$words"; done'
[profiles.failing]
command = "echo broken >&2; exit 3"
tty = false
[profiles.stubborn]
command = "trap '' TERM; echo ready; while :; do sleep 0.2; done"
tty = false
"""
_GIT_CONFIG = "[user]\n\tname = Ada\n\temail = ada@example.org\n"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_PROSE = {"words", "found", "mend", "title", "detail", "hint", "notes", "loosened"}
"""Fields for people. Their wording may differ between revisions; whether they are empty may not."""


_CHECKS = {"check", "check_same", "wait_until"}

# --- the table --------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """The steps so far. A failed step is noted with its reason, and the run continues."""

    failures: int = 0
    steps: int = 0
    title: str = ""

    def begin(self, title: str) -> None:
        """Start a group of steps."""
        self.title = title
        sys.stdout.write(f"\n{title}\n")

    @contextmanager
    def step(self, name: str, who: str) -> Iterator[None]:
        """Run the block as one row of the table."""
        began = time.monotonic()
        self.steps += 1
        why = ""
        try:
            yield
        except Exception as error:  # whatever it is, the row shows it and the other steps still run
            self.failures += 1
            frames = [
                frame
                for frame in traceback.extract_tb(error.__traceback__)
                if frame.filename == __file__ and frame.name not in _CHECKS
            ]
            why = f"line {frames[-1].lineno}: {type(error).__name__}: {error}"
        seconds = time.monotonic() - began
        sys.stdout.write(f"  {'FAILED' if why else 'ok':<6} {seconds:6.2f} s  {who:<12} {name}\n")
        sys.stdout.writelines(f"         {line}\n" for line in why.splitlines())
        sys.stdout.flush()


def check(condition: object, *shown: object) -> None:
    """Raise AssertionError with `shown` unless the condition is true; unlike assert, also with python -O."""
    if not condition:
        raise AssertionError("; ".join(str(one)[:2000] for one in shown) or "not so")


def check_same(theirs: object, ours: object, what: str) -> None:
    """Raise AssertionError with a line diff unless both are the same JSON in the same order of fields."""
    before, after = (json.dumps(value, indent=1).splitlines() for value in (theirs, ours))
    if before != after:
        lines = list(difflib.unified_diff(before, after, "made by", "read by", lineterm="", n=2))
        raise AssertionError(f"{what} differs\n" + "\n".join(lines[:60]))


def comparable(value: object, key: str = "") -> object:
    """Replace times by a word, and texts for people by whether there is one."""
    if isinstance(value, dict):
        return {name: comparable(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [comparable(item, key) for item in value]
    if isinstance(value, str) and key.endswith("_at") and _MOMENT.fullmatch(value):
        return "a time"
    if isinstance(value, str) and key in _PROSE:
        return "some text" if value else ""
    return value


def wait_until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    """Return when the condition is true. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        check(time.monotonic() < deadline, f"not within {timeout:g} s: {what}")
        time.sleep(0.05)


# --- the two revisions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Revision:
    """A revision's source directory, and the word for it in the table."""

    name: str
    source: Path


@dataclass(frozen=True)
class Done:
    """Result of a finished command."""

    code: int
    out: bytes
    err: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401
        """The JSON on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error document on standard error."""
        document: dict[str, str] = json.loads(self.err)["error"]
        return document


@dataclass(frozen=True)
class Relay:
    """The command line of one revision in one scene."""

    revision: Revision
    env: Mapping[str, str]
    cwd: Path

    @property
    def command(self) -> list[str]:
        """The beginning of its command line."""
        return [sys.executable, "-m", PACKAGE]

    @property
    def name(self) -> str:
        """The revision's name in the table."""
        return self.revision.name

    def run(self, *arguments: str | Path, given: bytes = b"") -> Done:
        """Run a command to its end, without a terminal."""
        command = [*self.command, *map(str, arguments)]
        done = subprocess.run(
            command, env=self.env, cwd=self.cwd, input=given, capture_output=True, check=False, timeout=PATIENCE
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """Start a command whose output is to be read."""
        command = [*self.command, *map(str, arguments)]
        return subprocess.Popen(
            command,
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def json(self, *arguments: str | Path) -> Any:  # noqa: ANN401
        """Run a command that has to succeed with --json; answer the document."""
        done = self.run(*arguments, "--json")
        check(done.code == 0, f"{self.name}: relay {' '.join(map(str, arguments))}: exit code {done.code}", done.err)
        return done.document

    def fails(self, code: int, kind: str, *arguments: str | Path) -> None:
        """Run a command with --json that has to fail with this exit code and kind of error."""
        done = self.run(*arguments, "--json")
        check(done.code == code, f"{self.name}: exit code {done.code}, not {code}", done.out, done.err)
        error = done.error
        check(list(error) == ["kind", "title", "detail", "hint"], error)
        check(error["kind"] == kind and error["title"], error)

    def check_source(self) -> None:
        """Raise AssertionError unless this really runs the revision's own code."""
        command = [sys.executable, "-c", "import relay_tui; print(relay_tui.__file__)"]
        done = subprocess.run(command, env=self.env, cwd=self.cwd, capture_output=True, text=True, check=True)
        wanted = self.revision.source / PACKAGE / "__init__.py"
        check(Path(done.stdout.strip()).resolve() == wanted.resolve(), done.stdout, f"not {wanted}")


class Terminal:
    """A relay command on a pseudo-terminal of 30 lines and 90 columns."""

    def __init__(self, relay: Relay, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        self._process = subprocess.Popen(
            ["env", "--default-signal=INT", *relay.command, *arguments],  # a job in a script's background ignores it
            env={**relay.env, "TERM": "xterm-256color"},
            cwd=relay.cwd,
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

    def interrupt(self) -> None:
        """Send what ctrl+c sends; the terminal has no foreground process group that would get it."""
        self._process.send_signal(signal.SIGINT)

    def see(self, pattern: bytes, timeout: float = 20.0) -> None:
        """Wait until the pattern has come, then forget everything up to it."""
        deadline = time.monotonic() + timeout
        while (found := re.search(pattern, self._seen)) is None:
            left = deadline - time.monotonic()
            check(left > 0, f"no {pattern!r} in {self._seen[-600:]!r}")
            if select.select([self._master], [], [], left)[0]:
                try:
                    data = os.read(self._master, 1 << 16)
                except OSError:  # the program has ended
                    data = b""
                check(data, f"ended without {pattern!r} in {self._seen[-600:]!r}")
                self._seen += data
        self._seen = self._seen[found.end() :]

    def end(self, timeout: float = 20.0) -> int:
        """Wait for the end; answer the exit code. The terminal is read meanwhile, so that the program can write."""
        deadline = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.05)[0]:
                with suppress(OSError):
                    self._seen += os.read(self._master, 1 << 16)
        return self._process.wait(0.1)

    def close(self) -> None:
        """End the program if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)


@contextmanager
def terminal(relay: Relay, *arguments: str) -> Iterator[Terminal]:
    """Run a command on a pseudo-terminal; it is ended with the block."""
    opened = Terminal(relay, *arguments)
    try:
        yield opened
    finally:
        opened.close()


# --- a data directory and what is in it -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A data directory with its configuration, upstream repository and runtime. Everything is below `root`."""

    root: Path
    runtime: str
    client: docker.DockerClient | None
    bytecode: Path

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.root / "data"

    @property
    def upstream(self) -> Path:
        """The bare repository that the project is cloned from."""
        return self.root / "upstream/demo.git"

    def prepare(self) -> None:
        """Write the configuration and make the upstream repository."""
        self.root.mkdir(parents=True)
        (self.root / "config.toml").write_text(_CONFIG)
        (self.root / "gitconfig").write_text(_GIT_CONFIG)
        files = {"README.md": "# Demo\n", "src/a.py": "a = 1\nb = 2\n", "wörld.txt": "ä\n"}
        make_repository(self.upstream, branches=("main", "side", "fix/one"), files=files, tags=("v1",), bare=True)
        run_git("clone", "--quiet", str(self.upstream), str(self.root / "other"), cwd=self.root)

    def relay(self, revision: Revision) -> Relay:
        """The command line of a revision over this data directory."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "RELAY_", "XDG_"))}
        own = {
            "PYTHONPATH": str(revision.source),
            "PYTHONPYCACHEPREFIX": str(self.bytecode / revision.name),
            "RELAY_DATA_DIR": str(self.data),
            "RELAY_CONFIG": str(self.root / "config.toml"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_DATA_HOME": str(self.root / "share"),
            "GIT_CONFIG_GLOBAL": str(self.root / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "100",
        }
        return Relay(revision, kept | own, self.root)

    def upstream_moves(self, name: str) -> None:
        """Push a commit to main from another clone."""
        other = self.root / "other"
        run_git("pull", "--quiet", "--rebase", "origin", "main", cwd=other)
        self.commit(other, name)
        run_git("push", "--quiet", "origin", "HEAD:main", cwd=other)

    @staticmethod
    def commit(tree: Path, name: str) -> str:
        """Commit a file; answer the hash."""
        (tree / name).write_text(f"{name}\n")
        run_git("add", "--", name, cwd=tree)
        run_git("commit", "--quiet", "-m", f"Write {name}", cwd=tree)
        return run_git("rev-parse", "HEAD", cwd=tree)

    # --- what runs ---

    def state(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """Return the run state written by a process session's supervisor; {} if the session never ran."""
        path = self.data / "processes" / session["id"] / "state.json"
        state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return state

    def run_of(self, session: Mapping[str, Any]) -> tuple[str, str]:
        """Return the identity of one run of a session's command: pid and start time of the container or supervisor."""
        if self.client is not None:
            found = self.client.api.inspect_container(session["container_id"])
            return str(found["State"]["Pid"]), str(found["State"]["StartedAt"])
        state = self.state(session)
        return str(state.get("pid")), str(state.get("started_at"))

    def labels(self, session: Mapping[str, Any]) -> dict[str, str]:
        """The labels of a session's container; {} for a process."""
        if self.client is None:
            return {}
        found = self.client.api.inspect_container(session["container_id"])
        labels: dict[str, str] = found["Config"]["Labels"]
        return labels

    def is_alive(self, session: Mapping[str, Any]) -> bool:
        """Return whether the container or the supervisor of a session runs."""
        if self.client is not None:
            try:
                found = self.client.api.inspect_container(session["container_id"])
            except docker.errors.NotFound:
                return False
            return bool(found["State"]["Running"])
        return _is_process(int(self.state(session).get("pid", 0)), str(self.data))

    def check_supervisor(self, session: Mapping[str, Any], by: Relay) -> None:
        """Raise AssertionError unless the session's supervisor runs the code of that revision."""
        if self.client is None:
            pid = int(self.state(session)["pid"])
            check(_is_process(pid, str(by.revision.source)), f"pid {pid} is no supervisor of {by.name}", _command(pid))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _is_process(pid: int, word: str) -> bool:
    """Return whether a process has `word` in its command line."""
    return pid > 0 and word in _command(pid)


# --- one revision uses what the other made ----------------------------------------------------------------------------


@dataclass
class Handover:
    """`maker` creates a project with sessions; `user` does with them whatever the command line can do."""

    scene: Scene
    maker: Relay
    user: Relay
    report: Report
    maker_can_read: bool = True
    """Whether the maker understands the store after the user has written it, and is still there."""
    between: Callable[[], None] = lambda: None
    """What happens when everything is made, before it is used."""
    views: dict[str, object] = field(default_factory=dict)

    @property
    def _direction(self) -> str:
        return f"{self.maker.name} → {self.user.name}"

    def run(self) -> None:
        """Run all steps."""
        with self.report.step("creates a project, sessions and work in them", self.maker.name):
            self._make()
            self.views = {name: read(self.maker) for name, read in self._readings().items()}
            self.between()
        for name, read in self._readings().items():
            with self.report.step(f"the same JSON: {name}", self._direction):
                check_same(self.views[name], read(self.user), name)
        steps: Sequence[tuple[str, Callable[[], None]]] = (
            ("the log, byte for byte, by stream, with times, followed", self._logs),
            ("attach: type, window size, ctrl+q leaves it running", self._attach),
            ("shell: a command with its input, output and exit code", self._commands),
            ("shell: a login shell on a terminal", self._shell),
            ("reconcile finds nothing to do", self._reconcile),
            ("stop, start, restart; the log of the earlier run is kept", self._stop_and_start),
            ("retry of a command that fails", self._retry),
            ("wrong usage: exit codes and kinds of errors", self._errors),
            ("fetch, update, push", self._upstream),
            ("export, kept", self._export),
            ("remove refuses unsaved work, keeps it; restore brings it back", self._remove),
            ("restore of a session that the other one removed", self._restore_of_the_others),
            ("project remove and restore", self._project),
            ("remove everything and purge: nothing is left", self._purge),
        )
        for name, act in steps:
            with self.report.step(name, self._direction):
                act()
        with self.report.step("both list the same projects and sessions", self._direction):
            self._agree()

    def _make(self) -> None:
        make = self.maker
        make.json("project", "add", self.scene.upstream, "--name", "demo", "--runtime", self.scene.runtime)
        create = ("session", "create", "demo")
        make.json(*create, "--branch", "side", "--profile", "shell")
        make.json(*create, "--new-branch", "topic", "--from", "fix/one")
        make.fails(1, "engine", *create, "--new-branch", "bad", "--profile", "failing")
        make.json(*create, "--new-branch", "given-up")
        topic = Path(make.json("session", "show", "topic")["work_dir"])
        self.scene.commit(topic, "committed.txt")
        (topic / "README.md").write_text("# Changed\n")
        (topic / "untracked.txt").write_text("untracked\n")
        (topic / "src/a.py").unlink()
        run_git("stash", "push", "--quiet", "src/a.py", cwd=topic)
        for name in ("main", "topic"):
            wait_until(lambda name=name: b"printed" in make.run("session", "logs", name).out, f"the log of {name}")  # type: ignore[misc]
        for row in make.json("session", "list"):
            if row["state"] == "running":
                self.scene.check_supervisor(row, make)
        make.json("session", "remove", "given-up", "--force")

    def _readings(self) -> dict[str, Callable[[Relay], object]]:
        """Everything that can be read as JSON."""

        def document(*arguments: str) -> Callable[[Relay], object]:
            return lambda relay: comparable(relay.json(*arguments))

        def steps(relay: Relay) -> object:
            found = relay.json("reconcile", "--dry-run")
            return {**found, "steps": [{key: step[key] for key in ("act", "subject")} for step in found["steps"]]}

        def doctor(relay: Relay) -> object:
            """Fields, names and verdicts. The looks that compare revisions see other things than the data directory."""
            found = json.loads(relay.run("doctor", "--json").out)
            rows = [(row["name"], row["verdict"], list(row)) for row in found["findings"]]
            return [list(found), list(found["counts"]), rows]

        readings = {
            "project list": document("project", "list"),
            "project show": document("project", "show", "demo"),
            "session list": document("session", "list"),
            "session list --all": document("session", "list", "--all"),
            "session show, running": document("session", "show", "demo/main"),
            "session show, failed": document("session", "show", "bad"),
            "session status": document("session", "status", "topic"),
            "session diff": document("session", "diff", "topic"),
            "session diff --stat": document("session", "diff", "topic", "--stat"),
            "session diff --against branch-point": document("session", "diff", "topic", "--against", "branch-point"),
            "session diff --against upstream": document("session", "diff", "main", "--against", "upstream"),
            "session logs": document("session", "logs", "main"),
            "session push --dry-run": document("session", "push", "topic", "--dry-run"),
            "project kept": document("project", "kept", "demo"),
            "profile list": document("profile", "list"),
            "profile show": document("profile", "show", "printer"),
            "config show": document("config", "show"),
            "config path": document("config", "path"),
        }
        return {**readings, "reconcile --dry-run": steps, "doctor": doctor}

    def _agree(self) -> None:
        """Both list the same projects and sessions."""
        if self.maker_can_read:
            for arguments in (("project", "list"), ("session", "list", "--all")):
                check_same(self.maker.json(*arguments), self.user.json(*arguments), " ".join(arguments))

    def _session(self, name: str) -> dict[str, Any]:
        session: dict[str, Any] = self.user.json("session", "show", name)
        return session

    # --- the steps ---

    def _logs(self) -> None:
        commands: list[tuple[str, ...]] = [(), ("--tail", "5"), ("--timestamps", "--tail", "20"), ("--since", "1h")]
        for options in commands:
            done = [relay.run("session", "logs", "main", *options) for relay in self._readers()]
            check(done[-1].code == 0, done[-1].err)
            check(all(one == done[0] for one in done), f"the log differs with {options}", done)
        whole = self.user.run("session", "logs", "main")
        lines = [f"line {number}".encode() for number in range(1, LINES + 1)]
        check(whole.out.splitlines() == [*lines, b"\x1b[31mred\x1b[0m", b"printed"], whole.out[-300:])
        check(whole.err == b"complaint\n", whole.err)
        with terminal(self.user, "session", "logs", "main", "-f", "--tail", "1") as screen:
            screen.see(rb"\Aprinted\r?\n")
            (Path(self._session("main")["work_dir"]) / "more").touch()
            screen.see(rb"\Amore came\r?\n")
            screen.interrupt()
            check(screen.end() == 0, "a log that is left does not end with 0")

    def _readers(self) -> list[Relay]:
        return [self.maker, self.user] if self.maker_can_read else [self.user]

    def _attach(self) -> None:
        before = self.scene.run_of(self._session("side"))
        for word in ("one", "two"):  # the second time what keeps the session has been attached to already
            with terminal(self.user, "session", "attach", "side") as screen:
                screen.type(f"echo typed-{word}-$((40+2))-$RELAY_BRANCH\r".encode())
                screen.see(rf"typed-{word}-42-side".encode())
                # the size is set twice, one column apart, so that a program draws itself again
                screen.type(b"until [ \"$(stty size)\" = '30 90' ]; do sleep 0.1; done; echo size-$((40+2))\r")
                screen.see(rb"size-42")
                screen.type(CTRL_Q)
                check(screen.end() == 0, "attach did not end with 0")
        session = self._session("side")
        check(session["state"] == "running", session)
        check(self.scene.run_of(session) == before, "its command was started again")
        if self.maker_can_read:
            check(b"typed-two-42-side" in self.maker.run("session", "logs", "side").out, "the log lacks what was said")

    def _commands(self) -> None:
        script = 'echo "out $COMPAT $RELAY_SESSION $RELAY_PROJECT $RELAY_BRANCH"; echo err >&2; cat; pwd; exit 7'
        done = self.user.run("session", "shell", "main", "--", "sh", "-c", script, given=b"given\n")
        place = "/workspace" if self.scene.client is not None else self._session("main")["work_dir"]
        check((done.code, done.err) == (7, b"err\n"), done)
        check(done.out == f"out yes main demo main\ngiven\n{place}\n".encode(), done)
        check(self.user.run("session", "shell", "main", "--", "nonexistent").code == 127, "no 127")

    def _shell(self) -> None:
        with terminal(self.user, "session", "shell", "side") as screen:
            screen.type(b"echo shell-$((40+2)); stty size\r")
            screen.see(rb"shell-42\r\n30 90")
            screen.type(b"exit 5\r")
            check(screen.end() == 5, "the exit code is not the shell's")

    def _reconcile(self) -> None:
        check(self.user.json("reconcile", "--dry-run") == {"steps": [], "unseen": []}, "there is something to do")
        check(self.user.json("reconcile") == {"done": [], "unknown": [], "unseen": []}, "something was done")

    def _stop_and_start(self) -> None:
        use = self.user
        before = self._session("main")
        check(self.scene.is_alive(before), "it does not run")
        stopped = use.json("session", "stop", "main")
        check((stopped["state"], stopped["desired"]) == ("stopped", "stopped"), stopped)
        wait_until(lambda: not self.scene.is_alive(before), "the end of what kept it")
        self._agree()
        started = use.json("session", "start", "main")
        check((started["state"], started["container_id"]) == ("running", before["container_id"]), started)
        self.scene.check_supervisor(started, use)
        check(self.scene.labels(started) == self.scene.labels(before), "labels")
        run = self.scene.run_of(started)
        if self.maker_can_read:
            check(self.maker.json("session", "restart", "main")["state"] == "running", "restart by the maker")
            check(use.json("session", "restart", "main")["state"] == "running", "restart by the user")
        else:
            use.json("session", "restart", "main")
        again = self._session("main")
        check(self.scene.run_of(again) != run, "it is the same run")
        runs = 4 if self.maker_can_read else 3
        wait_until(
            lambda: use.run("session", "logs", "main").out.count(b"printed\n") == runs, f"{runs} runs in the log"
        )
        if self.maker_can_read:
            views = [relay.run("session", "logs", "main", "--timestamps") for relay in self._readers()]
            check(views[0] == views[1], "the log of all runs differs")

    def _retry(self) -> None:
        self.user.fails(1, "engine", "session", "retry", "bad")
        session = self._session("bad")
        check((session["state"], session["exit_code"]) == ("error", 3), session)
        check(self.user.run("session", "logs", "bad").err.endswith(b"broken\n"), "its last words")
        self._agree()

    def _errors(self) -> None:
        cases: tuple[tuple[int, str, tuple[str, ...]], ...] = (
            (2, "usage", ("session", "nonsense")),
            (2, "usage", ("project", "list", "--nonsense")),
            (2, "invalid-input", ("session", "create", "demo", "--branch", "nonsense")),
            (2, "invalid-input", ("session", "logs", "main", "--since", "nonsense")),
            (2, "invalid-input", ("profile", "show", "nonsense")),
            (3, "not-found", ("session", "show", "nonsense")),
            (3, "not-found", ("project", "show", "nonsense")),
            (4, "conflict", ("session", "create", "demo", "--name", "main")),
            (4, "conflict", ("session", "retry", "main")),
            (4, "conflict", ("project", "remove", "demo")),
            (2, "invalid-input", ("project", "add", str(self.scene.root / "nowhere"))),
            (1, "git", ("project", "add", str(self.scene.root), "--name", "nothing")),
        )
        for relay in self._readers():
            for code, kind, arguments in cases:
                relay.fails(code, kind, *arguments)
            relay.json("project", "remove", "nothing", "--yes")

    def _upstream(self) -> None:
        use = self.user
        self.scene.upstream_moves(f"news-{use.name}.txt")
        check(len(use.json("project", "fetch", "demo")["changed"]) == 1, "one branch has moved")
        if self.maker_can_read:
            check(self.maker.json("project", "fetch", "demo")["changed"] == [], "the maker finds it moved again")
        updated = use.json("session", "update", "main")
        check((updated["branch"], updated["count"]) == ("main", 1), updated)
        topic = Path(self._session("topic")["work_dir"])
        commit = run_git("rev-parse", "HEAD", cwd=topic)
        use.fails(4, "conflict", "session", "push", "topic")
        pushed = use.json("session", "push", "topic", "--yes")
        check((pushed["pushed"], pushed["commit"]) == (True, commit), pushed)
        check(run_git("rev-parse", "topic", cwd=self.scene.upstream) == commit, "the upstream has another commit")
        facts = [relay.json("session", "status", "topic") for relay in self._readers()]
        check(all(one == facts[0] for one in facts), facts)

    def _export(self) -> None:
        for number, relay in enumerate(self._readers()):
            target = self.scene.root / f"export-{number}"
            check(relay.json("session", "export", "topic", "--to", target)["branch"] == "topic", "the branch")
            check((target / "committed.txt").exists(), "the work is not there")
        rows = [comparable(relay.json("project", "kept", "demo")) for relay in self._readers()]
        check(all(one == rows[0] for one in rows), rows)

    def _remove(self) -> None:
        use = self.user
        session = self._session("topic")
        tree = Path(session["work_dir"])
        use.fails(4, "unsaved-work", "session", "remove", "topic")
        check(self.scene.is_alive(session), "a refused removal ended it")
        use.json("session", "remove", "topic", "--keep")
        check(not tree.exists(), "its clone is still there")
        wait_until(lambda: not self.scene.is_alive(session), "the end of what kept it")
        kept = {row["ref"] for row in use.json("project", "kept", "demo")}
        check(any("/stash/" in ref for ref in kept), kept)
        relays = self._readers()
        relays[0].json("session", "restore", "topic")  # the maker again, if it can read what the user wrote
        back = self._session("topic")
        check((back["id"], back["state"], back["deleted_at"]) == (session["id"], "running", None), back)
        self._agree()
        check((tree / "untracked.txt").read_text() == "untracked\n", "its files are not as they were")
        check(run_git("stash", "list", cwd=tree), "its stash is gone")
        names = self.scene.labels(back)
        check(list(names) == list(self.scene.labels(self._session("main"))), names)

    def _restore_of_the_others(self) -> None:
        check(self.user.json("session", "restore", "given-up")["state"] == "running", "not running")
        self.scene.check_supervisor(self._session("given-up"), self.user)
        self.user.json("session", "remove", "given-up", "--force")

    def _project(self) -> None:
        use = self.user
        before = use.json("session", "list")
        use.json("project", "remove", "demo", "--yes")
        check(use.json("project", "list") == [] and use.json("session", "list") == [], "there is still something")
        wait_until(lambda: not any(self.scene.is_alive(row) for row in before), "the end of all sessions")
        self._agree()
        back = self._readers()[0].run("project", "restore", "demo", "--json")
        check(back.code in {0, 1}, back)  # 1: the session whose command fails failed again
        check([row["id"] for row in use.json("session", "list")] == [row["id"] for row in before], "other sessions")
        use.run("reconcile")
        states = {row["name"]: row["state"] for row in use.json("session", "list")}
        check(states == {"main": "running", "side": "running", "topic": "running", "bad": "error"}, states)

    def _purge(self) -> None:
        self.user.json("project", "remove", "demo", "--yes")
        check(self.user.json("purge", "--older-than", "0")["left"] == [], "not all of the trash could be deleted")
        for name in ("projects", "trash", "tmp"):
            check(list((self.scene.data / name).iterdir()) == [], f"{name} is not empty")
        left = [path.name for path in (self.scene.data / "processes").iterdir() if not path.name.startswith(".")]
        check(left == [], left)
        check(containers(self.scene.client, self.scene.root) == [], "a container is left")


# --- both at once -----------------------------------------------------------------------------------------------------


@dataclass
class Together:
    """Two revisions that change one data directory in turns and at the same time."""

    scene: Scene
    pair: tuple[Relay, Relay]
    report: Report
    places: Path

    def run(self) -> None:
        """Run all steps."""
        one, other = self.pair
        with self.report.step("creates a project", one.name):
            one.json("project", "add", self.scene.upstream, "--name", "demo", "--runtime", self.scene.runtime)
        steps: Sequence[tuple[str, Callable[[], None]]] = (
            ("changes in turns, each seen by the other", self._turns),
            ("sessions created by both at the same time", self._at_once),
            ("one waits for no lock of the other, and names its holder", self._locks),
            ("a relay killed while it creates; the other one finishes", self._killed),
            ("a screen of each shows the changes of the other", self._screens),
        )
        for name, act in steps:
            with self.report.step(name, "both"):
                act()
                self._agree()
        with self.report.step("removes the project; nothing is left", other.name):
            other.json("project", "remove", "demo", "--yes")
            check(one.json("purge", "--older-than", "0")["left"] == [], "not all of the trash could be deleted")
            self._agree()

    def _agree(self) -> None:
        one, other = self.pair
        for arguments in (("project", "list"), ("session", "list", "--all"), ("reconcile", "--dry-run")):
            check_same(
                comparable(one.json(*arguments)), comparable(other.json(*arguments)), f"relay {' '.join(arguments)}"
            )
        check(one.json("reconcile", "--dry-run")["steps"] == [], "there is something to do")

    def _turns(self) -> None:
        for first, second in (self.pair, self.pair[::-1]):
            name = f"turn-{first.name}"
            made = first.json("session", "create", "demo", "--new-branch", name)
            check(second.json("session", "show", name)["state"] == "running", "not running")
            check(second.json("session", "stop", name)["state"] == "stopped", "not stopped")
            check(first.json("session", "show", name)["state"] == "stopped", "not seen as stopped")
            check(first.json("session", "start", name)["state"] == "running", "not running again")
            second.json("session", "remove", name, "--force")
            first.fails(3, "not-found", "session", "show", name)
            check(first.json("session", "restore", name)["id"] == made["id"], "another session came back")
            check(second.json("session", "show", name)["state"] == "running", "not running after its restore")
            self._agree()

    def _at_once(self) -> None:
        begun = [
            (relay, relay.begin("session", "create", "demo", "--new-branch", f"crowd-{relay.name}-{number}", "--json"))
            for number in range(3)
            for relay in self.pair
        ]
        for relay, process in begun:
            out, err = process.communicate(timeout=PATIENCE)
            check(process.returncode == 0, f"{relay.name}: exit code {process.returncode}", err)
            self.scene.check_supervisor(json.loads(out), relay)
        rows = [row for row in self.pair[0].json("session", "list") if row["name"].startswith("crowd-")]
        check(len(rows) == len(begun) and {row["state"] for row in rows} == {"running"}, rows)
        for relay, row in zip(self.pair * 3, rows, strict=True):
            relay.json("session", "remove", row["id"], "--force")

    def _locks(self) -> None:
        for first, second in (self.pair, self.pair[::-1]):
            name = f"stubborn-{first.name}"
            first.json("session", "create", "demo", "--new-branch", name, "--profile", "stubborn")
            wait_until(lambda: b"ready" in first.run("session", "logs", name).out, "its first line")  # noqa: B023
            stopping = first.begin("session", "stop", name, "--json")  # ten seconds: it ignores the signal
            lock = self.scene.data / "locks" / f"{second.json('session', 'show', name)['id']}.lock"
            try:
                wait_until(lambda: str(stopping.pid).encode() in _content(lock), "the lock")  # noqa: B023
                done = second.run("session", "restart", name, "--json")
                check(stopping.poll() is None, "the lock was free before the second one was refused")
                check(done.code == 4 and done.error["kind"] == "conflict", done)
                check(str(stopping.pid) in done.error["detail"], done.error, f"pid {stopping.pid} is not named")
            finally:
                out, err = stopping.communicate(timeout=PATIENCE)
            check(stopping.returncode == 0 and json.loads(out)["state"] == "stopped", out, err)
            second.json("session", "remove", name, "--force")

    def _killed(self) -> None:
        for first, second in (self.pair, self.pair[::-1]):
            name = f"killed-{first.name}"
            creating = first.begin("session", "create", "demo", "--new-branch", name)

            def is_on_record(relay: Relay = second, name: str = name) -> bool:
                return any(row["name"] == name for row in relay.json("session", "list"))

            wait_until(is_on_record, "the record")
            creating.send_signal(signal.SIGKILL)
            creating.communicate()
            done = second.json("reconcile")
            check(done["unknown"] == [] and all(step["error"] is None for step in done["done"]), done)
            check(first.json("session", "show", name)["state"] == "running", "it was not finished")
            second.json("session", "remove", name, "--force")

    def _screens(self) -> None:
        check(shutil.which("tmux"), "there is no tmux")
        one, other = self.pair
        one.json("project", "add", self.scene.upstream, "--name", "aside", "--runtime", self.scene.runtime)
        one.json("project", "remove", "demo", "--yes")
        opened: list[TerminalScreen] = []
        try:
            for number, relay in enumerate(self.pair):
                place = self.places / f"terminal-{number}-{self.scene.runtime}"
                opened.append(TerminalScreen(place, relay.command, width=140, height=36, env=relay.env))
            for screen in opened:
                screen.wait_for(r"running\s+main")
            first, second = opened
            first.press("S")
            second.wait_for(r"stopped\s+main")
            second.press("S")
            first.wait_for(r"running\s+main")
            for relay, name in ((one, "by-one"), (other, "by-other")):
                relay.json("session", "create", "aside", "--name", name)
                for screen in opened:
                    screen.wait_for(rf"running\s+{name}")
            other.json("session", "remove", "by-one", "--force")
            one.json("session", "remove", "by-other", "--force")
            for screen in opened:
                screen.wait_gone(r"running\s+by-")
                check(screen.leave() == 0, "a screen did not end with 0")
        finally:
            for screen in opened:
                screen.close()
        one.json("project", "restore", "demo")
        other.json("project", "remove", "aside", "--yes")


# --- an upgrade -------------------------------------------------------------------------------------------------------


def upgrade_in_place(scene: Scene, old: Revision, new: Revision, report: Report) -> None:
    """Replace the old revision's files by the new ones while its supervisors run, as an installer does."""
    place = scene.root / "installed"

    def install(revision: Revision) -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(revision.source / PACKAGE, place / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))

    install(old)
    before, after = (scene.relay(Revision(revision.name, place)) for revision in (old, new))
    Handover(scene, before, after, report, maker_can_read=False, between=lambda: install(new)).run()


# --- a store that the old revision cannot read ------------------------------------------------------------------------


def refuse_newer_store(scene: Scene, old: Relay, new: Relay, report: Report) -> None:
    """Check that the old revision refuses a store of the new one, and leaves every byte of it as it was."""
    with report.step("the store of the new one is refused, and not touched", f"{new.name} → {old.name}"):
        new.json("project", "add", scene.upstream, "--name", "demo", "--runtime", scene.runtime)
        before = (scene.data / "store.json").read_bytes()
        for arguments in (("session", "list"), ("session", "stop", "main"), ("reconcile",)):
            old.fails(1, "store", *arguments)
        check((scene.data / "store.json").read_bytes() == before, "the store was changed")
        new.json("project", "remove", "demo", "--yes")
        new.json("purge", "--older-than", "0")


# --- making ready, and clearing up ------------------------------------------------------------------------------------


def materialise(revision: str, target: Path) -> Path:
    """Write the files of a git revision below `target`; answer that directory."""
    archive = subprocess.run(
        ("git", "-C", str(ROOT), "archive", "--format=tar", revision), capture_output=True, check=False
    )
    check(archive.returncode == 0, archive.stderr.decode())
    target.mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(target, filter="data")
    return target


def containers(client: docker.DockerClient | None, root: Path) -> list[str]:
    """The ids of the containers that belong to a data directory below `root`."""
    if client is None:
        return []
    found = client.api.containers(all=True, filters={"label": LABEL})
    return [str(one["Id"]) for one in found if one["Labels"][LABEL].startswith(f"{root}/")]


def processes(root: Path) -> list[int]:
    """The pids of other processes with a path below `root` in their command line."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in numbers if pid != os.getpid() and f"{root}/" in _command(pid)]


def clear(client: docker.DockerClient | None, root: Path) -> list[str]:
    """End and remove whatever belongs to `root`; answer in words what had been left there."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    left = [f"process {pid}: {_command(pid)[:200]}" for pid in processes(root)]
    for pid in processes(root):
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)  # a supervisor ends its session then, and kills it after ten seconds
    deadline = time.monotonic() + 15
    while processes(root) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in processes(root):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for container_id in containers(client, root):
        left.append(f"container {container_id}")
        assert client is not None
        client.api.remove_container(container_id, force=True, v=True)
    shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        subprocess.run(("rm", "-rf", "--", str(root)), check=False)
        left.append(f"directory {root}")
    return left


def find_engine() -> docker.DockerClient | None:
    """A client with the test image built, or None if no engine answers."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except docker.errors.DockerException:
        return None
    engine_images.build(client, IMAGE.rpartition("/")[2])
    return client


def has_bubblewrap() -> bool:
    """Return whether a sandbox can be created on this machine."""
    return (
        shutil.which("bwrap") is not None
        and not subprocess.run(
            ("bwrap", "--ro-bind", "/", "/", "--unshare-all", "true"), capture_output=True, check=False
        ).returncode
    )


def run_all(old: Revision, new: Revision, runtimes: Sequence[str], root: Path, *, newer_store: bool) -> Report:
    """Run every scene for every runtime."""
    report = Report()
    client = find_engine() if "docker" in runtimes else None
    pair = (old, new)
    for runtime in runtimes:
        engine = client if runtime == "docker" else None
        for maker, user in (pair, pair[::-1]):
            report.begin(f"{runtime}: {maker.name} creates, {user.name} operates")
            scene = Scene(root / f"{runtime}-{maker.name}", runtime, engine, root / "bytecode")
            scene.prepare()
            relays = scene.relay(maker), scene.relay(user)
            if newer_store and maker is new:
                refuse_newer_store(scene, relays[1], relays[0], report)
            else:
                Handover(scene, *relays, report, maker_can_read=not newer_store).run()
        report.begin(f"{runtime}: {old.name} creates, is replaced in its directory by {new.name}")
        scene = Scene(root / f"{runtime}-upgrade", runtime, engine, root / "bytecode")
        scene.prepare()
        upgrade_in_place(scene, old, new, report)
        if not newer_store:
            report.begin(f"{runtime}: both at once")
            scene = Scene(root / f"{runtime}-both", runtime, engine, root / "bytecode")
            scene.prepare()
            both = scene.relay(old), scene.relay(new)
            Together(scene, both, report, root).run()
    report.begin("afterwards")
    with report.step("no container, no process and no file is left", "both"):
        left = [f"process {pid}: {_command(pid)[:200]}" for pid in processes(root)]
        left += [f"container {found}" for found in containers(client, root)]
        check(not left, *left)
    return report


def main(arguments: Sequence[str]) -> int:
    """Run and print the table; answer the exit code."""
    parser = argparse.ArgumentParser(description="Run two revisions of relay over the same data directory.")
    parser.add_argument("--old", default="a43f153", metavar="REV", help="the earlier revision [%(default)s]")
    parser.add_argument("--new", default="", metavar="REV", help="the later revision [the working tree]")
    parser.add_argument("--runtime", choices=("process", "docker"), help="only this one [each that works here]")
    parser.add_argument(
        "--newer-store", action="store_true", help="expect that OLD refuses a store that NEW has written"
    )
    wanted = parser.parse_args(arguments)
    runtimes = [name for name in ("process", "docker") if wanted.runtime in {None, name}]
    if "docker" in runtimes and find_engine() is None:
        sys.stderr.write("no container engine answers: only processes are tried\n")
        runtimes.remove("docker")
    if "process" in runtimes and not has_bubblewrap():
        sys.stderr.write("bubblewrap does not work: only containers are tried\n")
        runtimes.remove("process")
    if not runtimes:
        return 2
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    root = Path(tempfile.mkdtemp(prefix="relay-compat-")).resolve()
    began = time.monotonic()
    client = docker.from_env(timeout=120) if "docker" in runtimes else None
    try:
        old = Revision("old", materialise(wanted.old, root / "old"))
        new = Revision("new", materialise(wanted.new, root / "new") if wanted.new else ROOT)
        probe = Scene(root / "probe", "process", None, root / "bytecode")
        probe.prepare()
        for revision, given in ((old, wanted.old), (new, wanted.new or "the working tree")):
            probe.relay(revision).check_source()
            sys.stdout.write(f"{revision.name}: {given}, {revision.source}\n")
        report = run_all(old, new, runtimes, root, newer_store=wanted.newer_store)
    except AssertionError as error:
        sys.stderr.write(f"the run could not begin: {error}\n")
        return 2
    finally:
        clear(client, root)
    seconds = time.monotonic() - began
    sys.stdout.write(f"\n{report.steps} steps, {report.failures} failed, {seconds:.0f} s\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
