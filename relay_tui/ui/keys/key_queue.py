"""Keys as they come: when the last one did, for whatever can wait, and each only after the one before it was obeyed."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, TypeVar

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.driver import Driver

UNDERWAY = 0.1  # seconds after which a key has been obeyed, if nothing else told so: whatever took it lets none go on
STUCK = 0.3  # seconds after which a key no longer waits for one whose way broke off
Result = TypeVar("Result")


class KeyQueue(App[Result]):
    """Notes each key, before anything is done about it; holds it back while the one before it is underway.

    A key goes to what has the focus and from there up to the application, one queue after the other, until something
    obeys it; what comes in one packet with it would be handed to what had the focus before: of `/foo` typed fast, the
    letters would be the log's keys and not the pattern's.
    """

    key_at = 0.0
    """When the last one came, on the monotonic clock."""

    def __init__(self, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class)
        self._held_keys: deque[events.Key] = deque()
        self._underway: DOMNode | None = None  # where the last one went; None: it is back
        self._sent_at = 0.0

    async def on_event(self, event: events.Event) -> None:
        """A key sets out, or is back."""
        if not isinstance(event, events.Key):
            await super().on_event(event)
        elif event.is_forwarded:
            await super().on_event(event)
            self._underway = None
        else:
            self.key_at = time.monotonic()
            held = self._held_keys
            if held or (self._underway is not None and self.key_at - self._sent_at < UNDERWAY):
                held.append(event)
                if len(held) == 1:
                    self._go_behind(self._underway or self)
            else:
                await self._send(event)

    async def _send(self, event: events.Key) -> None:
        self._underway, self._sent_at = self.focused or self.screen, time.monotonic()
        await super().on_event(event)

    def _go_behind(self, node: DOMNode) -> None:
        """Wait in each of the queues that the key before passes through, behind it; then send the next."""
        first, path = self._held_keys[0], [*node.ancestors_with_self]
        if path[-1] is not self:
            path.append(self)

        def step(at: int) -> None:
            while at < len(path) and not path[at].call_later(step, at + 1):
                at += 1
            if at == len(path):
                self.call_later(self._send_held, first)

        step(0)
        self.set_timer(STUCK, lambda: self._send_held(first))

    async def _send_held(self, first: events.Key) -> None:
        """Send the first that waits, if it is this one still."""
        held = self._held_keys
        if held and held[0] is first:
            await self._send(held.popleft())
            if held:
                self._go_behind(self._underway or self)


def last_key_time(app: App[Any]) -> float:
    """When the last key came; 0 in an application that does not note it."""
    return app.key_at if isinstance(app, KeyQueue) else 0.0
