"""Screen of the demo: relay's own over a sample project, with a panel of hints."""

from __future__ import annotations

import threading

from relay_tui.services.demo import Demo
from relay_tui.services.relay import Relay
from relay_tui.ui.app import RelayApp, run_app
from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.keys.keymap import Keymap
from relay_tui.ui.main.screen import MainScreen
from relay_tui.ui.presentation import formatting, projects
from relay_tui.ui.widgets.hints_panel import HintsPanel


def hints() -> tuple[tuple[str, str, str], ...]:
    """Return the panel's hints: keys, a word for them, and what they do."""
    return (
        ("j k", "choose", "select a session; its log is below"),
        (key_of("next_tab"), "why", "Info: the whole error"),
        (key_of("shell"), "shell", "a shell in the session's own clone"),
        (key_of("new_session"), "new", "one more session, on any branch"),
        (key_of("doctor"), "doctor", "what this machine lacks, and how to fix it"),
        (key_of("help"), "keys", "every key"),
    )


class DemoApp(RelayApp):
    """Starts the demo when the screen is ready."""

    TITLE = "relay demo"

    def __init__(self, relay: Relay, demo: Demo, words: str, keymap: Keymap | None = None) -> None:
        super().__init__(relay, keymap)
        self._demo = demo
        self._words = words

    async def on_ready(self) -> None:
        """Show the hints above the key bar, and start the demo."""
        main = next(screen for screen in self.screen_stack if isinstance(screen, MainScreen))
        panel = HintsPanel(self._words, hints(), ascii_only=self.glyphs is formatting.ASCII)
        await main.mount(panel, before="#keys")
        threading.Thread(target=self._play, args=(main,), name="demo", daemon=True).start()

    def _play(self, main: MainScreen) -> None:
        first = self._demo.play()
        if first and self.is_running:
            self.call_from_thread(self._show, main, first)

    def _show(self, main: MainScreen, session_id: str) -> None:
        """Select the running session, unless the user selected something else meanwhile."""
        if main.selection.pane == "projects" and main.projects.cursor_key in {None, projects.ALL}:
            main.show_latest(session_id)


def run_demo(relay: Relay, demo: Demo, words: str, keymap: Keymap | None = None) -> int:
    """Run the demo's screen until the user leaves it; return the exit code."""
    return run_app(DemoApp(relay, demo, words, keymap))
