"""Client for the control server of a supervisor."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from relay_tui.adapters.process.session_dir import SessionDir, SocketDir
from relay_tui.adapters.process.supervisor.control_server import MOST_ORDER
from relay_tui.adapters.process.supervisor.launcher import receive
from relay_tui.domain.errors import ConflictError, EngineError

_ANSWER_SECONDS = 15.0
"""For what a supervisor says at once, unless the machine is very busy, or the supervisor is stopped or broken."""
_CONNECT_SECONDS = 5.0
_READ = 1 << 16


def connect(session_dir: SessionDir) -> socket.socket | None:
    """Connect to the session's supervisor. Return None if there is none: the command ended or never started."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(_CONNECT_SECONDS)
    try:
        with SocketDir(session_dir.root) as near:
            line.connect(near(session_dir.socket_name))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        line.close()
        return None
    except OSError as error:
        line.close()
        raise no_reply_error(str(error)) from error
    return line


def call(session_dir: SessionDir, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> socket.socket | None:
    """Connect and send `request`. Return None like connect()."""
    line = connect(session_dir)
    if line is None:
        return None
    data = json.dumps(request).encode() + b"\n"
    if len(data) > MOST_ORDER:
        line.close()
        detail = f"{len(data)} bytes with its environment."
        raise EngineError("Cannot run the command: it is too long", detail, "Put it in a file.")
    try:
        sent = socket.send_fds(line, [data], list(descriptors)) if descriptors else line.send(data)
        line.sendall(data[sent:])
        line.settimeout(None)
    except TimeoutError as error:
        line.close()
        raise no_reply_error("The supervisor accepts no request.") from error
    except OSError:  # it ended this very moment
        line.close()
        return None
    return line


def no_reply_error(detail: str) -> EngineError:
    """Return the error for a supervisor that does not reply."""
    return EngineError("The session's supervisor does not answer", detail, "Stop the session.")


def not_running_error() -> ConflictError:
    """Return the error for a session without a supervisor."""
    return ConflictError("The session is not running", "Its process has ended.", "Start it first.")


class ReplyReader:
    """Reader for the JSON lines of a connection."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._heard = b""
        self.lent: list[int] = []
        """Descriptors that came with what was said."""

    @property
    def waiting(self) -> bool:
        """Whether a reply is buffered. Then the connection may have no more data to read."""
        return b"\n" in self._heard

    def first(self) -> dict[str, Any] | None:
        """Return the first reply, None at the end of the connection. Raises EngineError after a timeout."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not self.waiting:
            self._line.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                if not self._read():
                    return None
            except TimeoutError as error:
                raise no_reply_error(f"No reply within {_ANSWER_SECONDS:.0f} seconds.") from error
            finally:
                self._line.settimeout(None)
        return self.next()

    def next(self) -> dict[str, Any] | None:
        """Return the next reply; None at the end of the connection."""
        while not self.waiting:
            if not self._read():
                return None
        words, _, self._heard = self._heard.partition(b"\n")
        said = json.loads(words)
        return said if isinstance(said, dict) else {}

    def _read(self) -> bool:
        """Read more data; return False at the end of the connection. Raises TimeoutError."""
        try:
            data, lent = receive(self._line, _READ)
        except TimeoutError:
            raise
        except OSError:
            return False
        self.lent += lent
        self._heard += data
        return bool(data)


def resize(session_dir: SessionDir, rows: int, columns: int) -> bool:
    """Send the terminal size to the command; return False if it is gone."""
    line = call(session_dir, {"do": "resize", "rows": rows, "columns": columns})
    if line is None:
        return False
    with line:
        return ReplyReader(line).first() is not None


def close_connection(line: socket.socket) -> None:
    """Close a connection and wake a thread that waits on it."""
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def session_dir_of(root: Path, process_id: str) -> SessionDir:
    """Return the directory of the process with this id."""
    return SessionDir(root / process_id.partition("-")[2])
