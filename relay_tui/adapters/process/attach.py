"""Connect the caller's terminal to a session's command or to a program beside it."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay_tui.adapters.process import control_client
from relay_tui.adapters.process.session_dir import SessionDir
from relay_tui.adapters.process.supervisor.supervisor import set_size
from relay_tui.adapters.runtime_common import stdio_bridge
from relay_tui.adapters.runtime_common.terminal_modes import TerminalModes
from relay_tui.ports import ExecResult
from relay_tui.ports.task import TaskContext

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_READ = 1 << 16
_MOST_KEPT = 256 << 10
_KILLED, _BROKEN_PIPE = 137, 141


@dataclass(frozen=True, slots=True)
class _Raw:
    """Connection without buffered input."""

    socket: socket.socket

    def take_ahead(self) -> bytes:
        """Return no bytes: nothing is buffered."""
        return b""


def attach(session_dir: SessionDir, name: str, *, tty: bool) -> None:
    """Show the command's output and send it input if it has a terminal; ctrl+q detaches."""
    line = control_client.call(session_dir, {"do": "attach"})
    if line is None:
        raise control_client.not_running_error()
    modes = TerminalModes()

    def show(data: bytes) -> None:
        modes.feed(data)
        stdio_bridge.write_all(_STDOUT, data)

    with ExitStack() as stack:
        stack.enter_context(line)
        talk = stdio_bridge.StdioBridge(_Raw(line), show, _STDIN)
        if _is_terminal():
            _say(f"attached to {name} · ctrl+q leaves it running")
            stack.callback(_restore, modes)
            stack.enter_context(stdio_bridge.raw_terminal(_STDIN) if tty else stdio_bridge.line_terminal(_STDIN))
            talk.detach_key = stdio_bridge.CTRL_Q if tty else stdio_bridge.CTRL_Q_OR_C
            if tty:
                resize = stdio_bridge.watch_window_size(
                    lambda rows, columns: control_client.resize(session_dir, rows, columns), redraw=True
                )
                talk.size = stack.enter_context(resize)
        with suppress(BrokenPipeError, ConnectionResetError):
            talk.run()


def run(session_dir: SessionDir, command: Sequence[str]) -> int:
    """Run a program beside the session's command; return its exit code as a shell does."""
    modes = TerminalModes()
    with ExitStack() as stack:
        talk = _Terminal(modes) if _is_terminal() else _Pipes(_STDIN if _is_piped(_STDIN) else None)
        stack.callback(talk.close)
        request = {"do": "exec", "argv": list(command), "tty": talk.tty, "env": talk.variables()}
        line = control_client.call(session_dir, request, talk.theirs)
        talk.close_theirs()
        if line is None:
            raise control_client.not_running_error()
        stack.enter_context(line)
        answers = control_client.ReplyReader(line)
        reply = answers.first()
        if reply is None or "started" not in reply:
            talk.complain(str((reply or {}).get("words", "")))
            return _code(reply)
        if isinstance(talk, _Terminal):
            talk.lend(answers.lent)
            stack.callback(_restore, modes)
            stack.enter_context(stdio_bridge.raw_terminal(_STDIN))
            talk.size = stack.enter_context(stdio_bridge.watch_window_size(talk.resize, redraw=False))
        try:
            return _converse(line, answers, talk)
        except BrokenPipeError:
            return _BROKEN_PIPE


def exec_capture(session_dir: SessionDir, command: Sequence[str], task: TaskContext, given: Path | None) -> ExecResult:
    """Run a program to its end with a file as stdin; return its exit code and the end of its output."""
    with ExitStack() as stack:
        source = None if given is None else os.open(given, os.O_RDONLY | os.O_CLOEXEC)
        if source is not None:
            stack.callback(os.close, source)
        talk = _Kept(source)
        stack.callback(talk.close)
        line = control_client.call(
            session_dir, {"do": "exec", "argv": list(command), "tty": False, "env": {}}, talk.theirs
        )
        talk.close_theirs()
        if line is None:
            raise control_client.not_running_error()
        stack.enter_context(line)
        with task.on_cancel(lambda: control_client.close_connection(line)):
            answers = control_client.ReplyReader(line)
            reply = answers.first()
            if reply is None or "started" not in reply:
                talk.complain(str((reply or {}).get("words", "")))
                code = _code(reply)
            else:
                code = _converse(line, answers, talk)
        task.raise_if_cancelled()
        return ExecResult(code, bytes(talk.out), bytes(talk.err))


