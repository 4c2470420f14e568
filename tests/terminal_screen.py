"""A program on a real terminal, in tmux: keys go in, what a person would see comes out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from waiting import wait_until

_CONFIGURATION = """
set -g default-terminal "{term}"
set -g status off
set -s escape-time 0
set -g history-limit 0
"""
_KEPT = 'sh -c \'echo $$ >"$0/pid"; exec "$@"\' "$0" "$@"; echo $? >"$0/code"; exec sleep 1000'
"""Runs the program and stays on the screen when it has ended; tmux itself cannot be relied on to tell how it did."""
_TERMINALS_OWN = {"TERM", "COLORTERM", "COLUMNS", "LINES", "TMUX", "TMUX_PANE"}


class TerminalScreen:
    """One program in a tmux server of its own. It sees `env` alone; TERM is what tmux speaks to it."""

    def __init__(
        self,
        place: Path,
        command: Sequence[str | Path],
        *,
        width: int,
        height: int,
        env: Mapping[str, str],
        term: str = "xterm-256color",
    ) -> None:
        place.mkdir(parents=True)
        self._place = place
        configuration = place / "tmux.conf"
        configuration.write_text(_CONFIGURATION.format(term=term))
        self._begin = ("tmux", "-u", "-f", str(configuration), "-S", str(place / "tmux.sock"))
        self._env = {"PATH": env["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        inside = [
            f"{name}={value}"
            for name, value in env.items()
            if name not in {"TERM", "COLORTERM", "COLUMNS", "LINES", "TMUX"}
        ]
        size = ("-x", str(width), "-y", str(height))
        self._tmux(
            "new-session",
            "-d",
            *size,
            "env",
            "-i",
            f"TERM={term}",
            *inside,
            "sh",
            "-c",
            _KEPT,
            str(place),
            *map(str, command),
        )

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            (*self._begin, *arguments), env=self._env, capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def type(self, text: str) -> None:
        """Type `text`, letter by letter."""
        self._tmux("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names for them: Enter, Escape, Tab, Down, C-s, or a letter."""
        self._tmux("send-keys", "--", *keys)

    def fill(self, text: str) -> None:
        """Type `text` into a field and see it there."""
        self.type(text)
        self.wait_for(re.escape(text[-20:]))

    def move(self, *keys: str) -> None:
        """Press keys one by one, each when the terminal's cursor has followed the one before."""
        for key in keys:
            before = self._cursor()
            self.press(key)
            self._wait(lambda before=before: self._cursor() != before, 10, f"{key} moved nothing")

    def _cursor(self) -> str:
        return self._told("cursor_x") + "," + self._told("cursor_y")

    def lines(self) -> list[str]:
        """Return the current lines of the screen."""
        return self._tmux("capture-pane", "-p").splitlines()

    def shows(self, pattern: str) -> bool:
        """Return whether a line of the screen matches `pattern`."""
        return any(re.search(pattern, line) for line in self.lines())

    def wait_for(self, pattern: str, timeout: float = 20.0) -> str:
        """Wait until a line matches `pattern`; answer what matched: the pattern's group if it has one."""
        found: list[str] = []

        def look() -> bool:
            matches = [match for line in self.lines() if (match := re.search(pattern, line))]
            found.extend(match[match.lastindex or 0] for match in matches[:1])
            return bool(found)

        self._wait(look, timeout, f"no {pattern!r}")
        return found[0]

    def wait_gone(self, pattern: str, timeout: float = 20.0) -> None:
        """Wait until no line matches `pattern`."""
        self._wait(lambda: not self.shows(pattern), timeout, f"still {pattern!r}")

    def wait_end(self, timeout: float = 10.0) -> int:
        """Wait until the program has ended; answer its exit code, 128 more than the signal if one ended it."""
        self._wait(self._has_ended, timeout, "still runs")
        return int((self._place / "code").read_text())

    def _has_ended(self) -> bool:
        code = self._place / "code"
        return code.exists() and code.read_text().endswith("\n")

    def leave(self, timeout: float = 10.0) -> int:
        """Press q, and y if relay asks about running jobs, until the program has ended. Returns its exit code."""

        def look() -> bool:
            if not self._has_ended() and self.shows("Quit, and interrupt"):
                self.press("y")
            return self._has_ended()

        self.press("q")
        self._wait(look, timeout, "still runs")
        return self.wait_end()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return int((self._place / "pid").read_text())

    def resize(self, width: int, height: int) -> None:
        """Make the terminal that large."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def hang_up(self) -> None:
        """Take the terminal away, as a broken connection does."""
        self._tmux("kill-server")

    def _told(self, name: str) -> str:
        return self._tmux("display-message", "-p", f"#{{{name}}}").strip()

    def _wait(self, condition: object, timeout: float, what: str) -> None:
        assert callable(condition)
        try:
            wait_until(condition, timeout)
        except AssertionError:
            shown = "\n".join(f"|{line}" for line in self.lines())
            raise AssertionError(f"not within {timeout:g} s: {what} on\n{shown}") from None

    def close(self) -> None:
        """End it with its tmux server, if they are still there."""
        subprocess.run((*self._begin, "kill-server"), env=self._env, capture_output=True, check=False)
