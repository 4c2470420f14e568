"""Streams of a container's output and of the engine's events. Another thread can close them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.connection.http_stream import HttpStream
from relay_tui.adapters.docker.container_builder import SESSION
from relay_tui.adapters.runtime_common.log_lines import FramedLines, TerminalLines, engine_time, format_time
from relay_tui.domain.log_batch import LogBatch
from relay_tui.ports import LogChunk, RunEnd

_HEADER = 8
_STREAMS = ("stdin", "stdout", "stderr", "stderr")
_ENDS = ("die", "died")
_CHANGES = frozenset(
    {"create", "start", "restart", "die", "died", "stop", "oom", "pause", "unpause", "destroy", "remove"}
)


class FrameDecoder:
    """Decoder for the engine's multiplexed output. A frame is a stream number, three zeros, a length, and the bytes."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = 1
        self._remaining = 0

    def feed(self, data: bytes) -> list[LogChunk]:
        """Return the complete frames, adjacent ones of a stream joined. Incomplete frames wait for more bytes."""
        chunks: list[LogChunk] = []
        parts: list[memoryview] = []
        stream = self._stream
        view, at, end = memoryview(data), 0, len(data)
        while at < end:
            if self._remaining:
                if self._stream != stream and parts:
                    chunks.append(LogChunk(_STREAMS[stream], b"".join(parts)))
                    parts = []
                stream = self._stream
                taken = min(self._remaining, end - at)
                parts.append(view[at : at + taken])
                self._remaining -= taken
                at += taken
                continue
            wanted = _HEADER - len(self._header)
            self._header += view[at : at + wanted]
            at += wanted
            if len(self._header) == _HEADER:
                self._stream = min(self._header[0], len(_STREAMS) - 1)
                self._remaining = int.from_bytes(self._header[4:], "big")
                self._header = b""
        if parts:
            chunks.append(LogChunk(_STREAMS[stream], b"".join(parts)))
        return chunks


class EngineLog:
    """Stream of a container's output. Implements LogStream."""

    def __init__(self, engine: EngineClient, stream: HttpStream, *, tty: bool) -> None:
        self._engine = engine
        self._stream = stream
        self._tty = tty

    def __iter__(self) -> Iterator[LogChunk]:
        frames = FrameDecoder()
        with self._stream, self._engine.translated("Cannot read the log"):
            while data := self._stream.recv():
                if self._tty:
                    yield LogChunk("stdout", data)
                else:
                    yield from frames.feed(data)

    def close(self) -> None:
        """Close the stream. An iteration in another thread ends too."""
        self._stream.close()


class EngineLines:
    """Stream of the lines of a container's output. Implements LineStream."""

    def __init__(self, engine: EngineClient, stream: HttpStream, *, tty: bool) -> None:
        self._engine = engine
        self._stream = stream
        self._lines = TerminalLines() if tty else FramedLines()

    def __iter__(self) -> Iterator[LogBatch]:
        with self._stream, self._engine.translated("Cannot read the log"):
            while data := self._stream.recv():
                batch = self._lines.feed(data)
                if batch or self._lines.partial_lines():
                    yield batch
            if not self._stream.closed and (batch := self._lines.finish()):
                yield batch

    def partial_lines(self) -> LogBatch:
        """Return the partial lines."""
        return self._lines.partial_lines()

    def close(self) -> None:
        """Close the stream. An iteration in another thread ends too."""
        self._stream.close()


class EngineEvents:
    """Stream of the ids of sessions whose container changed. Implements EventStream."""

    def __init__(self, engine: EngineClient, stream: HttpStream) -> None:
        self._engine = engine
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        with self._stream:
            with self._engine.translated("Cannot read the engine's events"):
                for event in self._stream.messages():
                    session = event.get("Actor", {}).get("Attributes", {}).get(SESSION)
                    if session and event.get("Action", event.get("status", "")) in _CHANGES:
                        yield session
            if not self._stream.closed:
                raise self._engine.unreachable(ConnectionResetError("the connection ended"))

    def close(self) -> None:
        """Close the stream. An iteration in another thread ends too."""
        self._stream.close()


def run_history(engine: EngineClient, container_id: str, since: str) -> list[RunEnd]:
    """Return a container's runs that ended after `since`, oldest first."""
    start = engine_time(since)
    filters = {"type": ["container"], "container": [container_id], "event": ["start", *_ENDS]}
    params = {"filters": json.dumps(filters), "since": start, "until": f"{time.time():.9f}"}
    title = "Cannot read the engine's events"
    ends: list[RunEnd] = []
    started_at = ""
    with engine.stream(title, "GET", "/events", params=params) as stream, engine.translated(title):
        for event in stream.messages():
            moment, attributes = int(event.get("timeNano") or 0), event.get("Actor", {}).get("Attributes", {})
            if moment <= int(start.replace(".", "")):
                continue
            if event.get("Action", event.get("status", "")) not in _ENDS:
                started_at = format_time(moment)
                continue
            code = str(attributes.get("exitCode") or attributes.get("containerExitCode") or "")
            ends.append(RunEnd(format_time(moment), int(code) if code.isdigit() else None, started_at))
    return ends
