"""Application: theme, keymap, palette; opening and leaving."""

from __future__ import annotations

import codecs
import gc
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.notifications import Notification, SeverityLevel
from textual.reactive import Reactive
from textual.screen import Screen
from textual.theme import Theme

from relay_tui.memory import limit_malloc_arenas
from relay_tui.services.relay import Relay
from relay_tui.terminal_info import utf8_locale
from relay_tui.ui.event_bridge import EventBridge, StateChanged
from relay_tui.ui.keys.actions import BY_NAME, key_of, use_custom_keys
from relay_tui.ui.keys.dispatch import DispatchingScreen
from relay_tui.ui.keys.key_queue import KeyQueue
from relay_tui.ui.keys.keymap import Keymap
from relay_tui.ui.main.screen import MainScreen
from relay_tui.ui.presentation import formatting
from relay_tui.ui.signals import exit_on_signals
from relay_tui.ui.state import build_state
from relay_tui.ui.textual_internals import driver_class
from relay_tui.ui.theme import CALM, INK
from relay_tui.ui.widgets.flash_bar import FlashMessages

SWITCH_INTERVAL = 0.001  # seconds that a thread reading a log may delay the screen, at each step of a key's way
START_DELAY = 0.05  # seconds between the first paint and the first check of engine and disk
_GC_THRESHOLD = 5_000  # new objects between two collections: more frequent ones take longer than a frame, amid keys
_NOT_IN_PALETTE = frozenset({"command_palette", "quit", "back"})


