"""Terminal sessions: connect the caller's terminal to a container's main process, or to a command in it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from relay_tui.adapters.docker import exec_cleanup
from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.streams import FrameDecoder
from relay_tui.adapters.runtime_common import stdio_bridge
from relay_tui.adapters.runtime_common.terminal_modes import TerminalModes
from relay_tui.domain.errors import ConflictError, EngineError, FileSystemError, NotFoundError, RelayError

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_DETACH_KEYS = "ctrl-@,ctrl-^,ctrl-@,ctrl-^"
"""Detach keys that are hardly ever typed. The engine always needs some; its default delays ctrl-p."""
_EXEC_FAILED = b"OCI runtime exec failed"
_MESSAGE_LIMIT = 4096
_CODE_SECONDS = 5.0
_NOT_EXECUTABLE, _NOT_FOUND, _BROKEN_PIPE = 126, 127, 141
_LOGIN_SHELL = """
shell=
while IFS=: read -r _ _ uid _ _ _ last; do
  if [ "$uid" = "$1" ]; then shell=$last; break; fi
done 2>/dev/null </etc/passwd
case $shell in */nologin|*/false) shell= ;; esac
for candidate in "$shell" "$(command -v bash)"; do
  if [ -n "$candidate" ] && [ -x "$candidate" ]; then export SHELL="$candidate"; exec "$candidate" -l; fi
done
exec sh -l
"""


class _OutputClosedError(Exception):
    """The reader of relay's output has closed it."""


class TerminalSession:
    """Terminal session on descriptors 0, 1 and 2: attaches to a container, or runs a command in it."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def attach(self, container: Mapping[str, Any]) -> None:
        """Implement Runtime.attach(). `container` is the inspection of a running container."""
        title = "Cannot attach to the container"
        name, tty = str(container["Name"]).lstrip("/"), bool(container["Config"]["Tty"])
        params = {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1", "detachKeys": _DETACH_KEYS}
        is_terminal = _is_terminal()
        with ExitStack() as stack:
            path = f"/containers/{container['Id']}/attach"
            stream = stack.enter_context(self._engine.stream(title, "POST", path, params=params, hijack=True))
            output = _Output(tty=tty)
            bridge = stdio_bridge.StdioBridge(stream, output.write, _STDIN)
            if is_terminal:
                _print_dim(f"attached to {name} · ctrl+q leaves it running")
                stack.callback(output.restore)
                stack.enter_context(stdio_bridge.raw_terminal(_STDIN) if tty else stdio_bridge.line_terminal(_STDIN))
                bridge.detach_key = stdio_bridge.CTRL_Q if tty else stdio_bridge.CTRL_Q_OR_C
            if is_terminal and tty:
                resize = self._resize(lambda client, rows, columns: client.resize(container["Id"], rows, columns))
                bridge.size = stack.enter_context(stdio_bridge.watch_window_size(resize, redraw=True))
            with suppress(_OutputClosedError), self._engine.translated(title):
                bridge.run()

    def run(self, container: Mapping[str, Any], command: Sequence[str]) -> int:
        """Implement Runtime.run(). `container` is the inspection of a running container."""
        title = "Cannot run the command"
        tty = _is_terminal()
        stdin = _STDIN if tty or _is_piped(_STDIN) else None
        marker = exec_cleanup.new_exec_marker() if tty else {}
        uid = str((container["Config"].get("Labels") or {}).get("relay.user", "")).partition(":")[0]
        with not_running_as_conflict(), self._engine.client(title) as client:
            created: dict[str, str] = client.exec_create(
                container["Id"],
                list(command) or ["sh", "-c", _LOGIN_SHELL, "relay", uid],
                stdin=stdin is not None,
                tty=tty,
                environment={**_terminal_variables(), **marker} if tty else None,
                detach_keys=_DETACH_KEYS,
            )
        output = _Output(tty=tty)
        try:
            if tty:
                self._connect_terminal(
                    title,
                    created["Id"],
                    output,
                    lambda: exec_cleanup.send_hangup(self._engine, container["Id"], marker),
                )
            else:
                self._exchange(title, created["Id"], output, stdin, tty=False)
        except _OutputClosedError:
            return _BROKEN_PIPE
        except EngineError as error:
            code = shell_code(error.detail)
            if type(error) is not EngineError or code is None:
                raise
            stdio_bridge.write_all(_STDERR, f"{error.detail}\n".encode())
            return code
        return output.finish(exit_code(self._engine, title, created["Id"]))

    def _connect_terminal(self, title: str, exec_id: str, output: _Output, hang_up: Callable[[], None]) -> None:
        """Connect a command to the terminal until it ends.

        If the terminal is lost first, end the command and then end relay by the signal that reports the loss.
        """
        try:
            with exec_cleanup.raise_on_signals() as ignore_signals:
                try:
                    try:
                        if self._exchange(title, exec_id, output, _STDIN, tty=True):
                            raise exec_cleanup.Ended(signal.SIGHUP)
                    finally:
                        ignore_signals()  # the signal for the loss of the terminal can follow its end of file
                except (exec_cleanup.Ended, FileSystemError, _OutputClosedError):
                    hang_up()
                    raise
        except exec_cleanup.Ended as ended:
            os.kill(os.getpid(), ended.number)
            raise SystemExit(128 + ended.number) from None  # the signal is ignored

    def _exchange(self, title: str, exec_id: str, output: _Output, stdin: int | None, *, tty: bool) -> bool:
        """Start the command and copy its bytes until it ends. Return True if the terminal was lost first."""
        body = {"Detach": False, "Tty": tty}
        with ExitStack() as stack, not_running_as_conflict():
            stream = self._engine.stream(title, "POST", f"/exec/{exec_id}/start", body=body, hijack=True)
            stack.enter_context(stream)
            bridge = stdio_bridge.StdioBridge(stream, output.write, stdin)
            if tty:
                bridge.detach_key = stdio_bridge.NO_KEY
                stack.callback(output.restore)
                stack.enter_context(stdio_bridge.raw_terminal(_STDIN))
                resize = self._resize(lambda client, rows, columns: client.exec_resize(exec_id, rows, columns))
                bridge.size = stack.enter_context(stdio_bridge.watch_window_size(resize, redraw=False))
            with self._engine.translated(title):
                return bridge.run()

    def _resize(self, call: Callable[[Any, int, int], None]) -> stdio_bridge.Resize:
        def resize(rows: int, columns: int) -> bool:
            try:
                with self._engine.client("Cannot resize the terminal") as client:
                    call(client, rows, columns)
            except RelayError:  # the program has not started yet, or has ended
                return False
            return True

        return resize


class _Output:
    """Write the received output to relay's descriptors. Keep the engine's message if a command cannot start."""

    def __init__(self, *, tty: bool) -> None:
        self._frames = None if tty else FrameDecoder()
        self._modes = TerminalModes()
        self._message: bytes | None = None
        self._has_started = False

    def write(self, data: bytes) -> None:
        """Write bytes in the engine's format: raw with a terminal, else multiplexed."""
        if self._frames is None:
            self._modes.feed(data)
            self._stdout(data)
            return
        for chunk in self._frames.feed(data):
            if chunk.stream == "stderr":
                _write_all(_STDERR, chunk.data)
            else:
                self._stdout(chunk.data)

    def _stdout(self, data: bytes) -> None:
        if not self._has_started:
            self._has_started = True
            self._message = b"" if data.startswith(_EXEC_FAILED) else None
        if self._message is not None:
            self._message += data
            if len(self._message) < _MESSAGE_LIMIT:
                return
            data, self._message = self._message, None
        _write_all(_STDOUT, data)

    def finish(self, code: int) -> int:
        """Write the withheld output, to stderr if the command could not start. Return the shell's exit code."""
        if self._message is None:
            return code
        if code not in (_NOT_EXECUTABLE, _NOT_FOUND):
            _write_all(_STDOUT, self._message)
            return code
        _write_all(_STDERR, self._message.replace(b"\r\n", b"\n"))
        return shell_code(self._message.decode(errors="replace")) or code

    def restore(self) -> None:
        """Reset the terminal modes that the program left set."""
        if undo := self._modes.undo():
            with suppress(OSError):
                stdio_bridge.write_all(_STDOUT, undo)


