"""Attaching and running commands, on real terminals and real pipes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from relay_tui.adapters.docker import DockerRuntime
from relay_tui.adapters.runtime_common.stdio_bridge import CTRL_Q, find_key
from relay_tui.adapters.runtime_common.terminal_modes import TerminalModes
from relay_tui.domain.errors import ConflictError
from relay_tui.ports import ContainerSpec
from relay_tui.ports.task import TaskContext

_CHILD = """
import sys
from pathlib import Path
from relay_tui.adapters.docker import DockerRuntime
from relay_tui.domain.errors import RelayError
verb, data, container_id, *command = sys.argv[1:]
runtime = DockerRuntime(Path(data), Path(data))
try:
    code = runtime.run(container_id, command) if verb == "run" else runtime.attach(container_id) or 0
except RelayError as error:
    sys.stderr.write(f"{error.kind}: {error.title}: {error.detail}\\n")
    code = 99
if sys.stdin.isatty() and sys.stdout.isatty():
    sys.stdout.write(f"left {code}\\n")
    sys.stdout.flush()
    sys.stdin.readline()
sys.exit(code)
"""


def _arguments(verb: str, data: Path, container_id: str, command: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-c", _CHILD, verb, str(data), container_id, *command]


class Screen:
    """A child on a terminal of its own: what it has shown, and keys for it."""

    def __init__(self, arguments: list[str], *, rows: int = 24, columns: int = 80) -> None:
        self.shown = b""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(arguments[0], arguments)
        os.set_inheritable(self._terminal, False)  # held by another child it would outlive us

    def resize(self, rows: int, columns: int) -> None:
        """Make the terminal larger or smaller; its child gets SIGWINCH."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, keys)

    def wait_for(self, words: bytes, timeout: float = 15.0) -> None:
        """Wait until it shows `words` (since the last forget())."""
        wait_until(lambda: words in self.read(), timeout, f"{words!r}")

    def forget(self) -> None:
        """Wait for what comes next only."""
        self.shown = b""

    def read(self) -> bytes:
        """All that it has shown."""
        while select.select([self._terminal], [], [], 0)[0]:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # the child is gone
                break
            self.shown += data
        return self.shown

    def modes(self) -> list[object]:
        """The terminal's own settings."""
        return termios.tcgetattr(self._terminal)[:4]

    def hang_up(self) -> int:
        """Close the terminal, as a lost line does; answer the signal that its child ended by."""
        os.close(self._terminal)
        self._terminal = -1
        return os.WTERMSIG(self._wait())

    def tell(self, number: int) -> int:
        """Send a signal to the child; answer the one that it ended by."""
        os.kill(self.pid, number)
        return os.WTERMSIG(self._wait())

    def _wait(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return status

    def close(self) -> None:
        """Make sure that it is gone."""
        try:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
                self._wait()
        finally:
            if self._terminal >= 0:
                os.close(self._terminal)


class Box:
    """A session's container and children that use it."""

    def __init__(self, runtime: DockerRuntime, data: Path, workspace: Path) -> None:
        self.runtime = runtime
        self.data = data
        self._workspace = workspace
        self._screens: list[Screen] = []

    def start(self, *command: str, tty: bool = True, image: str = "git", user: str = "host") -> str:
        """A running container."""
        self._workspace.mkdir(exist_ok=True)
        spec = ContainerSpec(
            name=f"relay-test-terminal-{os.getpid()}",
            image=f"relay-test/{image}",
            workspace=self._workspace,
            command=command,
            tty=tty,
            user=user,
            labels={"relay.session": "t1", "relay.project": "p1"},
        )
        container_id = self.runtime.create(spec, TaskContext())
        self.runtime.start(container_id)
        return container_id

    def screen(self, verb: str, container_id: str, *command: str, rows: int = 24, columns: int = 80) -> Screen:
        """A child on a terminal."""
        screen = Screen(_arguments(verb, self.data, container_id, command), rows=rows, columns=columns)
        self._screens.append(screen)
        return screen

    def pipe(self, container_id: str, *command: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """A finished `run` on pipes; without `given` its stdin is /dev/null."""
        arguments = _arguments("run", self.data, container_id, command)
        if given is None:
            return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        return subprocess.run(arguments, input=given, capture_output=True, check=False, timeout=60)

    def close(self) -> None:
        """End every child."""
        for screen in self._screens:
            screen.close()


@pytest.fixture
def box(runtime: DockerRuntime, containers: Path, tmp_path: Path) -> Iterator[Box]:
    made = Box(runtime, containers, tmp_path / "clone")
    yield made
    made.close()


# --- run, on pipes ---------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_output_errors_and_exit_code_come_through_apart(box: Box) -> None:
    done = box.pipe(box.start(), "sh", "-c", "echo out; echo err >&2; pwd; exit 42")
    assert (done.returncode, done.stdout, done.stderr) == (42, b"out\n/workspace\n", b"err\n")


@pytest.mark.engine
def test_arguments_are_passed_as_they_are(box: Box) -> None:
    done = box.pipe(box.start(), "printf", "%s|", "a b", "", "$HOME", "*", "ü")
    assert done.stdout == "a b||$HOME|*|ü|".encode()


@pytest.mark.engine
def test_large_data_goes_both_ways(box: Box, tmp_path: Path) -> None:
    container_id = box.start()
    size = 100 << 20
    given = tmp_path / "given"
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with given.open("wb") as file:
        for _ in range(size >> 20):
            file.write(block)
            digest.update(block)
    begun = time.monotonic()
    with given.open("rb") as file, (tmp_path / "got").open("wb") as got:
        done = subprocess.run(
            _arguments("run", box.data, container_id, ("cat",)), stdin=file, stdout=got, check=False, timeout=60
        )
    assert done.returncode == 0
    assert time.monotonic() - begun < 30
    with (tmp_path / "got").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()


@pytest.mark.engine
def test_end_of_input_reaches_the_command(box: Box) -> None:
    container_id = box.start()
    assert box.pipe(container_id, "wc", "-c", given=b"x" * 1000).stdout.strip() == b"1000"
    assert box.pipe(container_id, "wc", "-c").stdout.strip() == b"0"


@pytest.mark.engine
def test_command_that_ends_before_its_input_does_not_hang(box: Box) -> None:
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        arguments = _arguments("run", box.data, box.start(), ("head", "-n", "1"))
        done = subprocess.run(arguments, stdin=endless.stdout, capture_output=True, check=False, timeout=20)
        endless.kill()
    assert (done.returncode, done.stdout) == (0, b"y\n")


@pytest.mark.engine
def test_reader_that_goes_away_ends_it(box: Box) -> None:
    arguments = _arguments("run", box.data, box.start(), ("sh", "-c", "seq 1 200000"))
    with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"1\n"
        running.stdout.close()
        assert running.wait(20) == 141


@pytest.mark.engine
def test_full_disk_is_told_as_such(box: Box) -> None:
    arguments = _arguments("run", box.data, box.start(), ("echo", "x"))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, check=False, timeout=20
        )
    assert done.returncode == 99
    assert b"file-system: Cannot write the output: No space left on device" in done.stderr


@pytest.mark.engine
def test_program_that_is_not_there_or_not_executable(box: Box) -> None:
    container_id = box.start()
    missing = box.pipe(container_id, "nope")
    assert (missing.returncode, missing.stdout) == (127, b"")
    assert b'"nope": executable file not found' in missing.stderr
    refused = box.pipe(container_id, "/etc/passwd")
    assert (refused.returncode, refused.stdout) == (126, b"")
    assert b"permission denied" in refused.stderr


@pytest.mark.engine
def test_nothing_runs_in_what_does_not_run(box: Box) -> None:
    container_id = box.start()
    box.runtime.stop(container_id)
    for call in (lambda: box.runtime.run(container_id, ("true",)), lambda: box.runtime.attach(container_id)):
        with pytest.raises(ConflictError) as caught:
            call()
        assert "exited" in caught.value.detail


# --- run, on a terminal ----------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_shell_has_a_terminal_of_our_size_that_follows(box: Box) -> None:
    screen = box.screen("run", box.start(user="4321:4321"), rows=30, columns=101)
    screen.type(b"echo $0 $SHELL $TERM $COLORTERM; id -un; shopt login_shell\r")
    screen.wait_for(b"/bin/bash /bin/bash xterm-256color truecolor\r\nrelay\r\nlogin_shell    \ton")
    screen.type(b"stty size\r")
    screen.wait_for(b"\r\n30 101\r\n")
    screen.resize(33, 77)
    screen.type(b"until stty size | grep '^33 77$'; do :; done\r")
    screen.wait_for(b"\r\n33 77\r\n")
    screen.type(b"exit 5\r")
    screen.wait_for(b"left 5\r\n")


def processes(box: Box, container_id: str) -> list[str]:
    """Return the processes in the container, except the one that lists them."""
    said = box.pipe(container_id, "sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done")
    lines = [line.strip() for line in said.stdout.decode().splitlines()]
    return [line for line in lines if line and "/proc/" not in line and not line.startswith("tr ")]


@pytest.mark.engine
@pytest.mark.parametrize("image", ["git", "busybox"])  # bash, and a plain sh
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_shell_ends_with_its_terminal(box: Box, image: str, number: int) -> None:
    container_id = box.start(image=image)
    alone = processes(box, container_id)
    screen, other = box.screen("run", container_id), box.screen("run", container_id)
    for shell in (screen, other):
        shell.type(b"sleep 1234 & echo '='up'='; sleep 4321\r")
        shell.wait_for(b"=up=")
    wait_until(lambda: processes(box, container_id).count("sleep 4321") == 2)
    assert number == (screen.hang_up() if number == signal.SIGHUP else screen.tell(number))
    wait_until(lambda: processes(box, container_id).count("sleep 4321") == 1)
    other.type(b"\x03")
    other.type(b"echo '='still'='\r")
    other.wait_for(b"=still=")
    other.hang_up()
    wait_until(lambda: [p for p in processes(box, container_id) if "sleep 1234" not in p] == alone)


@pytest.mark.engine
def test_program_that_stays_when_its_terminal_is_gone_is_killed(box: Box) -> None:
    container_id = box.start()
    screen = box.screen("run", container_id, "sh", "-c", "trap '' HUP; echo ready; sleep 4321; sleep 4322")
    screen.wait_for(b"ready")
    screen.hang_up()
    wait_until(lambda: not any("trap" in line for line in processes(box, container_id)))


@pytest.mark.engine
@pytest.mark.parametrize(("image", "user", "shell"), [("busybox", "host", b"sh"), ("own-user", "image", b"/bin/ash")])
def test_shell_is_the_users_own_or_what_there_is(box: Box, image: str, user: str, shell: bytes) -> None:
    screen = box.screen("run", box.start(image=image, user=user))
    screen.type(b"echo =$0=\r")
    wait_until(lambda: re.search(rb"=[/a-z]*" + shell + rb"=\r\n", screen.read()))


@pytest.mark.engine
def test_login_shell_keeps_the_image_path(box: Box) -> None:
    screen = box.screen("run", box.start(image="profile-path"))
    screen.type(b"echo =$PATH=\r")
    screen.wait_for(b"=/opt/tool/bin:/usr/local/sbin:")


@pytest.mark.engine
@pytest.mark.parametrize("verb", ["run", "attach"])
def test_every_key_arrives_at_once(box: Box, verb: str) -> None:
    command = ("sh", "-c", "stty raw -echo; echo ready; read -r _; exec od -An -v -tx1 -w1")
    container_id = box.start(*(command if verb == "attach" else ()))
    screen = box.screen(verb, container_id, *(command if verb == "run" else ()))
    screen.wait_for(b"ready" if verb == "run" else b"leaves it running")
    screen.type(b"\n")
    for key in b"\x03\x10\x1a\x04\r\x13\x1b":
        screen.type(bytes([key]))
        screen.wait_for(b"%02x" % key, timeout=5)
        screen.forget()


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        (b"ab\x11", 2),
        (b"a\x1b[113;69u", 1),
        (b"\x1b[113::113;5:1u", 0),
        (b"\x1b[27;5;113~", 0),
        (b"\x1b[113;6u", None),
        (b"\x1b[113;5:3u", None),
        (b"q\x1b[112;5u", None),
    ],
)
def test_ctrl_q_as_terminals_tell_it(typed: bytes, at: int | None) -> None:
    assert find_key(CTRL_Q, typed) == at


