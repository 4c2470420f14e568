"""Benchmark of the time until the screen shows 200 sessions, against a minimal Textual app.

Run `python tests/bench/first_content.py`, with --quick for a short run. Both apps get a pseudo-terminal of 160x45 that
answers nothing; the clock runs from exec until the expected words have arrived.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from measure import Place, Row, place, print_table, quick_wanted, relay_command, rounds

from relay_tui.bootstrap import container
from relay_tui.domain.models import CloneState, DesiredState, Project, Session, SessionState, new_id, now

PROJECTS, SESSIONS = 20, 200
ONE, RELAY = "one Static in a Textual app", "relay, 200 sessions of 20 projects"
BARE = "interpreter start + import textual"
DEADLINE = 30.0
ONE_WIDGET = """
from textual.app import App, ComposeResult
from textual.widgets import Static

class One(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("nothing but this")

One().run()
"""
_ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])")


def fill(here: Place, projects: int, sessions: int, container_of: Callable[[Session], str]) -> None:
    """Put so many projects and sessions on record; those for which `container_of` answers an id run."""
    relay = container.build_relay(here.data)
    stamp = now()
    with relay.store.transaction() as change:
        for number in range(projects):
            project = Project(
                id=new_id(),
                name=f"project-{number:03}",
                source=f"https://git.example.org/team/project-{number:03}.git",
                default_branch="main",
                clone_state=CloneState.READY,
                created_at=stamp,
                updated_at=stamp,
            )
            change.put(project)
            for index in range(sessions // projects):
                session = _session(project, index, here)
                if container_id := container_of(session):
                    session = replace(
                        session, container_id=container_id, state=SessionState.RUNNING, desired=DesiredState.RUNNING
                    )
                change.put(session)


def never_made(session: Session) -> str:
    """Return a container id that no engine knows. The session is shown as running until an engine is asked."""
    return session.id.encode().hex().ljust(64, "0")


def _session(project: Project, index: int, here: Place) -> Session:
    key = new_id()
    return Session(
        id=key,
        project_id=project.id,
        name=f"work-{index:02}",
        branch=f"feature/work-{index:02}",
        base_branch="main",
        image="buildpack-deps:bookworm-scm",
        profile="default",
        work_dir=str(here.data / "projects" / project.id / "sessions" / key),
        desired=DesiredState.STOPPED,
        state=SessionState.STOPPED,
        created_at=project.created_at,
        updated_at=project.created_at,
    )


def terminal_environment(here: Place) -> dict[str, str]:
    """The place's environment and a terminal that can do everything."""
    return {**here.environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}


def until_shown(command: Sequence[str], environment: Mapping[str, str], words: Sequence[bytes]) -> float:
    """Seconds from exec until all the words are on the terminal; the app is killed then."""
    began = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 160, 0, 0))
        os.execvpe(command[0], list(command), environment)
    try:
        return _wait(terminal, words, began)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def _wait(terminal: int, words: Sequence[bytes], began: float) -> float:
    shown = b""
    while time.perf_counter() - began < DEADLINE:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:
            break
        shown += data
        arrived = time.perf_counter()
        plain = _ESCAPES.sub(b"", shown)
        if all(word in plain for word in words):
            return arrived - began
    raise SystemExit(f"{words!r} never came: {_ESCAPES.sub(b'', shown)[-2000:].decode(errors='replace')}")


def measure(here: Place, count: int) -> None:
    """Run both in turn and print the table."""
    script = here.root / "one_widget.py"
    script.write_text(ONE_WIDGET)
    store, kept = here.data / "store.json", here.root / "store.json"
    shutil.copy2(store, kept)
    environment = terminal_environment(here)
    first, last = b"project-000", b"work-09"

    def relay(_name: str) -> float:
        shutil.copy2(kept, store)  # an engine that knows none of the containers has them marked as gone meanwhile
        return until_shown(relay_command(), environment, (first, last))

    def one(_name: str) -> float:
        return until_shown((sys.executable, str(script)), environment, (b"nothing but this",))

    def bare(_name: str) -> float:
        words = "import textual.app, textual.widgets; print('imported')"
        return until_shown((sys.executable, "-c", words), environment, (b"imported",))

    taken = rounds({BARE: bare, ONE: one, RELAY: relay}, count)
    print_table(
        f"First content on a 160x45 terminal, {count} rounds",
        [Row(BARE, taken[BARE]), Row(ONE, taken[ONE]), Row(RELAY, taken[RELAY], ONE, 2.0)],
    )


def main() -> None:
    """Measure, print the table."""
    quick = quick_wanted("First content on the screen.")
    with place() as here:
        fill(here, PROJECTS, SESSIONS, never_made)
        Path(here.root / "state").mkdir()
        measure(here, 5 if quick else 21)


if __name__ == "__main__":
    main()
