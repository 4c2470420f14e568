"""A program in tmux, watched through tmux's control mode: a key or a look at the screen costs about a millisecond."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LIMIT = 60.0
NAP = 0.002  # seconds between two looks: without it tmux and this program take a whole core from what is measured
_CONFIGURATION = (
    "set -g default-terminal xterm-256color\nset -g status off\nset -s escape-time 0\nset -g history-limit 0\n"
)


class Watched:
    """One program on a 160x45 screen."""

    def __init__(self, place: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        place.mkdir(parents=True)
        (place / "tmux.conf").write_text(_CONFIGURATION)
        self._tmux = ("tmux", "-u", "-f", str(place / "tmux.conf"), "-S", str(place / "tmux.sock"))
        self._pid = place / "pid"
        kept = 'echo $$ >"$0"; exec "$@"'
        subprocess.run(
            (*self._tmux, "new-session", "-d", "-x", "160", "-y", "45", "sh", "-c", kept, str(self._pid), *command),
            env={**environment, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
            check=True,
        )
        self._client = subprocess.Popen(
            (*self._tmux, "-C", "attach", "-f", "no-output"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        )
        self._answer()

    def _answer(self) -> list[str]:
        """The lines of the next command's answer."""
        assert self._client.stdout is not None
        lines: list[str] | None = None
        while line := self._client.stdout.readline():
            if line.startswith(b"%begin"):
                lines = []
            elif line.startswith((b"%end", b"%error")) and lines is not None:
                if line.startswith(b"%error"):
                    raise SystemExit(f"tmux: {lines}")
                return lines
            elif lines is not None:
                lines.append(line.decode(errors="replace").rstrip("\n"))
        raise SystemExit("tmux went away")

    def _ask(self, command: str) -> list[str]:
        assert self._client.stdin is not None
        self._client.stdin.write(command.encode() + b"\n")
        self._client.stdin.flush()
        return self._answer()

    def press(self, key: str) -> None:
        """Press a key by tmux's name for it."""
        self._ask(f"send-keys -- '{key}'")

    def lines(self) -> list[str]:
        """Return the current lines of the screen."""
        return self._ask("capture-pane -p")

    def until(self, seen: Callable[[list[str]], object], what: str) -> float:
        """Look until it is so; answer the moment."""
        deadline = time.perf_counter() + LIMIT
        while True:
            shown = self.lines()
            moment = time.perf_counter()
            if seen(shown):
                return moment
            if moment > deadline:
                raise SystemExit(f"{what} never came:\n" + "\n".join(shown))
            time.sleep(NAP)

    def until_text(self, text: str) -> float:
        """Look until the text is there; answer the moment."""
        return self.until(lambda lines: any(text in line for line in lines), repr(text))

    def pressed(self, key: str, seen: Callable[[list[str]], object]) -> float:
        """Seconds from a key to what it does on the screen."""
        began = time.perf_counter()
        self.press(key)
        return self.until(seen, f"what {key} does") - began

    @property
    def pid(self) -> int:
        """The program's process id."""
        return int(self._pid.read_text())

    def memory(self) -> float:
        """Return the program's resident memory in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def close(self) -> None:
        """End the program and its tmux server."""
        subprocess.run((*self._tmux, "kill-server"), capture_output=True, check=False)
        self._client.kill()
        self._client.wait()
