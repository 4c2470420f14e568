"""Output and events of processes as streams that another thread can end."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from relay_tui.adapters.linux import procfs
from relay_tui.adapters.process import change_notifier, control_client
from relay_tui.adapters.process.log_lines import ProcessLineReader, Timestamper
from relay_tui.adapters.process.session_dir import LISTENERS, SessionDir, read, runs_since
from relay_tui.adapters.process.supervisor.journal import STDERR, Entry, Reader
from relay_tui.domain.errors import EngineError
from relay_tui.domain.log_batch import LogBatch
from relay_tui.ports import LogChunk

_READ = 1 << 16


class ProcessLog:
    """Output of a command. Implements LogStream."""

    def __init__(
        self, session_dir: SessionDir, *, follow: bool, tail: int | None, since: int, timestamps: bool
    ) -> None:
        self._session_dir = session_dir
        self._stamp = Timestamper()
        self._opened = self._stamp(time.time_ns()).decode()
        # connected before the log is read: nothing comes in between unseen
        self._line = control_client.call(session_dir, {"do": "follow"}) if follow else None
        self._reader = Reader(session_dir.log, tail=tail, since=since, follow=follow)
        self._stamped: set[int] | None = set() if timestamps else None  # streams in the midst of a line
        self._closed = threading.Event()
        self._over = False  # whether another run has started since

    def __iter__(self) -> Iterator[LogChunk]:
        for entries in self._told():
            for entry in entries:
                data = entry.data if self._stamped is None else self._with_times(entry, self._stamped)
                yield LogChunk("stderr" if entry.stream == STDERR else "stdout", data)

    def _told(self) -> Iterator[Iterator[Entry]]:
        """Yield the existing entries, then new ones after each notification, until the log ends."""
        try:
            yield self._present()
            while self._line is not None and not self._closed.is_set() and not self._over:
                try:
                    more = self._line.recv(_READ)
                except OSError:
                    more = b""
                if not self._closed.is_set():
                    yield self._present()
                if not more:
                    return
        finally:
            self._reader.close()
            if self._line is not None:
                self._line.close()

    def _present(self) -> Iterator[Entry]:
        for entry in self._reader.entries():
            self._over = self._over or (entry.first and self._line is not None and self._is_next(entry))
            if self._closed.is_set() or self._over:
                return
            yield entry

    def _is_next(self, entry: Entry) -> bool:
        """Return whether a run has ended since the stream was opened and the entry belongs to a later run."""
        ended = runs_since(read(self._session_dir.state), self._opened)
        return bool(ended) and self._stamp(entry.time).decode() > ended[0].at

    def _with_times(self, entry: Entry, within: set[int]) -> bytes:
        """Return the lines with the time before each, as engines write it."""
        lines = _lines(entry.data)
        stamped = [
            line if not number and entry.stream in within else self._stamp(entry.time + number) + b" " + line
            for number, line in enumerate(lines)
        ]
        if entry.data.endswith(b"\n"):
            within.discard(entry.stream)
        else:
            within.add(entry.stream)
        return b"".join(stamped)

    def close(self) -> None:
        """Close the stream and end an iteration that waits in another thread."""
        self._closed.set()
        if self._line is not None:
            control_client.close_connection(self._line)


class ProcessLines(ProcessLog):
    """Output of a command as lines. Implements LineStream."""

    def __init__(
        self, session_dir: SessionDir, lines: ProcessLineReader, *, follow: bool, tail: int | None, since: int
    ) -> None:
        super().__init__(session_dir, follow=follow, tail=tail, since=since, timestamps=False)
        self._lines = lines

    def __iter__(self) -> Iterator[LogBatch]:  # type: ignore[override]
        for entries in self._told():
            for some in _in_portions(entries):
                batch = self._lines.feed(iter(some))
                if batch or self._lines.partial_lines():
                    yield batch
        if not self._closed.is_set() and (batch := self._lines.finish()):
            yield batch

    def partial_lines(self) -> LogBatch:
        """Return the partial lines."""
        return self._lines.partial_lines()


def _in_portions(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Batch size: small enough that the first lines appear quickly."""
    portion: list[Entry] = []
    size = 0
    for entry in entries:
        portion.append(entry)
        size += len(entry.data)
        if size > _READ:
            yield portion
            portion, size = [], 0
    yield portion


def _lines(data: bytes) -> list[bytes]:
    """Split after each newline and nowhere else."""
    lines = [piece + b"\n" for piece in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return [line for line in lines if line]


class ProcessEvents:
    """Ids of sessions whose process changed. Implements EventStream.

    Relays and supervisors send notifications to the socket. A killed supervisor sends none, so a pidfd of each running
    one is watched too.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name = f"{os.getpid()}-{time.monotonic_ns()}"
        try:
            self._ear = change_notifier.listen(root, self._name)
        except OSError as error:
            raise EngineError(
                "Processes cannot be watched", str(error), f"See whether {root} can be written."
            ) from error
        self._closing, self._close = os.pipe()
        self._watched: dict[int, str] = {}
        self._lock = threading.Lock()
        for directory in directories(root):
            self._watch(directory.name)

    def _watch(self, session_id: str) -> None:
        state = read(SessionDir(self._root / session_id).state) or {}
        pid = state.get("pid")
        if state.get("status") != "running" or session_id in self._watched.values():
            return
        if isinstance(pid, int) and procfs.is_alive(pid, state.get("start"), state.get("boot")):
            with suppress(OSError):
                self._watched[os.pidfd_open(pid)] = session_id

    def __iter__(self) -> Iterator[str]:
        try:
            while True:
                poller = select.poll()
                for descriptor in (self._closing, self._ear.fileno(), *self._watched):
                    poller.register(descriptor, select.POLLIN)
                ready = {descriptor for descriptor, _ in poller.poll()}
                if self._closing in ready:
                    return
                changed = {self._watched.pop(d): d for d in ready if d in self._watched}
                for descriptor in changed.values():
                    os.close(descriptor)
                if self._ear.fileno() in ready:
                    changed |= dict.fromkeys(self._heard(), 0)
                for session_id in changed:
                    self._watch(session_id)
                    yield session_id
        finally:
            self._end()

    def _heard(self) -> Iterator[str]:
        """Return all waiting notifications."""
        while True:
            try:
                yield self._ear.recv(256, socket.MSG_DONTWAIT).decode(errors="replace")
            except BlockingIOError:
                return

    def _end(self) -> None:
        with self._lock:
            if self._closing < 0:
                return
            for descriptor in (self._closing, self._close, *self._watched):
                os.close(descriptor)
            self._closing = self._close = -1
            self._watched.clear()
            self._ear.close()
            with suppress(OSError):
                (self._root / LISTENERS / self._name).unlink()

    def close(self) -> None:
        """Close the stream and end an iteration that waits in another thread."""
        with self._lock:
            if self._close >= 0:
                os.write(self._close, b"\0")


def directories(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if not path.name.startswith(".") and path.is_dir())
    except FileNotFoundError:
        return []