class _StdioEndpoints:
    """Ends of a program's standard streams: local ends, and ends that are sent to it and then closed here."""

    tty = False

    def __init__(
        self, theirs: list[int], outputs: dict[int, Callable[[bytes], None]], feed: int | None, source: int = _STDIN
    ) -> None:
        self._source = source
        self.theirs = theirs
        self.outputs = outputs
        self.feed = feed
        self.typed = b""
        self.stdin: int | None = source if feed is not None else None
        self.size: stdio_bridge.WindowSizeSync | None = None
        for descriptor in {*outputs, *([] if feed is None else [feed])}:
            os.set_blocking(descriptor, False)

    def variables(self) -> dict[str, str]:
        """Return the variables of relay's environment that the program gets."""
        return {}

    def resize(self, rows: int, columns: int) -> bool:
        """Do nothing: pipes have no size."""
        return bool(rows and columns)

    def complain(self, words: str) -> None:
        """Write the reason for a missing program to its error output."""
        stdio_bridge.write_all(_STDERR, f"{words}\n".encode() if words else b"")

    def close_theirs(self) -> None:
        """Close the program's ends after they were sent: an open copy would hide the end of the stream."""
        for descriptor in self.theirs:
            os.close(descriptor)
        self.theirs = []

    def take(self, descriptor: int) -> bool:
        """Show the program's output; return False if there is no more for now."""
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return False
        except OSError:  # the other end of the terminal is closed
            data = b""
        if data:
            self.outputs[descriptor](data)
            return True
        del self.outputs[descriptor]
        if descriptor != self.feed:
            os.close(descriptor)
        return False

    def read(self) -> None:
        """Read typed or piped input."""
        try:
            self.typed = os.read(self._source, _READ)
        except OSError:
            self.typed = b""
        if self.typed:
            self.give()
            return
        self.stdin = None
        self.end_of_input()

    def give(self) -> None:
        """Send as much input as the program accepts."""
        if self.feed is None:
            return
        try:
            self.typed = self.typed[os.write(self.feed, self.typed) :]
        except BlockingIOError:
            return
        except OSError:  # it reads no more
            self.typed, self.stdin = b"", None

    def end_of_input(self) -> None:
        """Mark the end of the input."""
        if self.feed is not None and self.feed not in self.outputs:
            os.close(self.feed)
            self.feed = None

    def close(self) -> None:
        """Close all descriptors."""
        self.close_theirs()
        for descriptor in {*self.outputs, *([] if self.feed is None else [self.feed])}:
            os.close(descriptor)
        self.outputs, self.feed = {}, None


class _Terminal(_StdioEndpoints):
    """A separate terminal for the program. Relay's own would let it inject input."""

    tty = True

    def __init__(self, modes: TerminalModes) -> None:
        super().__init__([], {}, None)
        self._modes = modes
        self._master = -1

    def lend(self, descriptors: list[int]) -> None:
        """Use the terminal that was created for the program."""

        def show(data: bytes) -> None:
            self._modes.feed(data)
            stdio_bridge.write_all(_STDOUT, data)

        for self._master in descriptors:
            os.set_blocking(self._master, False)
            self.outputs[self._master], self.feed, self.stdin = show, self._master, _STDIN

    def variables(self) -> dict[str, str]:
        """Return the variables that describe relay's terminal."""
        return {name: value for name in ("TERM", "COLORTERM") if (value := os.environ.get(name))}

    def resize(self, rows: int, columns: int) -> bool:
        """Set it to the size of relay's terminal."""
        set_size(self._master, rows, columns)
        return True


