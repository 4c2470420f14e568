"""The screen of a demo: relay's own, with a panel of hints, over a sample project that comes by itself."""

from __future__ import annotations

import threading

from relay_tui.services.demo import Demo
from relay_tui.services.relay import Relay
from relay_tui.ui.app import RelayApp, run_app
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.main.screen import MainScreen
from relay_tui.ui.presentation import formatting, projects
from relay_tui.ui.state import build_state
from relay_tui.ui.widgets.hints_panel import HintsPanel

HINTS: tuple[tuple[str, str, str], ...] = (
    ("j k", "choose", "choose a session; below is its log"),
    (key_of("next_tab"), "why", "Info: what went wrong, in full"),
    (key_of("shell"), "shell", "a shell in the session's own clone"),
    (key_of("new_session"), "new", "one more session, on any branch"),
    (key_of("doctor"), "doctor", "what this machine lacks, and what mends it"),
    (key_of("help"), "keys", "every key there is"),
)
"""Keys, a word for them, and what they do."""


class DemoApp(RelayApp):
    """Begins the demo once there is something to see it on."""

    TITLE = "relay demo"

    def __init__(self, relay: Relay, demo: Demo, words: str) -> None:
        super().__init__(relay)
        self._demo = demo
        self._words = words

    async def on_ready(self) -> None:
        """Show the hints above the keys, and play."""
        main = next(screen for screen in self.screen_stack if isinstance(screen, MainScreen))
        hints = HintsPanel(self._words, HINTS, ascii_only=self.glyphs is formatting.ASCII)
        await main.mount(hints, before="#keys")
        threading.Thread(target=self._play, args=(main,), name="demo", daemon=True).start()

    def _play(self, main: MainScreen) -> None:
        first = self._demo.play()
        if first and self.is_running:
            self.call_from_thread(self._show, main, first)

    def _show(self, main: MainScreen, session_id: str) -> None:
        """Begin at what runs, unless somebody went elsewhere meanwhile."""
        if main.place == "projects" and main.projects.cursor_key in {None, projects.ALL}:
            main.world = build_state(self.relay)  # the news of the session may not have come yet
            main.draw()
            main.select(session_id)


def run_demo(relay: Relay, demo: Demo, words: str) -> int:
    """Run the demo's screen until it is left; answer the exit code."""
    return run_app(DemoApp(relay, demo, words))
