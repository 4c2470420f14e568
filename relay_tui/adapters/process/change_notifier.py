"""Change notifications between relays and supervisors: one datagram socket each, in the data directory."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from relay_tui.adapters.process.session_dir import LISTENERS, SocketDir


def notify(root: Path, session_id: str) -> None:
    """Notify every listening relay that a process session changed. Sockets without a reader are deleted."""
    directory = root / LISTENERS
    try:
        names = [path.name for path in directory.iterdir()]
    except FileNotFoundError:
        return
    if not names:
        return
    with SocketDir(directory) as near, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for name in names:
            try:
                sender.sendto(session_id.encode(), near(name))
            except ConnectionRefusedError:  # its relay is gone
                with suppress(OSError):
                    (directory / name).unlink()
            except OSError:  # full: it has enough to look at
                continue


def listen(root: Path, name: str) -> socket.socket:
    """Open a socket that receives notifications. `name` must be unique. Raises OSError."""
    directory = root / LISTENERS
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with SocketDir(directory) as near:
        ear.bind(near(name))
    return ear