def exit_code(engine: EngineClient, title: str, exec_id: str) -> int:
    """Return a command's exit code. The engine can report it slightly later than the end of the output."""
    deadline = time.monotonic() + _CODE_SECONDS
    while True:
        with engine.client(title) as client:
            state = client.exec_inspect(exec_id)
        if not state["Running"] and state["ExitCode"] is not None:
            return int(state["ExitCode"])
        if time.monotonic() > deadline:
            raise EngineError("Cannot read the command's exit code", "The engine reports the command as running.")
        time.sleep(0.01)


def _write_all(descriptor: int, data: bytes) -> None:
    try:
        stdio_bridge.write_all(descriptor, data)
    except BrokenPipeError as error:
        raise _OutputClosedError from error
    except OSError as error:
        raise FileSystemError(
            "Cannot write the output", str(error.strerror), "Check its destination: the disk may be full."
        ) from error


@contextmanager
def not_running_as_conflict() -> Iterator[None]:
    """Raise ConflictError instead of EngineError in the block if the container has stopped or is paused."""
    try:
        yield
    except NotFoundError:
        raise
    except EngineError as error:
        if "is not running" in error.detail or "is paused" in error.detail:
            raise ConflictError("The session is not running", error.detail, "Start it first.") from error
        raise


def shell_code(message: str) -> int | None:
    """Return the shell's exit code for the engine's error message; None if it is not about the command."""
    message = message.lower()
    if "executable file not found" in message or "no such file or directory" in message:
        return _NOT_FOUND
    return _NOT_EXECUTABLE if "permission denied" in message or "exec format error" in message else None


def _print_dim(text: str) -> None:
    """Print a dim line of relay on the terminal."""
    sys.stdout.flush()
    encoded = text.encode(sys.stdout.encoding or "ascii", errors="replace").replace(b" ? ", b" - ")
    with suppress(OSError):
        stdio_bridge.write_all(_STDOUT, b"\x1b[2m" + encoded + b"\x1b[0m\r\n")


def _terminal_variables() -> dict[str, str]:
    return {name: value for name in ("TERM", "COLORTERM") if (value := os.environ.get(name))}


def _is_terminal() -> bool:
    return os.isatty(_STDIN) and os.isatty(_STDOUT)


def _is_piped(descriptor: int) -> bool:
    """Return whether the stream is open and is not a terminal."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return not os.isatty(descriptor)
