"""relay with 200 projects and 2,000 sessions in the store, 50 of them in running containers.

Run `python tests/bench/scale.py`, with --quick for a short run; it needs an engine. First content and idle memory
are compared with a Textual app of one widget. Then the program is driven by keys in a tmux of 160x45. Work is the CPU
time that the whole process, and its screen's thread alone, spends from a key or a change until it is idle again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from first_content import ONE_WIDGET, fill, terminal_environment, until_shown
from measure import IMAGE, TESTS, Place, Row, place, prepare_image, print_table, quick_wanted, relay_command, rounds

from relay_tui.domain.models import Session

sys.path.insert(0, str(TESTS))
from terminal_screen import TerminalScreen
from waiting import wait_until

PROJECTS, SESSIONS, RUNNING = 200, 2_000, 50
FRAME = 0.016
ONE, RELAY = "one Static in a Textual app", f"relay, {SESSIONS} sessions of {PROJECTS} projects"
SIZE = {"width": 160, "height": 45}
SETTLED = 25
"""Seconds after which an open screen is idle: the line of figures, which grows at first, is full."""
QUIET = 0.08
"""Seconds without a tick of work after which a program is said to rest."""


# --- what a process takes ------------------------------------------------------------------------------------------


def cpu(pid: int, *, main_alone: bool = False) -> float:
    """Seconds of CPU time the process's threads have had, or its first thread alone."""
    tasks = Path(f"/proc/{pid}/task")
    threads = [tasks / str(pid)] if main_alone else list(tasks.iterdir())
    total = 0
    for thread in threads:
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except OSError:  # it ended meanwhile
            continue
    return total / 1e9


