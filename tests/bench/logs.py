"""relay's log against `docker logs`: a burst, its memory, keys meanwhile, and a long log opened again.

Run `python tests/bench/logs.py`, with --quick for a short run. It drives the real program in tmux and reads its screen:
a time ends when a person would see it. The raw command writes into a pipe in the same rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from control import Watched
from measure import (
    IMAGE,
    Place,
    Row,
    make_repository,
    place,
    prepare_image,
    print_table,
    quick_wanted,
    relay_command,
    run,
)

BURST, LONG, WIDTH = 200_000, 350_000, 93
CONFIG = """
log_lines = 500000
log_bytes = "256m"

[profiles.burst]
tty = false
command = '''n=0; while :; do n=$((n+1)); while [ ! -e /workspace/go.$n ]; do usleep 5000; done
cat /workspace/burst; echo "round $n is over"; done'''

[profiles.long]
tty = false
command = "cat /workspace/long; echo the long log ends; exec sleep 100000"

[profiles.steady]
tty = false
command = "cd /workspace; while :; do cat hundred; usleep 20000; done"
"""


def lines(count: int) -> str:
    """Numbered lines of 93 bytes."""
    return "".join(f"line {number:06} {'the quick brown fox ' * 5}"[: WIDTH - 1] + "\n" for number in range(count))


def environment(here: Place) -> dict[str, str]:
    """The place's, with a configuration."""
    return here.environment | {"RELAY_CONFIG": str(here.root / "config.toml")}


def session(here: Place, name: str, files: dict[str, str]) -> tuple[str, Path]:
    """Make a session whose profile has its name; answer its container and its clone once it has its files."""
    command = (*relay_command(), "session", "create", "demo", "--name", name, "--profile", name, "--json")
    done = subprocess.run(command, env=environment(here), capture_output=True, check=True)
    made = json.loads(done.stdout)
    clone = Path(made["work_dir"])
    for file, text in files.items():
        (clone / file).write_text(text)
    return made["container_id"], clone


class Piped:
    """`docker logs -f` into a pipe, from now on."""

    def __init__(self, container: str) -> None:
        command = ("docker", "logs", "-f", "--tail", "0", container)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def until(self, words: bytes) -> float:
        """Read until the words come; answer the moment."""
        assert self._process.stdout is not None
        rest = b""
        while data := os.read(self._process.stdout.fileno(), 1 << 16):
            rest = rest[-100:] + data
            if words in rest:
                return time.perf_counter()
        raise SystemExit("docker logs ended early")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def enter_log(screen: Watched) -> None:
    """Put the focus on the log."""
    screen.press("l")
    screen.until_text(" wrap ")  # of the keys at the bottom
    time.sleep(0.3)


def select(screen: Watched, name: str) -> None:
    """Put the cursor of the sessions pane on a session."""
    for key in ["g", *"jjjjjj"]:
        screen.press(key)
        time.sleep(0.3)
        if any(f"─ demo/{name} ─" in line for line in screen.lines()):
            return
    raise SystemExit(f"no session {name}:\n" + "\n".join(screen.lines()))


class Bursts:
    """Trigger for the session's bursts of output, with the number of bursts so far."""

    def __init__(self, container: str, clone: Path) -> None:
        self.container = container
        self._clone = clone
        self._round = 0

    def begin(self) -> str:
        """Let it burst; answer the words it ends with."""
        self._round += 1
        (self._clone / f"go.{self._round}").touch()
        return f"round {self._round} is over"

    def piped(self) -> float:
        """Seconds that a burst takes through `docker logs -f`."""
        pipe = Piped(self.container)
        time.sleep(0.5)
        began = time.perf_counter()
        taken = pipe.until(self.begin().encode()) - began
        pipe.close()
        return taken

    def shown(self, screen: Watched) -> float:
        """Seconds that a burst takes until its last line is on the screen."""
        began = time.perf_counter()
        return screen.until_text(self.begin()) - began


def check_kept(screen: Watched, here: Place) -> int:
    """Save the log, and see whether the file has every line of the burst, once and in order; answer how many."""
    enter_log(screen)
    screen.press("C-s")
    screen.until_text(" lines to ")
    (saved,) = (here.data / "logs").iterdir()
    found = [line for line in saved.read_text().split("\n") if line.startswith("line ")]
    if found != lines(BURST).split("\n")[:-1]:
        raise SystemExit(f"of {BURST:,} lines {len(found):,} were kept, or not in order")
    screen.press("h")
    time.sleep(0.3)
    return len(found)


def missing(screen: Watched, words: str) -> bool:
    """Return whether the words are not on the screen yet."""
    return not any(words in line for line in screen.lines())


def pressed(screen: Watched, going_on: Callable[[], object], most: int = 60) -> list[float]:
    """Seconds from a key to the changed screen, for keys of the log and of the pane around it, meanwhile."""

    def border(words: str) -> Callable[[list[str]], bool]:
        return lambda shown: any(words in line for line in shown)

    def none(words: str) -> Callable[[list[str]], bool]:
        return lambda shown: not any(words in line for line in shown)

    keys = [("w", border("· wrap")), ("t", border("· time")), ("s", border(" paused")), ("s", border(" following"))]
    keys += [("t", none("· time")), ("w", none("· wrap"))]
    taken: list[float] = []
    while going_on() and len(taken) < most:
        for key, seen in keys:
            taken.append(screen.pressed(key, seen))
            time.sleep(0.03)
    return taken


