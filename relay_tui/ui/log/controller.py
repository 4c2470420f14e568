"""What keys do to a log: to the one in the detail that has the focus, and to one that has a screen of its own."""

from __future__ import annotations

from datetime import datetime

from textual import on

from relay_tui.ui.keys.actions import Action, key_of
from relay_tui.ui.log.model.pattern import Pattern
from relay_tui.ui.log.prompt import Kind, LogPrompt
from relay_tui.ui.log.saver import LogSaving
from relay_tui.ui.log.view import LogView
from relay_tui.ui.presentation import formatting

SINCE = (("", 0), ("1m", 60), ("5m", 300), ("15m", 900), ("1h", 3_600), ("6h", 21_600), ("24h", 86_400))
"""What the keys 0 to 6 show: words and seconds; 0 is all of it."""

CLIPBOARD = 74_000
"""Bytes that terminals take: some refuse a sequence of over 100,000 characters, and base64 adds a third."""


class LogController(LogSaving):
    """Delegates to the log's view. Whose log it is, and how it is opened anew, the screen itself knows.

    The screen has a LogPrompt.
    """

    glyphs: formatting.Glyphs
    _seeking = False

    # --- what the screen knows ---

    def reopen_log(self, since: float, words: str) -> None:
        """Show what was written in the last `since` seconds and what comes; 0: all of it."""
        raise NotImplementedError

    def offer_keys(self) -> None:
        """Show the keys that mean something here and now."""
        raise NotImplementedError

    def offered(self, action: Action) -> bool:
        """Whether the action means something here and now."""
        raise NotImplementedError

    @on(LogView.StateChanged)
    def log_state_changed(self, message: LogView.StateChanged) -> None:
        """The footer offers n and N while something is sought."""
        seeking = message.state.found is not None
        if seeking != self._seeking:
            self._seeking = seeking
            self.offer_keys()

    # --- search and filter ---

    def action_log_search(self) -> None:
        """Type what to seek."""
        self.ask_pattern("search", self.log_view.state.sought)

    def action_log_filter(self) -> None:
        """Type what lines must contain."""
        self.ask_pattern("filter", self.log_view.state.filter)

    def ask_pattern(self, kind: Kind, text: str) -> None:
        """Begin with what there is."""
        self.query_one(LogPrompt).ask(kind, text)

    def use_pattern(self, kind: Kind, wanted: Pattern | None, done: bool) -> None:
        """Show what matches as it is typed; enter goes back to the log."""
        if kind == "search":
            self.log_view.set_search(wanted)
        else:
            self.log_view.set_filter(wanted)
        if done:
            self.close_prompt()
            if kind == "search" and wanted is not None:
                self.log_view.search()

    def leave_prompt(self) -> bool:
        """Leave the prompt's line, and what was typed in it. False if it was not open."""
        prompt = self.query_one(LogPrompt)
        if prompt.is_open:
            prompt.take_back()
        return self.close_prompt()

    def close_prompt(self) -> bool:
        """Leave the prompt's line; what was typed stays. False if it was not open."""
        prompt = self.query_one(LogPrompt)
        if not prompt.is_open:
            return False
        prompt.show(False)
        self.set_focus(self.log_view)
        return True

    def leave_search(self) -> bool:
        """Stop saving, or forget the search, or else the filter.

        False if there was none of it, or the log has not the focus.
        """
        if self.stop_saving():
            return True
        if self.focused is not self.log_view:
            return False
        state = self.log_view.state
        if state.found is not None:
            self.log_view.set_search(None)
        elif state.filter:
            self.log_view.set_filter(None)
        else:
            return False
        return True

    def action_log_next(self) -> None:
        """Go to the next match."""
        self.log_view.search(1)

    def action_log_previous(self) -> None:
        """Go to the match before."""
        self.log_view.search(-1)

    @on(LogView.NothingFound)
    def nothing_found(self) -> None:
        """Where the next match was asked for."""
        self.notify("Nothing in the log matches.", timeout=2)

    # --- how it is shown ---

    def action_log_wrap(self) -> None:
        """Fold long lines, or cut them."""
        self.log_view.set_wrap(not self.log_view.state.wrap)

    def action_log_times(self) -> None:
        """Show times, or hide them."""
        self.log_view.set_times(not self.log_view.state.times)

    def action_log_follow(self) -> None:
        """Stop following, or go to the end and follow."""
        (self.log_view.pause if self.log_view.following else self.log_view.follow)()

    def action_log_since(self, choice: int | None = None) -> None:
        """Show what was written lately; without a choice, the next one."""
        words = [since for since, _ in SINCE]
        if choice is None:
            choice = (words.index(self.log_view.state.since) + 1) % len(SINCE)
        self.reopen_log(SINCE[choice][1], SINCE[choice][0])

    def action_log_mark(self) -> None:
        """Draw a line under what is there."""
        rule = ("-" if self.glyphs is formatting.ASCII else "─") * 12
        self.log_view.notice(f"{rule} {datetime.now().astimezone():%H:%M:%S} {rule}")

    def action_log_clear(self) -> None:
        """Forget the lines that are there."""
        self.log_view.clear()

    # --- bringing it out ---

    def action_log_copy(self) -> None:
        """Put the lines on the screen into the terminal's clipboard."""
        text = self.log_view.visible_text()
        if text:
            self.app.copy_to_clipboard(text)
            count = text.count("\n") + 1
            words = f"Copied {count} {'line' if count == 1 else 'lines'}."
            if len(text.encode()) <= CLIPBOARD:
                self.notify(words, timeout=2)
            else:
                words += f" So much the terminal may refuse: {key_of('log_save')} saves the log."
                self.notify(words, severity="warning", timeout=8, markup=False)
