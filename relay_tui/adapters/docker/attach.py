"""The caller's terminal, lent to a container's main process or to a command run in it."""

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
"""The engine insists on watching for some keys of its own; its default would delay ctrl-p."""
_REFUSED = b"OCI runtime exec failed"
_HELD = 4096
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
    """Nobody reads our output any more."""


class TerminalSession:
    """Attaches to containers and runs commands in them, on descriptors 0, 1 and 2."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def attach(self, container: Mapping[str, Any]) -> None:
        """Fulfil Runtime.attach() for a running container, given as its inspection."""
        title = "The container cannot be attached to"
        name, tty = str(container["Name"]).lstrip("/"), bool(container["Config"]["Tty"])
        params = {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1", "detachKeys": _DETACH_KEYS}
        ours = _is_terminal()
        with ExitStack() as stack:
            path = f"/containers/{container['Id']}/attach"
            stream = stack.enter_context(self._engine.stream(title, "POST", path, params=params, hijack=True))
            output = _Output(tty=tty)
            conversation = stdio_bridge.StdioBridge(stream, output.take, _STDIN)
            if ours:
                _say(f"attached to {name} · ctrl-q leaves it running")
                stack.callback(output.restore)
                stack.enter_context(stdio_bridge.raw_terminal(_STDIN) if tty else stdio_bridge.line_terminal(_STDIN))
                conversation.leave = stdio_bridge.CTRL_Q if tty else stdio_bridge.CTRL_Q_OR_C
            if ours and tty:
                resize = self._resize(lambda client, rows, columns: client.resize(container["Id"], rows, columns))
                conversation.size = stack.enter_context(stdio_bridge.watch_window_size(resize, redraw=True))
            with suppress(_OutputClosedError), self._engine.translated(title):
                conversation.run()

    def run(self, container: Mapping[str, Any], command: Sequence[str]) -> int:
        """Fulfil Runtime.run() for a running container, given as its inspection."""
        title = "The command cannot be run"
        tty = _is_terminal()
        stdin = _STDIN if tty or _is_piped(_STDIN) else None
        mark = exec_cleanup.new_exec_marker() if tty else {}
        uid = str((container["Config"].get("Labels") or {}).get("relay.user", "")).partition(":")[0]
        with detach_key_conflicts(), self._engine.client(title) as client:
            made: dict[str, str] = client.exec_create(
                container["Id"],
                list(command) or ["sh", "-c", _LOGIN_SHELL, "relay", uid],
                stdin=stdin is not None,
                tty=tty,
                environment={**_terminal_variables(), **mark} if tty else None,
                detach_keys=_DETACH_KEYS,
            )
        output = _Output(tty=tty)
        try:
            if tty:
                self._lend(
                    title, made["Id"], output, lambda: exec_cleanup.send_hangup(self._engine, container["Id"], mark)
                )
            else:
                self._converse(title, made["Id"], output, stdin, tty=False)
        except _OutputClosedError:
            return _BROKEN_PIPE
        except EngineError as error:
            code = shell_code(error.detail)
            if type(error) is not EngineError or code is None:
                raise
            stdio_bridge.write_all(_STDERR, f"{error.detail}\n".encode())
            return code
        return output.finish(exit_code(self._engine, title, made["Id"]))

    def _lend(self, title: str, exec_id: str, output: _Output, hang_up: Callable[[], None]) -> None:
        """Give a command our terminal until it ends, or until the terminal is gone: then we end as we would have."""
        try:
            with exec_cleanup.raise_on_signals() as heed_no_more:
                try:
                    try:
                        if self._converse(title, exec_id, output, _STDIN, tty=True):
                            raise exec_cleanup.Ended(signal.SIGHUP)
                    finally:
                        heed_no_more()  # the terminal's end and the signal for it come one after the other
                except (exec_cleanup.Ended, FileSystemError, _OutputClosedError):
                    hang_up()
                    raise
        except exec_cleanup.Ended as told:
            os.kill(os.getpid(), told.number)
            raise SystemExit(128 + told.number) from None  # the signal is ignored

    def _converse(self, title: str, exec_id: str, output: _Output, stdin: int | None, *, tty: bool) -> bool:
        """Start the command and carry its bytes until it ends; True if our terminal has ended first."""
        body = {"Detach": False, "Tty": tty}
        with ExitStack() as stack, detach_key_conflicts():
            stream = self._engine.stream(title, "POST", f"/exec/{exec_id}/start", body=body, hijack=True)
            stack.enter_context(stream)
            conversation = stdio_bridge.StdioBridge(stream, output.take, stdin)
            if tty:
                conversation.leave = stdio_bridge.NO_KEY
                stack.callback(output.restore)
                stack.enter_context(stdio_bridge.raw_terminal(_STDIN))
                resize = self._resize(lambda client, rows, columns: client.exec_resize(exec_id, rows, columns))
                conversation.size = stack.enter_context(stdio_bridge.watch_window_size(resize, redraw=False))
            with self._engine.translated(title):
                return conversation.run()

    def _resize(self, call: Callable[[Any, int, int], None]) -> stdio_bridge.Resize:
        def resize(rows: int, columns: int) -> bool:
            try:
                with self._engine.client("The terminal cannot be resized") as client:
                    call(client, rows, columns)
            except RelayError:  # the program has not started yet, or is gone
                return False
            return True

        return resize


class _Output:
    """Write the received output to relay's descriptors. Keep the engine's message if a command cannot start."""

    def __init__(self, *, tty: bool) -> None:
        self._frames = None if tty else FrameDecoder()
        self._modes = TerminalModes()
        self._held: bytes | None = None
        self._begun = False

    def take(self, data: bytes) -> None:
        """Write bytes as the engine sent them."""
        if self._frames is None:
            self._modes.feed(data)
            self._stdout(data)
            return
        for chunk in self._frames.feed(data):
            if chunk.stream == "stderr":
                _write(_STDERR, chunk.data)
            else:
                self._stdout(chunk.data)

    def _stdout(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._held = b"" if data.startswith(_REFUSED) else None
        if self._held is not None:
            self._held += data
            if len(self._held) < _HELD:
                return
            data, self._held = self._held, None
        _write(_STDOUT, data)

    def finish(self, code: int) -> int:
        """Write what was kept back, to stderr if the command could not be run; answer the code a shell would give."""
        if self._held is None:
            return code
        if code not in (_NOT_EXECUTABLE, _NOT_FOUND):
            _write(_STDOUT, self._held)
            return code
        _write(_STDERR, self._held.replace(b"\r\n", b"\n"))
        return shell_code(self._held.decode(errors="replace")) or code

    def restore(self) -> None:
        """Undo what the program did to the terminal and did not undo itself."""
        if undo := self._modes.undo():
            with suppress(OSError):
                stdio_bridge.write_all(_STDOUT, undo)


def exit_code(engine: EngineClient, title: str, exec_id: str) -> int:
    """A command's exit code; the engine may learn it a little after the output has ended."""
    deadline = time.monotonic() + _CODE_SECONDS
    while True:
        with engine.client(title) as client:
            found = client.exec_inspect(exec_id)
        if not found["Running"] and found["ExitCode"] is not None:
            return int(found["ExitCode"])
        if time.monotonic() > deadline:
            raise EngineError("The command's exit code is not known", "The engine says that it still runs.")
        time.sleep(0.01)


def _write(descriptor: int, data: bytes) -> None:
    try:
        stdio_bridge.write_all(descriptor, data)
    except BrokenPipeError as error:
        raise _OutputClosedError from error
    except OSError as error:
        raise FileSystemError(
            "The output cannot be written", str(error.strerror), "Look where it goes: a full disk, a closed pipe."
        ) from error


@contextmanager
def detach_key_conflicts() -> Iterator[None]:
    """Tell a container that stopped meanwhile from an engine that failed."""
    try:
        yield
    except NotFoundError:
        raise
    except EngineError as error:
        if "is not running" in error.detail or "is paused" in error.detail:
            raise ConflictError("The session is not running", error.detail, "Start it first.") from error
        raise


def shell_code(words: str) -> int | None:
    """The exit code a shell would give for what the engine says of a command, None if it is about something else."""
    words = words.lower()
    if "executable file not found" in words or "no such file or directory" in words:
        return _NOT_FOUND
    return _NOT_EXECUTABLE if "permission denied" in words or "exec format error" in words else None


def _say(words: str) -> None:
    """A dim line of our own on the terminal."""
    sys.stdout.flush()
    encoded = words.encode(sys.stdout.encoding or "ascii", errors="replace").replace(b" ? ", b" - ")
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
