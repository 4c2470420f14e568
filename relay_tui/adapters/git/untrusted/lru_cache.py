"""Answers that need not be asked for twice: what they are about cannot have changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """The `most` answers that were asked for last. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._answers: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The answer, if it is still here."""
        with self._lock:
            if key not in self._answers:
                return None
            self._answers.move_to_end(key)
            return self._answers[key]

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._answers

    def forget(self) -> None:
        """Keep none of them."""
        with self._lock:
            self._answers.clear()

    def put(self, key: K, value: V) -> V:
        """Keep an answer, and hand it on."""
        with self._lock:
            self._answers[key] = value
            self._answers.move_to_end(key)
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return value
