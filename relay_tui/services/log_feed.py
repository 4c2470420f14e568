"""A session's live log: one daemon thread reads, the screen drains at its own pace."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from relay_tui.errors import RelayError
from relay_tui.services.ports import LogChunk, LogStream, Runtime

ROOM = 8 << 20  # bytes read ahead of the screen; then the reader waits, and the engine keeps the rest: nothing drops


class LogFeed:
    """Follows one container's output. `wake` is called (in the reader's thread) when there is something to drain."""

    def __init__(self, runtime: Runtime, container_id: str, wake: Callable[[], None], *, tail: int) -> None:
        self._runtime = runtime
        self._container_id = container_id
        self._wake = wake
        self._tail = tail
        self._chunks: deque[LogChunk] = deque()
        self._size = 0
        self._room = threading.Condition()
        self._closed = False
        self._stream: LogStream | None = None
        self.ended = False
        """Whether the stream is over; what is left can still be drained."""
        self.error: RelayError | None = None
        """Why it ended, if not because the container did."""
        threading.Thread(target=self._read, name=f"log {container_id[:12]}", daemon=True).start()

    def _read(self) -> None:
        try:
            stream = self._runtime.logs(self._container_id, follow=True, tail=self._tail)
            with self._room:
                self._stream = stream
                if self._closed:
                    stream.close()
                    return
            for chunk in stream:
                if not self._take(chunk):
                    return
        except RelayError as error:
            self.error = error
        self.ended = True
        if not self._closed:
            self._wake()

    def _take(self, chunk: LogChunk) -> bool:
        with self._room:
            self._room.wait_for(lambda: self._size < ROOM or self._closed)
            if self._closed:
                return False
            first = not self._chunks
            self._chunks.append(chunk)
            self._size += len(chunk.data)
        if first:
            self._wake()
        return True

    def drain(self) -> list[LogChunk]:
        """Everything read since the last drain, in order."""
        with self._room:
            chunks = list(self._chunks)
            self._chunks.clear()
            self._size = 0
            self._room.notify()
        return chunks

    def close(self) -> None:
        """Stop following; `wake` is not called any more."""
        with self._room:
            self._closed = True
            stream = self._stream
            self._room.notify()
        if stream is not None:
            stream.close()