def during_bursts(screen: Watched, bursts: Bursts, count: int) -> list[float]:
    """Keys while bursts come."""
    taken: list[float] = []
    for _ in range(count):
        words = bursts.begin()
        time.sleep(0.1)
        taken += pressed(screen, partial(missing, screen, words))
        screen.until_text(words)
        time.sleep(0.3)
    return taken


def reopened(screen: Watched, words: str) -> float:
    """Seconds from the key that selects a session to the end of its log on the screen."""
    screen.press("k")
    screen.until(lambda shown: not any(words in line for line in shown), "another log")
    time.sleep(1)
    return screen.pressed("j", lambda shown: any(words in line for line in shown))


def tailed(container: str) -> float:
    """Seconds of `docker logs --tail 1000` into a pipe."""
    began = time.perf_counter()
    done = subprocess.run(("docker", "logs", "--tail", "1000", container), stdout=subprocess.PIPE, check=True)
    assert done.stdout.count(b"\n") == 1000
    return time.perf_counter() - began


def print_figures(title: str, rows: Sequence[tuple[str, str, str, bool]]) -> None:
    """Print the figures that are not ratios: the figure, its aim and whether it is met."""
    print(f"\n{title}")
    for what, figure, aim, met in rows:
        print(f"  {what:<52}{figure:>12}   aim {aim:<8} {'met' if met else 'MISSED'}")


def p95(seconds: Sequence[float]) -> float:
    """The time that 19 of 20 stay within."""
    return sorted(seconds)[max(0, int(len(seconds) * 0.95 + 0.5) - 1)]


@contextmanager
def prepared(here: Place) -> Iterator[tuple[Bursts, str]]:
    """A project with the three sessions; answer the one that bursts, and the container of the long log."""
    (here.root / "config.toml").write_text(CONFIG)
    make_repository(here.root / "demo.git", 3, range(100, 200))
    run(
        (*relay_command(), "project", "add", str(here.root / "demo.git"), "--name", "demo", "--image", IMAGE),
        environment(here),
    )
    bursts = Bursts(*session(here, "burst", {"burst": lines(BURST)}))
    container, _ = session(here, "long", {"long": lines(LONG)})
    subprocess.run(("docker", "restart", "-t", "0", container), check=True, capture_output=True)
    session(here, "steady", {"hundred": lines(100)})
    deadline = time.monotonic() + 60
    while (
        b"the long log ends"
        not in subprocess.run(("docker", "logs", "--tail", "3", container), capture_output=True).stdout
    ):
        if time.monotonic() > deadline:
            raise SystemExit("the long log never came")
        time.sleep(0.2)
    yield bursts, container


def measure(here: Place, count: int) -> None:
    """All of it."""
    with prepared(here) as (bursts, long_container):
        screen = Watched(here.root / "screen", relay_command(), environment(here))
        try:
            screen.until_text("running")
            time.sleep(2)
            select(screen, "burst")
            time.sleep(1)
            before = screen.memory()
            shown = [bursts.shown(screen)]
            time.sleep(1)
            after = screen.memory()
            kept = check_kept(screen, here)
            piped = [bursts.piped()]
            for _ in range(count - 1):
                time.sleep(1)
                shown.append(bursts.shown(screen))
                time.sleep(1)
                piped.append(bursts.piped())
            enter_log(screen)
            burst_keys = during_bursts(screen, bursts, count)
            screen.press("h")
            time.sleep(0.3)
            select(screen, "long")
            time.sleep(1)
            again, tails = [], []
            for _ in range(count * 2):
                again.append(reopened(screen, "the long log ends"))
                tails.append(tailed(long_container))
            select(screen, "steady")
            time.sleep(1)
            enter_log(screen)
            steady_keys = pressed(screen, lambda: True, 100)
            end = screen.memory()
        finally:
            screen.close()
    burst, again_name = f"{BURST:,} lines until the last is on the screen", f"a log of {LONG:,} lines, reopened"
    print_table(
        f"The log against `docker logs`, 160x45, {count} rounds",
        [
            Row("docker logs -f into a pipe", piped),
            Row(burst, shown, "docker logs -f into a pipe", 1.5),
            Row("docker logs --tail 1000", tails),
            Row(again_name, again, "docker logs --tail 1000", 2.0),
        ],
    )
    print_figures(
        "Memory and keys",
        [
            (
                f"memory before {before:.0f} MB, after the first burst {after:.0f} MB",
                f"+{after - before:.0f} MB",
                "+40 MB",
                after - before <= 40,
            ),
            (
                f"key to screen p95 during bursts ({len(burst_keys)} keys)",
                f"{p95(burst_keys) * 1000:.0f} ms",
                "50 ms",
                p95(burst_keys) <= 0.05,
            ),
            (
                f"key to screen p95 at 5,000 lines/s ({len(steady_keys)} keys)",
                f"{p95(steady_keys) * 1000:.0f} ms",
                "50 ms",
                p95(steady_keys) <= 0.05,
            ),
        ],
    )
    print(f"  {kept:,} lines of the first burst, saved with ctrl+s: every one, in order")
    medians = f"{median(burst_keys) * 1000:.0f} ms, {median(steady_keys) * 1000:.0f} ms"
    print(f"  medians of the keys {medians}; memory at the end {end:.0f} MB")


def main() -> None:
    """Measure, print the tables."""
    quick = quick_wanted("The log against `docker logs`.")
    prepare_image()
    with place() as here:
        measure(here, 3 if quick else 7)


if __name__ == "__main__":
    main()