@pytest.mark.engine
def test_terminal_comes_back_as_it_was_though_the_program_died_in_full_screen(box: Box) -> None:
    script = r"printf '\033[?1049h\033[?25l\033[?1000h\033[?2004hfull'; read -r x"
    screen = box.screen("run", box.start(), "sh", "-c", script)
    before = screen.modes()
    screen.wait_for(b"full")
    assert screen.modes() != before
    screen.forget()
    screen.type(b"\r")
    screen.wait_for(b"left 0")
    after = screen.read().partition(b"left 0")[0]
    for sequence in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l"):
        assert sequence in after
    assert screen.modes() == before


def test_only_what_is_still_on_is_undone() -> None:
    modes = TerminalModes()
    for byte in b"\x1b[?1049h\x1b[?1000;1006h\x1b[>1u\x1b[?25l\x1b[>4;2m text \x1b[?1000l\x1b[?25h":
        modes.feed(bytes([byte]))
    assert modes.undo() == b"\x1b[0m\x1b[<u\x1b[>4;0m\x1b[?1006l\x1b[?1049l"
    modes.feed(b"\x1b[?1049l\x1b[?1006l\x1b[<u\x1b[>4m")
    assert modes.undo() == b""
    modes.feed(b"nothing \x1b[1mbold\x1b[0m")
    assert modes.undo() == b""


