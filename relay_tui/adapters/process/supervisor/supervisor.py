"""Supervisor of one session's command: start it, write its log, connect its terminal, record its end.

The supervisor outlives relay and the SSH connection. relay talks to it over a socket in the session's directory. It is
started by __main__ with little more than the standard library; launcher.py is the part inside the sandbox.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import platform
import select
import signal
import struct
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from relay_tui.adapters.linux import oom, procfs
from relay_tui.adapters.process.change_notifier import notify
from relay_tui.adapters.process.session_dir import SessionDir, carry_over_history, read, reserve_space, write
from relay_tui.adapters.process.supervisor import launcher
from relay_tui.adapters.process.supervisor import supervisor as supervisor_module
from relay_tui.adapters.process.supervisor.control_server import ClientConnection, ControlServer
from relay_tui.adapters.process.supervisor.journal import STDERR, STDOUT, Writer
from relay_tui.adapters.process.supervisor.launcher_process import LauncherProcess, NotStartedError

COMMAND = 0
"""The number of the session's own command; what is run beside it gets higher ones."""


_READ = 1 << 16


_DRAIN_SECONDS = 2.0


_HANG_UP_SECONDS = 2.0


_LOOK_SECONDS = 60.0


_MOST_TYPED = 1 << 20


class Supervisor:
    """One run of a session's command, from start to end."""

    def __init__(self, session_dir: SessionDir, spec: dict[str, Any], order: dict[str, Any]) -> None:
        self._session_dir = session_dir
        self._before = carry_over_history(read(session_dir.state), _stamp(time.time_ns()))
        self._spec = spec
        self._order = order
        reserve_space(session_dir.state)  # room for the exit state, even on a full disk
        self._log = Writer(session_dir.log)
        self._outputs: dict[int, int] = {}  # descriptor to stream
        self._terminal = -1
        self._typed = b""
        self._inside: LauncherProcess
        self._kills = oom.oom_kill_count()
        self._began = 0  # ns since 1970: no line of the command is older
        self._guests: ControlServer
        self._kill_at: float | None = None
        self._hang_ups: dict[int, float] = {}
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._end: int | None = None
        self._state: dict[str, Any] = {}

    # --- the start ---

    def start(self) -> None:
        """Start the launcher, in its sandbox if there is one, and the command. Raises NotStartedError."""
        self._inside = LauncherProcess(self._order["wrap"], str(self._order["token"]))
        try:
            self._inside.await_ready()
            self._began = time.time_ns()
            if self._spec["argv"]:
                self._start_command()
            self._guests = ControlServer(self._session_dir, self)
            self._record("running")
        except BaseException as error:
            self._inside.kill_all()
            if isinstance(error, NotStartedError):
                self._record("exited", exit_code=error.code, error=error.words)
            raise

    def _start_command(self) -> None:
        streams: list[int] = []
        if not self._spec["tty"]:
            nothing = os.open("/dev/null", os.O_RDONLY)
            out, err = os.pipe(), os.pipe()
            streams, self._outputs = [nothing, out[1], err[1]], {out[0]: STDOUT, err[0]: STDERR}
        env = {**self._spec["env"], **({"TERM": "xterm-256color"} if self._spec["tty"] else {})}
        self.run_helper(COMMAND, self._spec["argv"], env, tty=self._spec["tty"], streams=streams)
        self._inside.await_started()
        if self._inside.lent:
            self._terminal = self._inside.lent.pop()
            self._outputs = {self._terminal: STDOUT}
            set_size(self._terminal, 24, 80)
        for descriptor in self._outputs:
            os.set_blocking(descriptor, False)

    # --- what guests ask for ---

    def run_helper(self, number: int, argv: list[str], env: dict[str, str], *, tty: bool, streams: list[int]) -> None:
        """Request the start of a program, which takes over the descriptors. Raises OSError."""
        order = {"argv": argv, "env": env, "cwd": self._spec["cwd"], "tty": tty}
        self._inside.start(number, order, streams)

    def environment(self) -> dict[str, str]:
        """Return the environment of the command."""
        return dict(self._spec["env"])

    def hang_up(self, number: int) -> None:
        """Hang up a program whose client disconnected, and kill it if it stays."""
        self._inside.signal(number, signal.SIGHUP)
        self._hang_ups[number] = time.monotonic() + _HANG_UP_SECONDS

    def stop(self, grace: float) -> None:
        """Terminate all programs, then kill them."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace
            if not self._spec["argv"]:
                self._end = -signal.SIGTERM
            self._inside.signal(-1, signal.SIGTERM)
            self._inside.signal(-1, signal.SIGCONT)

    def type(self, data: bytes) -> None:
        """Send bytes to the command's terminal. A bounded amount waits until the terminal accepts it."""
        self._typed = (self._typed + data)[:_MOST_TYPED] if self._terminal >= 0 else b""
        with suppress(OSError):
            while self._typed:
                self._typed = self._typed[os.write(self._terminal, self._typed) :]

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the command's terminal."""
        if self._terminal >= 0:
            set_size(self._terminal, rows, columns)

    # --- the run ---

    def serve(self) -> None:
        """Serve until the command has ended."""
        stirred, stir = os.pipe()
        os.set_blocking(stir, False)
        signal.signal(signal.SIGTERM, lambda *_: self.stop(10.0))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(stir, warn_on_full_buffer=False)
        while self._end is None:
            poller = select.poll()
            for descriptor in (*self._outputs, self._inside.fileno(), stirred):
                typed = select.POLLOUT if self._typed and descriptor == self._terminal else 0
                poller.register(descriptor, select.POLLIN | typed)
            self._guests.register(poller)
            ready = dict(poller.poll(self._patience()))
            if stirred in ready:
                os.read(stirred, 4096)
            if ready.get(self._terminal, 0) & select.POLLOUT:
                self.type(b"")
            for descriptor in [d for d in self._outputs if ready.get(d, 0) & ~select.POLLOUT]:
                self._take(descriptor)
            if self._inside.fileno() in ready:
                self._hear()
            elif self._end is None:  # another process may still hold the other end of the channel
                self._end = self._inside.ended()
            self._guests.serve(ready)
            self._make_end()

    def _patience(self) -> float:
        """Return the milliseconds until the next timeout."""
        due = [moment for moment in (self._look_at, self._kill_at, *self._hang_ups.values()) if moment is not None]
        return max(0.0, min(due) - time.monotonic()) * 1000

    def _make_end(self) -> None:
        """Kill programs that did not end in time."""
        moment = time.monotonic()
        if self._look_at <= moment:
            self._look_at = moment + _LOOK_SECONDS
            if (
                not self._session_dir.spec.exists()
            ):  # the data directory was deleted: no relay will ever stop this supervisor
                self.stop(10.0)
        for number in [n for n, due in self._hang_ups.items() if due <= moment]:
            del self._hang_ups[number]
            self._inside.signal(number, signal.SIGKILL)
        if self._kill_at is not None and self._kill_at <= moment and self._end is None:
            self._end = -signal.SIGKILL

    def _take(self, descriptor: int) -> None:
        """Write the command's output to the log and send it to attached clients."""
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return
        except OSError:  # the other end of the terminal is closed
            data = b""
        if not data:
            stream = self._outputs.pop(descriptor)
            if stream == STDOUT and descriptor == self._terminal:
                self._terminal = -1
            os.close(descriptor)
            return
        self._log.write(self._outputs[descriptor], data)
        self._guests.show(data)

    def _hear(self) -> None:
        """Pass a message of the launcher to the client it belongs to."""
        reply = self._inside.message()
        number = reply.get("ended") if reply is not None else None
        if reply is None:
            self._end = self._inside.reap()
        elif number == COMMAND and self._spec["argv"]:
            self._end = reply["code"] if isinstance(reply.get("code"), int) else 1
        elif reply:
            if isinstance(number, int):
                self._hang_ups.pop(number, None)
            self._guests.answer(reply, self._inside.lent)
        while self._inside.lent:
            os.close(self._inside.lent.pop())

    # --- the end ---

    def finish(self) -> None:
        """Kill remaining programs, read the last output and record the exit state."""
        self._inside.kill_all()
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._outputs and (left := deadline - time.monotonic()) > 0:
            poller = select.poll()
            for descriptor in self._outputs:
                poller.register(descriptor, select.POLLIN)
            for descriptor, _ in poller.poll(left * 1000):
                self._take(descriptor)
        code = self._end if self._end is not None else 1
        name = signal.Signals(-code).name if code < 0 and -code in list(signal.Signals) else ""
        self._record("exited", exit_code=128 - code if code < 0 else code, signal=name)
        self._log.close()
        self._guests.close()

    def _record(self, status: str, **more: Any) -> None:  # noqa: ANN401
        if status == "running":
            own = os.getpid()
            self._state = {
                "pid": own,
                "start": procfs.start_time(own),
                "boot": procfs.boot(),
                "started_at": _stamp(self._began),
            }
            self._state["kills_before"] = self._kills
        elif not more.get("error"):
            self._state |= {"finished_at": _stamp(time.time_ns()), "kills_after": oom.oom_kill_count()}
        token = self._order["token"] if not self._order["wrap"] else ""
        self._state = {**self._state, "status": status, "token": token, "exit_code": None, **more}
        self._state["before"] = self._before
        with suppress(FileNotFoundError):  # the data dir was deleted
            write(self._session_dir.state, self._state, kept=status == "exited")
        notify(self._session_dir.root.parent, str(self._spec["session_id"]))


