"""Key queue. Delivers one key at a time: a key waits until the previous one has been handled.

It records the time of the last key, so that redraws can wait for idle time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode

HANDLED_AFTER = 0.1  # seconds after which a key counts as handled, if its widget did not forward it before
STUCK_AFTER = 0.3  # seconds after which a key stops waiting for one whose path was interrupted


class KeyQueue:
    """Keys of one app on their way to the focused widget.

    Textual sends a key to the widget with the focus and from there up to the app, through one message queue after the
    other, until something handles it. Keys that arrive in one packet would all be sent to the widget that had the focus
    before the first of them: of `/foo` typed fast, the letters would be keys of the log instead of the pattern.
    """

    def __init__(self, app: App[Any], deliver: Callable[[events.Event], Awaitable[None]]) -> None:
        """`deliver` hands a key on, as the app does without a queue."""
        self.last_key_time = 0.0  # on the monotonic clock
        self._app = app
        self._deliver = deliver
        self._waiting: deque[events.Key] = deque()
        self._sent_to: DOMNode | None = None  # the widget that got the last key; None: the key is handled
        self._sent_at = 0.0

    async def put(self, event: events.Key) -> None:
        """Deliver a key, or keep it until the keys before it are handled.

        A forwarded key comes back from the widget that it was sent to.
        """
        if event.is_forwarded:
            await self._deliver(event)
            self._sent_to = None
            return
        self.last_key_time = time.monotonic()
        if self._waiting or (self._sent_to is not None and self.last_key_time - self._sent_at < HANDLED_AFTER):
            self._waiting.append(event)
            if len(self._waiting) == 1:
                self._wait_behind(self._sent_to or self._app)
        else:
            await self._send(event)

    async def _send(self, event: events.Key) -> None:
        self._sent_to, self._sent_at = self._app.focused or self._app.screen, time.monotonic()
        await self._deliver(event)

    def _wait_behind(self, node: DOMNode) -> None:
        """Pass through the queues that the previous key passes through, behind it; then send the next key."""
        first, path = self._waiting[0], [*node.ancestors_with_self]
        if path[-1] is not self._app:
            path.append(self._app)

        def step(at: int) -> None:
            while at < len(path) and not path[at].call_later(step, at + 1):
                at += 1
            if at == len(path):
                self._app.call_later(self._send_waiting, first)

        step(0)
        self._app.set_timer(STUCK_AFTER, lambda: self._send_waiting(first))

    async def _send_waiting(self, first: events.Key) -> None:
        """Send the first waiting key, unless it was sent already."""
        if self._waiting and self._waiting[0] is first:
            await self._send(self._waiting.popleft())
            if self._waiting:
                self._wait_behind(self._sent_to or self._app)


def last_key_time(app: App[Any]) -> float:
    """Return the time of the app's last key on the monotonic clock; 0 for an app without a key queue."""
    queue = getattr(app, "key_queue", None)
    return queue.last_key_time if isinstance(queue, KeyQueue) else 0.0
