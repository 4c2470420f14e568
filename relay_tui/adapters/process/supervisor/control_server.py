"""Control server: connections of relays that follow the log, attach to the terminal or run programs."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from contextlib import suppress
from typing import Any, Protocol

from relay_tui.adapters.process.session_dir import SessionDir, SocketDir
from relay_tui.adapters.process.supervisor.launcher import receive

_READ = 1 << 16
MOST_ORDER = 150_000
"""Bytes of a request at most: what it asks for goes on to the launcher in one message."""
_MOST_UNREAD = 4 << 20
"""Bytes kept for one who is attached and does not read; more, and he is left behind."""


class ControlHandler(Protocol):
    """Requests that clients send to the supervisor."""

    def run_helper(self, number: int, argv: list[str], env: dict[str, str], *, tty: bool, streams: list[int]) -> None:
        """Start a program."""
        ...

    def environment(self) -> dict[str, str]:
        """The environment of the command."""
        ...

    def hang_up(self, number: int) -> None:
        """End a program whose client disconnected."""
        ...

    def stop(self, grace: float) -> None:
        """End all programs."""
        ...

    def type(self, data: bytes) -> None:
        """Put bytes into the command's terminal."""
        ...

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the command's terminal."""
        ...


class ClientConnection:
    """Connection of one client. `kind` is '' until its request arrived."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.kind = ""
        self.number = -1
        self.heard = b""
        self.descriptors: list[int] = []
        self.unsent = b""
        self.gone = False

    def tell(self, data: bytes) -> None:
        """Send as much as possible now and keep the rest."""
        self.unsent += data
        try:
            while self.unsent:
                self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True
        if len(self.unsent) > _MOST_UNREAD:
            self.gone = True

    def poke(self) -> None:
        """Notify the client of new log entries. One unread notification is enough."""
        try:
            self.connection.send(b".")
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True


class ControlServer:
    """Server socket and all client connections."""

    def __init__(self, session_dir: SessionDir, keeper: ControlHandler) -> None:
        self._session_dir = session_dir
        self._keeper = keeper
        self._guests: dict[int, ClientConnection] = {}
        self._number = 0
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with suppress(FileNotFoundError):
            (session_dir.root / session_dir.socket_name).unlink()
        with SocketDir(session_dir.root) as near:
            self._door.bind(near(session_dir.socket_name))
        self._door.listen(64)
        self._door.setblocking(False)

    def register(self, poller: select.poll) -> None:
        """Register all sockets with the poller."""
        poller.register(self._door, select.POLLIN)
        for descriptor, guest in self._guests.items():
            poller.register(descriptor, select.POLLIN | (select.POLLOUT if guest.unsent else 0))

    def serve(self, ready: dict[int, int]) -> None:
        """Handle the requests of ready clients."""
        if self._door.fileno() in ready:
            self._admit()
        for descriptor in [d for d in ready if d in self._guests]:
            guest = self._guests[descriptor]
            if ready[descriptor] & select.POLLOUT:
                guest.tell(b"")
            if ready[descriptor] & ~select.POLLOUT:
                self._hear(guest)
        for descriptor in [d for d, guest in self._guests.items() if guest.gone]:
            self._leave(descriptor)

    def _admit(self) -> None:
        try:
            connection, _ = self._door.accept()
        except OSError:
            return
        pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (os.getuid(), 0) or (uid == os.getuid() and _is_confined(pid)):
            connection.close()
            return
        connection.setblocking(False)
        self._guests[connection.fileno()] = ClientConnection(connection)

    def _leave(self, descriptor: int) -> None:
        guest = self._guests.pop(descriptor)
        for lent in guest.descriptors:
            os.close(lent)
        if guest.kind == "exec":
            self._keeper.hang_up(guest.number)
        guest.connection.close()

    def _hear(self, guest: ClientConnection) -> None:
        try:
            data, descriptors = receive(guest.connection, _READ)
        except BlockingIOError:
            return
        except OSError:
            guest.gone = True
            return
        guest.descriptors += descriptors
        if not data:
            guest.gone = True
        elif guest.kind == "attach":
            self._keeper.type(data)
        elif not guest.kind:
            guest.heard += data
            request, end, rest = guest.heard.partition(b"\n")
            if end:
                self._try(guest, request, rest)
            elif len(guest.heard) > MOST_ORDER:
                guest.gone = True

    def _try(self, guest: ClientConnection, request: bytes, rest: bytes) -> None:
        """Disconnect a client after an invalid request. Without a sandbox any program of the session can connect."""
        try:
            self._begin(guest, json.loads(request), rest)
        except (ValueError, KeyError, TypeError, RecursionError):
            guest.gone = True

    def _begin(self, guest: ClientConnection, request: dict[str, Any], rest: bytes) -> None:
        guest.kind = str(request["do"])
        if guest.kind == "stop":
            self._keeper.stop(float(request["grace"]))
        elif guest.kind == "resize":
            self._keeper.resize(int(request["rows"]), int(request["columns"]))
            guest.tell(b"{}\n")
        elif guest.kind == "follow":
            guest.poke()  # of what was written since it looked and before it was heard
        elif guest.kind == "attach":
            if rest:
                self._keeper.type(rest)
        elif guest.kind == "exec":
            self._number += 1
            guest.number = self._number
            env = {**self._keeper.environment(), **request["env"]}
            streams, guest.descriptors = guest.descriptors, []
            try:
                self._keeper.run_helper(guest.number, request["argv"], env, tty=bool(request["tty"]), streams=streams)
            except OSError as error:
                self.answer({"failed": guest.number, "words": str(error), "code": 126}, [])

    def show(self, data: bytes) -> None:
        """Send output to attached clients and notify clients that follow the log."""
        for guest in self._guests.values():
            if guest.kind == "attach":
                guest.tell(data)
            elif guest.kind == "follow":
                guest.poke()

    def answer(self, said: dict[str, Any], descriptors: list[int]) -> None:
        """Send a program's result to its client, with its terminal if it has one."""
        number = next((said[key] for key in ("started", "failed", "ended") if key in said), None)
        for guest in self._guests.values():
            if guest.kind == "exec" and guest.number == number:
                data = json.dumps(said).encode() + b"\n"
                if descriptors:
                    with suppress(OSError):
                        data = data[socket.send_fds(guest.connection, [data], descriptors) :]
                guest.tell(data)
                if "started" not in said:
                    guest.kind = "done"

    def close(self) -> None:
        """Close all connections after the exit state was written."""
        with suppress(OSError):
            (self._session_dir.root / self._session_dir.socket_name).unlink()
        self._door.close()
        for guest in self._guests.values():
            guest.connection.setblocking(True)
            guest.connection.settimeout(1.0)
            with suppress(OSError):
                guest.connection.sendall(guest.unsent)
            guest.connection.close()


def _is_confined(pid: int) -> bool:
    """Return whether the client runs in a sandbox. Other sessions of the same user must not reach programs."""
    try:
        return os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")  # noqa: PTH115
    except OSError:  # it hides, or is gone
        return True
