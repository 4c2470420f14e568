"""When somebody last pressed a key: what can wait does, until what the key does is on the screen."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from textual import events
from textual.app import App

Result = TypeVar("Result")


class Hands(App[Result]):
    """Notes each key as it comes in, before anything is done about it."""

    key_at = 0.0
    """When the last one came, on the monotonic clock."""

    async def on_event(self, event: events.Event) -> None:
        """A key sets out."""
        if isinstance(event, events.Key):
            self.key_at = time.monotonic()
        await super().on_event(event)


def last_key(app: App[Any]) -> float:
    """When the last key came; 0 in an application that does not note it."""
    return app.key_at if isinstance(app, Hands) else 0.0
