"""Output and events as streams that another thread can end."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from relay_tui.adapters.engine.client import Engine
from relay_tui.adapters.engine.create import SESSION
from relay_tui.adapters.engine.log_lines import FramedLines, TerminalLines
from relay_tui.adapters.engine.wire import Stream
from relay_tui.errors import InvalidInputError
from relay_tui.services.ports import LogBatch, LogChunk, RunEnd

_HEADER = 8
_STREAMS = ("stdin", "stdout", "stderr", "stderr")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?")
_ENDS = ("die", "died")
_CHANGES = frozenset(
    {"create", "start", "restart", "die", "died", "stop", "oom", "pause", "unpause", "destroy", "remove"}
)


class Frames:
    """Takes apart the engine's multiplexed output: a stream number, three zeros, a length, the bytes."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = 1
        self._left = 0

    def feed(self, data: bytes) -> list[LogChunk]:
        """What the bytes hold, neighbours of one stream put together; what is incomplete waits for more."""
        chunks: list[LogChunk] = []
        pieces: list[memoryview] = []
        stream = self._stream
        view, at, end = memoryview(data), 0, len(data)
        while at < end:
            if self._left:
                if self._stream != stream and pieces:
                    chunks.append(LogChunk(_STREAMS[stream], b"".join(pieces)))
                    pieces = []
                stream = self._stream
                taken = min(self._left, end - at)
                pieces.append(view[at : at + taken])
                self._left -= taken
                at += taken
                continue
            wanted = _HEADER - len(self._header)
            self._header += view[at : at + wanted]
            at += wanted
            if len(self._header) == _HEADER:
                self._stream = min(self._header[0], len(_STREAMS) - 1)
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""
        if pieces:
            chunks.append(LogChunk(_STREAMS[stream], b"".join(pieces)))
        return chunks


class EngineLog:
    """A container's output; fulfils LogStream."""

    def __init__(self, engine: Engine, stream: Stream, *, tty: bool) -> None:
        self._engine = engine
        self._stream = stream
        self._tty = tty

    def __iter__(self) -> Iterator[LogChunk]:
        frames = Frames()
        with self._stream, self._engine.translated("The log cannot be read"):
            while data := self._stream.recv():
                if self._tty:
                    yield LogChunk("stdout", data)
                else:
                    yield from frames.feed(data)

    def close(self) -> None:
        """End it, and an iteration that waits in another thread."""
        self._stream.close()


class EngineLines:
    """A container's output as lines; fulfils LineStream."""

    def __init__(self, engine: Engine, stream: Stream, *, tty: bool) -> None:
        self._engine = engine
        self._stream = stream
        self._lines = TerminalLines() if tty else FramedLines()

    def __iter__(self) -> Iterator[LogBatch]:
        with self._stream, self._engine.translated("The log cannot be read"):
            while data := self._stream.recv():
                batch = self._lines.feed(data)
                if batch or self._lines.begun():
                    yield batch
            if not self._stream.closed and (batch := self._lines.finish()):
                yield batch

    def begun(self) -> LogBatch:
        """The lines whose ends have not come."""
        return self._lines.begun()

    def close(self) -> None:
        """End it, and an iteration that waits in another thread."""
        self._stream.close()


class EngineEvents:
    """Ids of sessions whose container changed; fulfils EventStream."""

    def __init__(self, engine: Engine, stream: Stream) -> None:
        self._engine = engine
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        with self._stream:
            with self._engine.translated("The engine's events cannot be read"):
                for event in self._stream.messages():
                    session = event.get("Actor", {}).get("Attributes", {}).get(SESSION)
                    if session and event.get("Action", event.get("status", "")) in _CHANGES:
                        yield session
            if not self._stream.closed:
                raise self._engine.unreachable(ConnectionResetError("the connection ended"))

    def close(self) -> None:
        """End it, and an iteration that waits in another thread."""
        self._stream.close()


def ends(engine: Engine, container_id: str, since: str) -> list[RunEnd]:
    """How a container's runs ended later than `since`, the oldest first."""
    asked = engine_time(since)
    filters = {"type": ["container"], "container": [container_id], "event": ["start", *_ENDS]}
    params = {"filters": json.dumps(filters), "since": asked, "until": f"{time.time():.9f}"}
    title = "The engine's events cannot be read"
    found: list[RunEnd] = []
    began = ""
    with engine.stream(title, "GET", "/events", params=params) as stream, engine.translated(title):
        for event in stream.messages():
            moment, facts = int(event.get("timeNano") or 0), event.get("Actor", {}).get("Attributes", {})
            if moment <= int(asked.replace(".", "")):
                continue
            if event.get("Action", event.get("status", "")) not in _ENDS:
                began = _stamp(moment)
                continue
            code = str(facts.get("exitCode") or facts.get("containerExitCode") or "")
            found.append(RunEnd(_stamp(moment), int(code) if code.isdigit() else None, began))
    return found


def _stamp(moment: int) -> str:
    """RFC 3339 of nanoseconds since 1970."""
    second = datetime.fromtimestamp(moment // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{second}.{moment % 10**9:09}Z"


def engine_time(text: str) -> str:
    """An RFC 3339 time (UTC if it names no zone) as the engine takes it: seconds and nanoseconds since 1970."""
    match = _TIME.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        seconds, fraction, zone = match.groups()
        moment = datetime.fromisoformat(f"{seconds.replace('t', 'T')}{(zone or 'Z').upper()}")
    except ValueError as error:
        raise InvalidInputError(
            "since", f"{text!r} is not a time", "", "Write it like 2026-11-23T08:39:00Z."
        ) from error
    return f"{int(moment.timestamp())}.{(fraction or '').ljust(9, '0')}"


def a_moment_before(text: str) -> str:
    """A tenth of a second before the engine says that a container started: by then it may have written lines."""
    seconds, fraction = engine_time(text).split(".")
    return _stamp(int(seconds) * 10**9 + int(fraction) - 10**8)


def a_moment_ago() -> str:
    """Just before now, as the engine takes it: events begun then are not missed while a connection is made."""
    return str(int(time.time()) - 1)
