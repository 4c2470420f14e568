"""Launcher process of a supervisor: start it, in its sandbox if there is one, and exchange messages with it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any

from relay_tui.adapters.linux import procfs
from relay_tui.adapters.process.supervisor import launcher

_READ = 1 << 16
_READY_SECONDS = 20.0
_REAP_SECONDS = 5.0
_END_SECONDS = 1.0
_SEND_SECONDS = 2.0


class NotStartedError(Exception):
    """The command did not start. `words` has the reason, `code` the exit code that a shell would return."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.words = words
        self.code = code


class LauncherProcess:
    """Launcher process that starts a session's programs. Programs in the sandbox may have tampered with it."""

    def __init__(self, wrap: list[str] | None, token: str) -> None:
        self._wrap = wrap
        self._token = token
        self._words = -1
        self.lent: list[int] = []
        """Descriptors that came with its last message."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._words, words = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            self._channel.close()
            if wrap:
                _become_sandbox(wrap, theirs.fileno(), words)
            _be_launcher(theirs.fileno())
        theirs.close()
        os.close(words)
        self._channel.settimeout(_SEND_SECONDS)  # it may be stopped, and take no more

    def fileno(self) -> int:
        """Return the descriptor that is readable when a message arrives."""
        return self._channel.fileno()

    def await_ready(self) -> None:
        """Wait until the launcher can start programs. Raises NotStartedError with the sandbox's error output."""
        if "ready" not in self._answer():
            self.kill_all()
            words = b""
            with suppress(OSError):
                words = os.read(self._words, _READ)
            raise NotStartedError(words.decode(errors="replace").strip() or "the sandbox did not come up", 126)
        os.close(self._words)

    def await_started(self) -> None:
        """Wait until the requested program runs. Raises NotStartedError."""
        said = self._answer()
        if "started" not in said:
            raise NotStartedError(str(said.get("words") or "the sandbox ended"), int(said.get("code", 126)))

    def _answer(self) -> dict[str, Any]:
        """Return the next valid message; {} if the launcher ended or did not reply in time."""
        deadline = time.monotonic() + _READY_SECONDS
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0 and poller.poll(left * 1000):
            said = self.message()
            if said is None:
                return {}
            if said:
                return said
        return {}

    def message(self) -> dict[str, Any] | None:
        """Return the next message; {} if it is invalid, None at the end. The message is not trusted."""
        try:
            message, self.lent = launcher.receive(self._channel, launcher.MOST)
        except TimeoutError:
            return {}
        except OSError:
            return None
        if not message:  # a message may be empty as well
            return None if self._is_closed() else {}
        try:
            said = json.loads(message)
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    def _is_closed(self) -> bool:
        poller = select.poll()
        poller.register(self._channel, 0)
        return any(events & select.POLLHUP for _, events in poller.poll(0))

    def start(self, number: int, order: dict[str, Any], streams: list[int]) -> None:
        """Request the start of a program, which takes over the descriptors. Raises OSError."""
        order = {"do": "exec", "id": number, **order, "env": {**order["env"], procfs.MARK: self._token}}
        try:
            socket.send_fds(self._channel, [json.dumps(order).encode()], streams)
        finally:
            for descriptor in streams:
                os.close(descriptor)

    def signal(self, number: int, which: int) -> None:
        """Send a signal to a program's process group; -1 means all groups."""
        with suppress(OSError):
            self._channel.send(json.dumps({"do": "signal", "id": number, "signal": which}).encode())

    def kill_all(self) -> None:
        """Kill all programs. A sandbox ends with its first process; without one, all descendants are killed."""
        if not self._wrap:
            self._channel.close()
            _kill_below(os.getpid())
        if self._child:
            with suppress(OSError):
                os.kill(self._child, signal.SIGKILL)
            self.reap()
        _reap_strays()

    def ended(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        try:
            pid, status = os.waitpid(self._child, os.WNOHANG) if self._child else (0, 256)
        except ChildProcessError:
            pid, status = self._child, 256
        if self._child and not pid:
            return None
        self._child = 0
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code > 128 and self._wrap else code  # so bubblewrap tells what signal ended its inner half

    def reap(self) -> int:
        """Wait for a process that is ending; return its exit code, or 1 if that takes too long."""
        deadline = time.monotonic() + _END_SECONDS
        while (code := self.ended()) is None and time.monotonic() < deadline:
            time.sleep(0.002)
        return 1 if code is None else code


def _become_sandbox(wrap: list[str], channel: int, words: int) -> None:
    """Become the sandbox in the child, with the channel and an error pipe as the only descriptors."""
    try:
        os.dup2(words, 2)
        if channel == launcher.CHANNEL:
            os.set_inheritable(channel, True)
        else:
            os.dup2(channel, launcher.CHANNEL)
        arguments = os.memfd_create("arguments", 0)  # not on the command line, which the sandbox can read
        os.write(arguments, b"\0".join(os.fsencode(word) for word in wrap[1 : wrap.index("--")]))
        os.lseek(arguments, 0, os.SEEK_SET)
        command = [wrap[0], "--args", str(arguments), *wrap[wrap.index("--") :]]
        os.execve(wrap[0], command, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})
    except OSError as error:
        os.write(2, f"{wrap[0]}: {error.strerror}".encode())
    finally:
        os._exit(126)


def _be_launcher(channel: int) -> None:
    """Become a launcher without a sandbox in the child. It ends with its supervisor."""
    try:
        os.dup2(channel, launcher.CHANNEL)
        os.closerange(launcher.CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))  # the lock, the log, the report
        os.dup2(os.open("/dev/null", os.O_RDWR), 2)
        launcher.reap_orphans()
        launcher.Launcher(socket.socket(fileno=launcher.CHANNEL)).serve()
        _kill_below(os.getpid())
    finally:
        os._exit(0)


def _reap_strays() -> None:
    """Wait for the descendants: the inner half of a sandbox becomes a child here when its outer half is killed."""
    deadline = time.monotonic() + _REAP_SECONDS
    with suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.002)


def _kill_below(root: int) -> None:
    """Kill all descendants of a process, including new ones."""
    for _ in range(100):
        left = [pid for pid in procfs.descendants(root) if procfs.start_time(pid) is not None]
        if not left:
            return
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
