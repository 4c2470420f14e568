"""Dispatch of actions: from an action's name to the code that runs it, with what it requires."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Protocol, runtime_checkable

from relay_tui.ui.keys.actions import ACTIONS, BY_NAME, Action


def always() -> bool:
    """Return True: nothing is required."""
    return True


@dataclass(frozen=True, slots=True)
class Handler:
    """Code of one action and its conditions."""

    run: Callable[..., object]
    requires: Callable[[], bool] = always
    """Condition without which the key does nothing and is not offered."""
    offered_when: Callable[[], bool] = always
    """Further condition for the key bar and the palette. The key works without it and reports why it cannot help."""

    @property
    def is_offered(self) -> bool:
        """Whether the key bar and the palette show the action."""
        return self.requires() and self.offered_when()


class Dispatcher:
    """One screen's handlers by action name, and the panes in which they apply.

    Bindings, the key bar, the palette and mouse clicks all go through it.
    """

    def __init__(self, handlers: Mapping[str, Handler], places: Callable[[], frozenset[str]]) -> None:
        """`places` returns the names of the focused pane and tab. Raises KeyError for a name that is no action."""
        self.handlers = {BY_NAME[name].name: handler for name, handler in handlers.items()}
        self._places = places

    @property
    def actions(self) -> tuple[Action, ...]:
        """Actions that have a handler, in the order of the table."""
        return tuple(action for action in ACTIONS if action.name in self.handlers)

    @property
    def offered(self) -> tuple[Action, ...]:
        """Actions that apply in the focused pane and whose conditions hold."""
        places = self._places()
        return tuple(
            action
            for action in self.actions
            if (not action.places or not action.places.isdisjoint(places)) and self.handlers[action.name].is_offered
        )

    def can_run(self, name: str) -> bool:
        """Return whether a key of the action does anything now.

        A tab's own action works only while the tab has the focus. All others work in every pane: `Action.places` only
        says where they are offered.
        """
        handler = self.handlers.get(name)
        if handler is None:
            return False
        action = BY_NAME[name]
        if action.is_tab_action and action.places.isdisjoint(self._places()):
            return False
        return handler.requires()

    async def run(self, name: str, *arguments: object) -> None:
        """Run the action if it can run."""
        if self.can_run(name):
            result = self.handlers[name].run(*arguments)
            if isawaitable(result):
                await result


@runtime_checkable
class DispatchingScreen(Protocol):
    """A screen whose actions go through a dispatcher."""

    dispatcher: Dispatcher
