"""The application: theme, bindings, palette; opening and leaving."""

from __future__ import annotations

import codecs
import gc
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.notifications import Notification, SeverityLevel
from textual.reactive import Reactive
from textual.screen import Screen
from textual.theme import Theme

from relay_tui.memory import limit_malloc_arenas
from relay_tui.services.relay import Relay
from relay_tui.terminal_info import utf8_locale
from relay_tui.ui.event_bridge import EventBridge, StateChanged
from relay_tui.ui.keys.actions import ACTIONS, BY_NAME, key_of
from relay_tui.ui.keys.key_queue import KeyQueue
from relay_tui.ui.log.controller import LogController
from relay_tui.ui.main.screen import MainScreen
from relay_tui.ui.presentation import formatting
from relay_tui.ui.signals import exit_on_signals
from relay_tui.ui.state import build_state
from relay_tui.ui.textual_internals import driver_class
from relay_tui.ui.theme import CALM, INK
from relay_tui.ui.widgets.flash_bar import FlashMessages

SWITCH = 0.001  # seconds that a thread reading a log may keep the screen waiting, at each step of a key's way
HEADWAY = 0.05  # seconds between the first paint and the first look at engine and disk


class RelayApp(KeyQueue[int]):
    """Opens the main screen over relay; everything else is the screen's."""

    TITLE = "relay"
    CSS_PATH = Path(__file__).with_name("main") / "main.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = BY_NAME["command_palette"].keys
    theme: Reactive[str] = Reactive(CALM.name)
    ansi_theme_dark = Reactive(INK, init=False)
    """Ours from the start: each of the two that is set later has all styles read and applied once more."""
    _themes: dict[str, Theme] | None = None
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(a.keys, a.name, a.help, show=False, id=a.binding_id) for a in ACTIONS if a.name == "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, relay: Relay) -> None:
        super().__init__(driver_class())
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide"), (150, "-broad")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]
        self.relay = relay
        self.flash = FlashMessages(self)
        wanted = relay.config.glyphs
        ascii_only = wanted == "ascii" or (wanted == "auto" and not utf8_locale())
        self.glyphs = formatting.ASCII if ascii_only else formatting.UNICODE
        self._bridge: EventBridge | None = None
        self._typed_ahead: list[events.Key] | None = []

    def get_default_screen(self) -> MainScreen:
        """What the store has, in the size of the terminal: no other screen has to be made and styled before it."""
        main = MainScreen(self.relay, self.glyphs, build_state(self.relay))
        width, height = self.size
        for breakpoints, length in ((self.HORIZONTAL_BREAKPOINTS, width), (self.VERTICAL_BREAKPOINTS, height)):
            main.add_class([name for least, name in breakpoints or () if length >= least][-1])
        return main

    def on_mount(self) -> None:
        """Paint what the store has; only then look at the world."""
        self.theme = self._choose_theme()
        self.set_class(self.glyphs is formatting.ASCII, "-ascii")
        self._bridge = EventBridge(self.relay, self.screen.post_message)
        self.call_after_refresh(self._painted)
        if not self.is_headless:
            exit_on_signals(lambda code: self.exit(return_code=code))

    async def on_event(self, event: events.Event) -> None:
        """Keys that come before all is there to take them wait for it."""
        if self._typed_ahead is not None and isinstance(event, events.Key):
            self._typed_ahead.append(event)
        else:
            await super().on_event(event)

    async def _painted(self) -> None:
        """The first paint is made; what begins now must not hold it up on its way to the terminal.

        What there is by now stays for long: it is looked through for garbage once, not again and again.
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
            gc.set_threshold(5_000, 20, 20)  # looking oftener takes longer than a frame, amid keys
            gc.enable()
        self.set_timer(HEADWAY, self.relay.start)

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Textual's themes, and ours before any could be registered."""
        if not self._themes:  # asked for with every line that is drawn
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
        """The palette holds the table of actions, and the themes."""
        if isinstance(screen, LogController):
            for action in ACTIONS:
                if action.name not in {"command_palette", "quit", "back"} and screen.offered(action):
                    yield SystemCommand(
                        action.label.capitalize(), action.help, getattr(screen, f"action_{action.name}")
                    )
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Quit", "Leave relay; sessions go on running", self.action_quit)

    async def action_quit(self) -> None:
        """Leave; when something is under way, ask first."""
        from relay_tui.ui.dialogs.confirm import ConfirmDialog  # the first paint needs no dialog

        jobs = self.relay.jobs.running()
        if not jobs or isinstance(self.screen, ConfirmDialog):
            self.exit(0)
            return
        under_way = [("under way", "\n".join(job.title for job in jobs.values()))]

        def answered(yes: bool | None) -> None:
            if yes:
                self.exit(0)

        self.push_screen(
            ConfirmDialog(
                f"Quit, and interrupt what is under way? {key_of('retry')} goes on with it later.", under_way, "Quit"
            ),
            answered,
        )

    def close(self) -> None:
        """Let go of threads and streams."""
        if self._bridge is not None:
            self._bridge.close()
        self.relay.close()


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What an ASCII terminal gets for other characters: as many cells, none of them wrong."""
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(" " if "\u2500" <= c <= "\u259f" else "?" * cell_len(c) for c in lost), error.end


def run_screen(relay: Relay) -> int:
    """Run the app until it is left; answer the exit code."""
    return run_app(RelayApp(relay))


def run_app(app: RelayApp) -> int:
    """Run it until it is left; answer the exit code."""
    if app.glyphs is formatting.ASCII and sys.__stderr__ is not None:
        codecs.register_error("relay-plain", _plain)
        sys.__stderr__.reconfigure(encoding="ascii", errors="relay-plain")
    sys.setswitchinterval(SWITCH)
    try:
        app.run()
    finally:
        app.close()
    return app.return_code or 0


__all__ = ["RelayApp", "StateChanged", "run_app", "run_screen"]