class _Pipes(_StdioEndpoints):
    """Separate pipes for the program. It could open relay's own files again for writing."""

    def __init__(self, source: int | None) -> None:
        out, err = os.pipe(), os.pipe()
        outputs: dict[int, Callable[[bytes], None]] = {out[0]: self.hear_out, err[0]: self.hear_err}
        feed = None
        if source is not None:
            stdin, feed = os.pipe()
        else:
            stdin = os.open("/dev/null", os.O_RDONLY)
        super().__init__([stdin, out[1], err[1]], outputs, feed, source or _STDIN)

    def hear_out(self, data: bytes) -> None:
        """Copy the program's output to relay's output."""
        stdio_bridge.write_all(_STDOUT, data)

    def hear_err(self, data: bytes) -> None:
        """Copy the program's error output to relay's error output."""
        stdio_bridge.write_all(_STDERR, data)


class _Kept(_Pipes):
    """Pipes that keep the last bytes instead of showing them."""

    def __init__(self, source: int | None) -> None:
        self.out = bytearray()
        self.err = bytearray()
        super().__init__(source)

    def hear_out(self, data: bytes) -> None:
        """Keep the last bytes."""
        self.out = (self.out + data)[-_MOST_KEPT:]

    def hear_err(self, data: bytes) -> None:
        """Keep the last bytes."""
        self.err = (self.err + data)[-_MOST_KEPT:]

    def complain(self, words: str) -> None:
        """Write the text to the captured error output."""
        self.hear_err(words.encode())


def _converse(line: socket.socket, answers: control_client.ReplyReader, talk: _StdioEndpoints) -> int:
    """Copy bytes until the program has ended and all its output is shown."""
    while True:
        ready = _poll(line, talk, wait=not answers.waiting)
        if talk.size is not None and talk.size.due(set(ready)):
            talk.size.apply()
        for descriptor in [d for d in talk.outputs if ready.get(d, 0) & ~select.POLLOUT]:
            talk.take(descriptor)
        if talk.feed is not None and ready.get(talk.feed, 0) & select.POLLOUT:
            talk.give()
        elif talk.stdin is not None and talk.stdin in ready:
            talk.read()
        if answers.waiting or line.fileno() in ready:
            reply = answers.next()
            if reply is None or "started" not in reply:
                if reply is not None and "failed" in reply:
                    talk.complain(str(reply.get("words", "")))
                for descriptor in list(talk.outputs):
                    while talk.take(descriptor):
                        pass
                return _code(reply)


def _poll(line: socket.socket, talk: _StdioEndpoints, *, wait: bool) -> dict[int, int]:
    poller = select.poll()
    wanted = dict.fromkeys([line.fileno(), *talk.outputs], select.POLLIN)
    if talk.typed and talk.feed is not None:
        wanted[talk.feed] = wanted.get(talk.feed, 0) | select.POLLOUT
    elif talk.stdin is not None:
        wanted[talk.stdin] = select.POLLIN
    timeout = None
    if talk.size is not None:
        wanted[talk.size.changed] = select.POLLIN
        timeout = talk.size.wait()
    for descriptor, events in wanted.items():
        poller.register(descriptor, events)
    return dict(poller.poll(timeout if wait else 0))


def _code(reply: dict[str, Any] | None) -> int:
    if reply is None:  # the session ended, and the program with it
        return _KILLED
    code = reply.get("code")
    if not isinstance(code, int):
        return 1
    return 128 - code if code < 0 else code


def _restore(modes: TerminalModes) -> None:
    if undo := modes.undo():
        with suppress(OSError):
            stdio_bridge.write_all(_STDOUT, undo)


def _say(words: str) -> None:
    sys.stdout.flush()
    encoded = words.encode(sys.stdout.encoding or "ascii", errors="replace").replace(b" ? ", b" - ")
    with suppress(OSError):
        stdio_bridge.write_all(_STDOUT, b"\x1b[2m" + encoded + b"\x1b[0m\r\n")


def _is_terminal() -> bool:
    return os.isatty(_STDIN) and os.isatty(_STDOUT)


def _is_piped(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return not os.isatty(descriptor)