class RelayApp(App[int]):
    """Opens the main screen over relay. Everything else is the screen's."""

    TITLE = "relay"
    CSS_PATH = Path(__file__).with_name("main") / "main.tcss"
    ENABLE_COMMAND_PALETTE = True
    theme: Reactive[str] = Reactive(CALM.name)
    ansi_theme_dark = Reactive(INK, init=False)
    """Set as class defaults: assigning either one after start-up makes Textual apply all styles again."""
    _themes: dict[str, Theme] | None = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(BY_NAME["quit"].keys, "quit", BY_NAME["quit"].help, show=False, id=BY_NAME["quit"].binding_id),
        Binding(
            BY_NAME["command_palette"].keys,
            "command_palette",
            BY_NAME["command_palette"].help,
            show=False,
            priority=True,
            id=BY_NAME["command_palette"].binding_id,
        ),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, relay: Relay, keymap: Keymap | None = None) -> None:
        super().__init__(driver_class())
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide"), (150, "-broad")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]
        self.relay = relay
        self.flash = FlashMessages(self)
        wanted = relay.config.glyphs
        ascii_only = wanted == "ascii" or (wanted == "auto" and not utf8_locale())
        self.glyphs = formatting.ASCII if ascii_only else formatting.UNICODE
        self.key_queue = KeyQueue(self, super().on_event)
        self._bridge: EventBridge | None = None
        self._typed_ahead: list[events.Key] | None = []  # keys that came before everything was mounted
        keymap = keymap or Keymap()
        use_custom_keys(keymap.keys)
        if keymap.keys:
            self.set_keymap(keymap.bindings())

    def get_default_screen(self) -> MainScreen:
        """Return the main screen with the store's state, in the size of the terminal.

        It is the first screen, so no other one is built and styled before it.
        """
        main = MainScreen(self.relay, self.glyphs, build_state(self.relay))
        width, height = self.size
        for breakpoints, length in ((self.HORIZONTAL_BREAKPOINTS, width), (self.VERTICAL_BREAKPOINTS, height)):
            main.add_class([name for least, name in breakpoints or () if length >= least][-1])
        return main

    def on_mount(self) -> None:
        """Paint the store's state. Everything that takes longer follows the first paint."""
        self.theme = self._choose_theme()
        self.set_class(self.glyphs is formatting.ASCII, "-ascii")
        self._bridge = EventBridge(self.relay, self.screen.post_message)
        self.call_after_refresh(self._start)
        if not self.is_headless:
            exit_on_signals(lambda code: self.exit(return_code=code))

    async def on_event(self, event: events.Event) -> None:
        """Queue keys. Keep those that come before the widgets that they are for are mounted."""
        if not isinstance(event, events.Key):
            await super().on_event(event)
        elif self._typed_ahead is not None:
            self._typed_ahead.append(event)
        else:
            await self.key_queue.put(event)

    async def _start(self) -> None:
        """Mount the rest after the first paint, which must not wait for it on its way to the terminal.

        Objects that exist by now live for long: they are collected once and then ignored by the garbage collector.
        """
        main = self.screen_stack[0]
        assert isinstance(main, MainScreen)
        if not self.is_headless:
            limit_malloc_arenas()
        await main.populate()
        typed, self._typed_ahead = self._typed_ahead or [], None
        for key in typed:
            self.post_message(key)
        if not self.is_headless:
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GC_THRESHOLD, 20, 20)
            gc.enable()
        self.set_timer(START_DELAY, self.relay.start)

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Textual's themes and relay's, before any is registered. Cached: it is read for every drawn line."""
        if not self._themes:
            self._themes = {CALM.name: CALM, **super().available_themes}
        return self._themes

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a message at the bottom of the screen on top. Thread-safe."""
        seconds = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        self.call_later(self.flash.show, Notification(message, title, severity, seconds, markup=markup))

    def _choose_theme(self) -> str:
        wanted = self.relay.config.theme
        if wanted in self.available_themes:
            return wanted
        return "ansi-dark" if self.console.color_system in {"standard", None} else CALM.name

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the palette's entries: the actions that the screen offers, the themes, quitting.

        An entry names the action's former name too, so that a search for it finds the action.
        """
        if isinstance(screen, DispatchingScreen):
            dispatcher = screen.dispatcher
            for action in dispatcher.offered:
                if action.name not in _NOT_IN_PALETTE:
                    former = f" ({action.alias.replace('_', ' ')})" if action.alias else ""
                    title = action.label.capitalize() + former
                    yield SystemCommand(title, action.help, partial(dispatcher.run, action.name))
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Quit", "Quit relay; sessions keep running", self.action_quit)

    async def action_quit(self) -> None:
        """Quit; while jobs run, ask first."""
        from relay_tui.ui.dialogs.confirm import ConfirmDialog  # the first paint needs no dialog

        jobs = self.relay.jobs.running()
        if not jobs or isinstance(self.screen, ConfirmDialog):
            self.exit(0)
            return

        def quit_if_confirmed(confirmed: bool | None) -> None:
            if confirmed:
                self.exit(0)

        title = f"Quit and interrupt the running jobs? Press {key_of('retry')} later to retry them."
        rows = [("running", "\n".join(job.title for job in jobs.values()))]
        self.push_screen(ConfirmDialog(title, rows, "Quit"), quit_if_confirmed)

    def close(self) -> None:
        """Close threads and streams."""
        if self._bridge is not None:
            self._bridge.close()
        self.relay.close()


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return a replacement of the same width for characters that an ASCII terminal cannot show."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(" " if "\u2500" <= c <= "\u259f" else "?" * cell_len(c) for c in lost), error.end


def run_screen(relay: Relay, keymap: Keymap | None = None) -> int:
    """Run the app until the user leaves it; return the exit code."""
    return run_app(RelayApp(relay, keymap))


def run_app(app: RelayApp) -> int:
    """Run an app until the user leaves it; return the exit code."""
    if app.glyphs is formatting.ASCII and sys.__stderr__ is not None:
        codecs.register_error("relay-plain", _to_ascii)
        sys.__stderr__.reconfigure(encoding="ascii", errors="relay-plain")
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        app.run()
    finally:
        app.close()
    return app.return_code or 0


__all__ = ["RelayApp", "StateChanged", "run_app", "run_screen"]