def memory(pid: int) -> float:
    """MB in memory, what is shared with others included: what others run is not to change the figure."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("no VmRSS")


def rest(pid: int, longest: float = 10.0) -> None:
    """Wait until the process does nothing for a while."""
    deadline = time.monotonic() + longest
    before, since = cpu(pid), time.monotonic()
    while time.monotonic() - since < QUIET:
        time.sleep(0.005)
        spent = cpu(pid)
        if spent - before > 0.0005:
            since = time.monotonic()
        before = spent
        if time.monotonic() > deadline:
            return


@dataclass
class Work:
    """Costs of one kind of action, for each run.

    CPU seconds of all threads, CPU seconds of the screen's thread, and seconds until the change was visible.
    """

    name: str
    every: list[float] = field(default_factory=list)
    screen: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)


def act(work: Work, terminal: TerminalScreen, does: Callable[[], object]) -> None:
    """Do it once, and note what it took until the program rests; the time until the screen changed counts for all."""
    pid = terminal.pid
    rest(pid)
    shown = terminal.lines()
    every, screen, began = cpu(pid), cpu(pid, main_alone=True), time.perf_counter()
    does()
    while terminal.lines() == shown:
        if time.perf_counter() - began > 10:
            raise SystemExit(f"{work.name}: nothing changed on\n" + "\n".join(shown))
    work.seen.append(time.perf_counter() - began)
    rest(pid)
    work.every.append(cpu(pid) - every)
    work.screen.append(cpu(pid, main_alone=True) - screen)


# --- the scene -----------------------------------------------------------------------------------------------------


def containers(here: Place) -> Callable[[Session], str]:
    """Run a container for the first session of each of the first projects."""
    asked: set[str] = set()

    def container_of(session: Session) -> str:
        for clone in (here.data / "projects" / session.project_id / "base.git", Path(session.work_dir) / ".git"):
            clone.mkdir(parents=True, exist_ok=True)
            (clone / "HEAD").write_text("ref: refs/heads/main\n")
        if session.project_id in asked or len(asked) == RUNNING:
            return ""
        asked.add(session.project_id)
        labels = {"data-dir": here.data, "project": session.project_id, "session": session.id}
        named = [word for name, value in labels.items() for word in ("--label", f"relay.{name}={value}")]
        command = ("docker", "run", "-d", "--network=none", *named, IMAGE, "sleep", "100000")
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return container_of


@contextmanager
def opened(here: Place, name: str, command: Sequence[str | Path], words: str) -> Iterator[TerminalScreen]:
    """A program in tmux, its words on the screen and itself at rest."""
    terminal = TerminalScreen(here.root / name, command, env=terminal_environment(here), term="tmux-256color", **SIZE)
    try:
        terminal.wait_for(words)
        rest(terminal.pid)
        yield terminal
    finally:
        terminal.close()


# --- the tables ----------------------------------------------------------------------------------------------------


def first_content(here: Place, count: int) -> None:
    """Both on a terminal in turn."""
    environment = terminal_environment(here)
    script, store, kept = here.root / "one_widget.py", here.data / "store.json", here.root / "store.json"
    script.write_text(ONE_WIDGET)
    shutil.copy2(store, kept)

    def relay(_name: str) -> float:
        shutil.copy2(kept, store)
        return until_shown(relay_command(), environment, (b"project-000", b"work-09"))

    def one(_name: str) -> float:
        return until_shown((sys.executable, str(script)), environment, (b"nothing but this",))

    taken = rounds({ONE: one, RELAY: relay}, count)
    print_table(
        f"First content on a 160x45 terminal, {count} rounds",
        [Row(ONE, taken[ONE]), Row(RELAY, taken[RELAY], ONE, 1.7)],
    )
    shutil.copy2(kept, store)


def idle(here: Place, seconds: int) -> None:
    """Memory and CPU while nothing happens. It was open before: what is made after the first paint is compiled, too."""
    with opened(here, "compiled", relay_command(), "50 running.*Docker"):
        pass
    lines: list[tuple[str, float, float]] = []
    for name, command, words in (
        ("one", (sys.executable, here.root / "one_widget.py"), "nothing but this"),
        ("relay", relay_command(), "50 running.*Docker"),
    ):
        with opened(here, f"idle-{name}", command, words) as terminal:
            time.sleep(SETTLED)
            before = cpu(terminal.pid)
            time.sleep(seconds)
            lines.append((name, memory(terminal.pid), (cpu(terminal.pid) - before) / seconds * 100))
    (_, one_memory, one_cpu), (_, relay_memory, relay_cpu) = lines
    print(f"\nIdle, for {seconds} s")
    print(f"  {ONE:<44} {one_memory:6.1f} MB  {one_cpu:.2f} % CPU")
    ratio = relay_memory / one_memory
    print(
        f"  {RELAY:<44} {relay_memory:6.1f} MB  {relay_cpu:.2f} % CPU  memory {ratio:.2f}x, aim 1.80"
        f" {_met(ratio <= 1.8)}; CPU aim 0.20 % {_met(relay_cpu <= 0.2)}"
    )


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def keys(here: Place, count: int) -> list[Work]:
    """Move, filter and change a state on the open screen."""
    sessions, projects = Work("cursor to the next session, of all"), Work("cursor to the next project")
    typed, cleared = Work("a letter of the filter, over all sessions"), Work("filter cleared, all sessions back")
    stopped = Work("a container ends (seen by its event)")
    with opened(here, "keys", relay_command(), "50 running.*Docker") as terminal:
        terminal.press("h")
        terminal.press("g")
        terminal.press("l")
        terminal.wait_for("work-03")
        for _ in range(count):
            act(sessions, terminal, lambda: terminal.press("j"))
        for _ in range(count // 3):
            terminal.press("/")
            wait_until(lambda: terminal.shows("show only rows that contain"))
            for letter in "7-05":
                act(typed, terminal, partial(terminal.type, letter))
            act(cleared, terminal, lambda: terminal.press("Escape"))
        terminal.press("h")
        for _ in range(count):
            act(projects, terminal, lambda: terminal.press("j"))
        terminal.press("g")
        listed = ("docker", "ps", "-q", "--filter", f"label=relay.data-dir={here.data}")
        found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
        for container in found[: max(3, count // 4)]:
            kill = ("docker", "kill", container)
            act(stopped, terminal, partial(subprocess.run, kill, capture_output=True, check=True))
    return [sessions, projects, typed, cleared, stopped]


def print_work(works: Sequence[Work]) -> None:
    """One line for each kind of act."""
    print(f"\nWork after one act, medians (aim {FRAME * 1000:.0f} ms of the screen's thread)")
    print(f"  {'':<44} {'screen':>8} {'p95':>8} {'process':>8} {'seen':>8}  times")
    for work in works:
        middle = median(work.screen)
        late = sorted(work.screen)[int(len(work.screen) * 0.95)]
        figures = [f"{value * 1000:5.1f} ms" for value in (middle, late, median(work.every), median(work.seen))]
        print(f"  {work.name:<44} {' '.join(figures)}  {len(work.screen):>5}  {_met(middle <= FRAME)}")


def main() -> None:
    """Measure all, print the tables."""
    quick = quick_wanted("relay at scale.")
    prepare_image()
    with place() as here:
        Path(here.root / "state").mkdir()
        fill(here, PROJECTS, SESSIONS, containers(here))
        first_content(here, 5 if quick else 15)
        idle(here, 10 if quick else 40)
        print_work(keys(here, 12 if quick else 40))


if __name__ == "__main__":
    main()
