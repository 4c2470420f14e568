"""Actions of a log view (search, filter, wrap, save), for the detail pane and for the merged log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from textual.screen import Screen

from relay_tui.ui.keys.actions import key_of
from relay_tui.ui.keys.dispatch import Handler
from relay_tui.ui.log.model.pattern import Pattern
from relay_tui.ui.log.prompt import Kind, LogPrompt
from relay_tui.ui.log.saver import LogSaver
from relay_tui.ui.log.state import LogState
from relay_tui.ui.log.view import LogView
from relay_tui.ui.presentation.formatting import ASCII, Glyphs
from relay_tui.ui.widgets.key_bar import KeyBar
from relay_tui.ui.widgets.overlay_input import OverlayInput

SINCE = (("", 0), ("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3_600), ("6h", 21_600), ("24h", 86_400))
"""Choices of the `log_since` keys: text and seconds. 0 seconds stands for the whole log."""

CLIPBOARD_LIMIT = 74_000
"""Bytes that terminals accept. Some reject a sequence of over 100,000 characters, and base64 adds a third."""


class LogController:
    """Actions of one screen's log view."""

    def __init__(
        self,
        screen: Screen[Any],
        glyphs: Glyphs,
        *,
        log_view: Callable[[], LogView],
        log_name: Callable[[], str],
        reopen: Callable[[float, str], object],
        write: Callable[[str, Iterable[str]], Path],
        keys_changed: Callable[[], object],
        prompt_shown: Callable[[bool], object] = lambda _: None,
    ) -> None:
        """`log_name` returns the name of the shown log, '' for none; `write` writes a log to a new file.

        `reopen(seconds, text)` shows the last seconds of the log and what follows, 0 all of it.
        `keys_changed` is called when other keys apply, `prompt_shown` with True before the prompt opens and with False
        after it has closed.
        """
        self._screen = screen
        self._glyphs = glyphs
        self._log_view = log_view
        self._reopen = reopen
        self._keys_changed = keys_changed
        self._prompt_shown = prompt_shown
        self._saver = LogSaver(screen, log_view=log_view, log_name=log_name, write=write)
        self._prompt: LogPrompt | None = None  # None until the screen mounts it
        self._was_searching = False

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by action name. `log_full` is the screen's own."""
        return {
            "log_search": Handler(lambda: self._ask_pattern("search", self._log_view().state.sought)),
            "log_filter": Handler(lambda: self._ask_pattern("filter", self._log_view().state.filter)),
            "log_next": Handler(lambda: self._log_view().search(1), requires=self.is_searching),
            "log_previous": Handler(lambda: self._log_view().search(-1), requires=self.is_searching),
            "log_wrap": Handler(self.toggle_wrap),
            "log_times": Handler(self.toggle_times),
            "log_follow": Handler(self.toggle_follow),
            "log_since": Handler(self.show_since),
            "log_mark": Handler(self.insert_separator),
            "log_clear": Handler(lambda: self._log_view().clear()),
            "log_copy": Handler(self.copy_visible),
            "log_save": Handler(self._saver.start),
        }

    def is_searching(self) -> bool:
        """Return whether a pattern is searched, so that there are matches to go to."""
        return self._log_view().state.found is not None

    def state_changed(self, state: LogState) -> None:
        """Offer the search keys while there is a search, and continue saving. To be called by the screen."""
        searching = state.found is not None
        if searching != self._was_searching:
            self._was_searching = searching
            self._keys_changed()
        self._saver.proceed()

    # --- search and filter ---

    def build_prompt(self, under: KeyBar | OverlayInput) -> LogPrompt:
        """Return the prompt, to be mounted by the screen over `under`."""
        self._prompt = LogPrompt(under, self._use_pattern)
        return self._prompt

    def _ask_pattern(self, kind: Kind, text: str) -> None:
        if self._prompt is not None:
            self._prompt_shown(True)
            self._prompt.ask(kind, text)

    def _use_pattern(self, kind: Kind, pattern: Pattern | None, done: bool) -> None:
        """Show the matches while the pattern is typed. `done` closes the prompt."""
        view = self._log_view()
        if kind == "search":
            view.set_search(pattern)
        else:
            view.set_filter(pattern)
        if done:
            self._close_prompt()
            if kind == "search" and pattern is not None:
                view.search()

    def cancel_prompt(self) -> bool:
        """Close the prompt and restore the pattern from before it. Return False if it was not open."""
        if self._prompt is not None and self._prompt.is_open:
            self._prompt.take_back()
        return self._close_prompt()

    def _close_prompt(self) -> bool:
        closed = self._prompt is not None and self._prompt.is_open
        if self._prompt is not None and closed:
            self._prompt.show(False)
            self._screen.set_focus(self._log_view())
        self._prompt_shown(False)
        return closed

    def cancel_search(self) -> bool:
        """Stop saving; else end the search; else remove the filter.

        Return False if there was none of them, or the log does not have the focus.
        """
        view = self._log_view()
        if self._saver.stop():
            return True
        if self._screen.focused is not view:
            return False
        if view.state.found is not None:
            view.set_search(None)
        elif view.state.filter:
            view.set_filter(None)
        else:
            return False
        return True

    def report_nothing_found(self) -> None:
        """Notify that the pattern has no match."""
        self._screen.notify("Nothing in the log matches.", timeout=2)

    # --- how the log is shown ---

    def toggle_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        view = self._log_view()
        view.set_wrap(not view.state.wrap)

    def toggle_times(self) -> None:
        """Show or hide the lines' times."""
        view = self._log_view()
        view.set_times(not view.state.times)

    def toggle_follow(self) -> None:
        """Stop following, or go to the end and follow."""
        view = self._log_view()
        (view.pause if view.following else view.follow)()

    def show_since(self, choice: int | None = None) -> None:
        """Show the last minutes or hours of the log by an index of SINCE; None: the next index."""
        if choice is None:
            texts = [text for text, _ in SINCE]
            choice = (texts.index(self._log_view().state.since) + 1) % len(SINCE)
        text, seconds = SINCE[choice]
        self._reopen(seconds, text)

    def insert_separator(self) -> None:
        """Insert a line with the time below the last line."""
        rule = ("-" if self._glyphs is ASCII else "─") * 12
        self._log_view().notice(f"{rule} {datetime.now().astimezone():%H:%M:%S} {rule}")

    def copy_visible(self) -> None:
        """Copy the visible lines to the terminal's clipboard."""
        text = self._log_view().visible_text()
        if not text:
            return
        self._screen.app.copy_to_clipboard(text)
        count = text.count("\n") + 1
        message = f"Copied {count} {'line' if count == 1 else 'lines'}."
        if len(text.encode()) <= CLIPBOARD_LIMIT:
            self._screen.notify(message, timeout=2)
        else:
            message += " The terminal may not accept this much text."
            message += f" Press {key_of('log_save')} to save the log to a file instead."
            self._screen.notify(message, severity="warning", timeout=8, markup=False)