# --- attach ----------------------------------------------------------------------------------------------------------

_ECHO = "trap 'echo size $(stty size)' WINCH; echo begun; while :; do read -r x && echo got $x; done"


@pytest.mark.engine
@pytest.mark.parametrize("key", [b"\x11", b"\x1b[113;5u"])
def test_attach_types_into_the_program_and_ctrl_q_leaves_it_running(box: Box, key: bytes) -> None:
    container_id = box.start("bash", "-c", _ECHO)
    screen = box.screen("attach", container_id)
    before = screen.modes()
    screen.wait_for(b"ctrl+q leaves it running")
    assert b"\x1b[2mattached to relay-test-terminal" in screen.read()
    wait_until(lambda: screen.modes() != before)
    screen.type(b"hello\r")
    screen.wait_for(b"got hello\r\n")
    screen.type(key)
    screen.wait_for(b"left 0")
    assert screen.modes() == before
    assert box.runtime.inspect(container_id).status == "running"


@pytest.mark.engine
def test_attach_makes_a_program_redraw_and_follow_the_size(box: Box) -> None:
    container_id = box.start(
        "bash", "-c", "trap 'echo size $(stty size)' WINCH; echo begun; while :; do sleep 0.01; done"
    )
    screen = box.screen("attach", container_id, rows=31, columns=91)
    screen.wait_for(b"size 31 91\r\n")
    screen.type(b"\x11")
    screen.wait_for(b"left 0")
    again = box.screen("attach", container_id, rows=31, columns=91)
    again.wait_for(b"size 31 91\r\n")
    again.resize(20, 60)
    again.wait_for(b"size 20 60\r\n")


@pytest.mark.engine
def test_attach_ends_when_the_program_does(box: Box) -> None:
    container_id = box.start("bash", "-c", _ECHO)
    screen = box.screen("attach", container_id)
    screen.type(b"hello\r")
    screen.wait_for(b"got hello\r\n")
    box.runtime.remove(container_id)
    screen.wait_for(b"left 0")


@pytest.mark.engine
def test_attach_without_a_terminal_in_the_container(box: Box) -> None:
    container_id = box.start("sh", "-c", "while read -r x; do echo got $x; echo err $x >&2; done", tty=False)
    screen = box.screen("attach", container_id)
    screen.wait_for(b"leaves it running")
    screen.type(b"hello\r")
    screen.wait_for(b"got hello\r\n")
    screen.wait_for(b"err hello\r\n")
    screen.type(b"\x11")
    screen.wait_for(b"left 0")
    assert box.runtime.inspect(container_id).status == "running"


@pytest.mark.engine
def test_there_is_nothing_to_attach_to_in_an_idle_session(box: Box) -> None:
    with pytest.raises(ConflictError) as caught:
        box.runtime.attach(box.start())
    assert "no command of its own" in caught.value.title
    assert "shell" in caught.value.hint