def _stamp(moment: int) -> str:
    seconds, rest = divmod(moment, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set the size of a terminal."""
    with suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main(directory: str) -> None:
    """Supervise the session in `directory`: report the command's start on stdout, then run detached."""
    order = json.loads(sys.stdin.buffer.read())
    session_dir = SessionDir(Path(directory))
    if os.fork():
        os._exit(0)
    os.setsid()
    _redirect(session_dir)
    report = os.dup(1)
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    lock = os.open(session_dir.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(report, json.dumps({"already": True}).encode())
        return
    launcher.reap_orphans()
    supervisor_module.join_new_session_keyring()
    try:
        supervisor = Supervisor(session_dir, read(session_dir.spec) or {}, order)
        supervisor.start()
    except NotStartedError as error:
        os.write(report, json.dumps({"words": error.words, "code": error.code}).encode())
        return
    except OSError as error:
        os.write(report, json.dumps({"errno": error.errno, "words": str(error)}).encode())
        return
    os.write(report, json.dumps({"started": True}).encode())
    os.close(report)
    supervisor.serve()
    supervisor.finish()


def _redirect(session_dir: SessionDir) -> None:
    """Detach from the starting process: no terminal, no working directory, only a stream for errors."""
    os.chdir("/")
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open("/dev/null", os.O_RDWR), 0)
    os.dup2(os.open(session_dir.complaints, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)


__all__ = ["COMMAND", "ClientConnection", "Supervisor", "main"]


_KEYCTL = {"x86_64": 250, "aarch64": 219}


_JOIN_SESSION_KEYRING = 1


def join_new_session_keyring() -> bool:
    """Join a new, empty session keyring; return whether that worked. Processes started later inherit it."""
    number = _KEYCTL.get(platform.machine())
    if number is None:
        return False
    return int(ctypes.CDLL(None).syscall(number, _JOIN_SESSION_KEYRING, None)) > 0
