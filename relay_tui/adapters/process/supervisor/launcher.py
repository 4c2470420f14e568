"""Launcher: starts programs beside a session's command, inside the sandbox if there is one.

This file imports nothing of relay, because the sandbox contains nothing else of it. Requests arrive over a socket at
descriptor 3, with the descriptors of the program's standard streams, or the launcher creates a terminal. It reports the
result of each program. Programs in the sandbox can tamper with the launcher: it knows no secrets, and only the
session's own programs depend on it.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import signal
import socket
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

CHANNEL = 3
PROVE, HELD, SCOPED = "--prove", "held", "scoped"
MOST = 160_000
"""Bytes of one message at most."""
_FEW = 10  # process ids start at 1 in a sandbox
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


class Launcher:
    """Running children by the number of their request."""

    def __init__(self, channel: socket.socket) -> None:
        channel.set_inheritable(False)  # no program that we start may speak for us, or keep our end from being seen
        self._channel = channel
        self._running: dict[int, int] = {}

    def serve(self) -> None:
        """Serve requests until the supervisor closes the channel."""
        child, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(child, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(child, select.POLLIN)
        self._tell({"ready": True})
        while True:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if child in ready:
                os.read(child, 4096)
                self._reap()
            if self._channel.fileno() in ready and not self._hear():
                return

    def _hear(self) -> bool:
        """Handle the supervisor's next request; return False if it is gone."""
        try:
            message, streams = receive(self._channel, MOST)
        except OSError:
            return False
        if not message:
            return False
        order = json.loads(message)
        if order["do"] == "signal":
            self._signal(int(order["id"]), int(order["signal"]))
        else:
            self._start(order, streams)
        return True

    def _signal(self, number: int, which: int) -> None:
        """Send a signal to a program's process group; 0 means all groups."""
        for pid, known in self._running.items():
            if number in (-1, known):
                with suppress(OSError):
                    os.killpg(pid, which)

    def _start(self, order: dict[str, Any], streams: list[int]) -> None:
        number = int(order["id"])
        ours: list[int] = []
        if order["tty"]:  # made here, where its name means something
            master, slave = os.openpty()
            ours, streams = [master], [slave]
        said, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(said)
            for descriptor in ours:
                os.close(descriptor)
            _become(order, streams, say)
        os.close(say)
        for stream in streams:
            os.close(stream)
        words = b""
        while piece := os.read(said, 4096):
            words += piece
        os.close(said)
        if words:
            os.waitpid(pid, 0)
            self._tell({"failed": number, **json.loads(words)})
        else:
            self._running[pid] = number
            self._tell({"started": number}, ours)
        for descriptor in ours:
            os.close(descriptor)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                self._tell({"ended": self._running.pop(pid), "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, what: dict[str, Any], descriptors: list[int] | None = None) -> None:
        with suppress(OSError):
            socket.send_fds(self._channel, [json.dumps(what).encode()], descriptors or [])


def _become(order: dict[str, Any], streams: list[int], say: int) -> None:
    """Become the program in the child. Report the reason and exit if that fails."""
    try:
        os.setsid()
        streams = [fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 10) for stream in streams]
        for target in (0, 1, 2):
            os.dup2(streams[min(target, len(streams) - 1)], target)
        if order["tty"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir(order["cwd"])
        os.execvpe(order["argv"][0], order["argv"], order["env"])
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError | NotADirectoryError) else 126
        words = f"{order['argv'][0]}: {error.strerror}"
        os.write(say, json.dumps({"words": words, "code": code}).encode())
    finally:
        os._exit(127)


def receive(connection: socket.socket, most: int) -> tuple[bytes, list[int]]:
    """Return the next bytes of a connection and the descriptors sent with them. Raises OSError."""
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(3 * descriptors.itemsize)
    data, extra, _, _ = connection.recvmsg(most, room, socket.MSG_CMSG_CLOEXEC)
    for _, _, words in extra:
        descriptors.frombytes(words[: len(words) - len(words) % descriptors.itemsize])
    return data, list(descriptors)


def reap_orphans() -> None:
    """Become the parent of orphaned descendants, so that all of them can be ended."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def scope_sockets() -> bool:
    """Block access to the machine's abstract sockets with the module beside this file; return whether that works."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("landlock", Path(__file__).with_name("landlock.py"))
    if spec is None or spec.loader is None:
        return False
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return bool(module.scope_abstract_sockets())


def main() -> None:
    """Run in a sandbox with an open channel. With --prove only report what the sandbox enforces."""
    import ctypes

    os.umask(0o022)
    scoped = scope_sockets()
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # programs of our own user cannot take the channel from us
    if sys.argv[1:] == [PROVE]:
        held = os.getpid() < _FEW and not os.access("/", os.W_OK)
        sys.stdout.write(f"{HELD if held else ''} {SCOPED if scoped else ''}")
        return
    Launcher(socket.socket(fileno=CHANNEL)).serve()


if __name__ == "__main__":
    main()
    sys.exit(0)
