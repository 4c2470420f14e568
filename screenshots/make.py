"""Make the README's pictures from a real run: `python screenshots/make.py`.

Needs root, tmux, git, busybox, a container engine and relay installed in this interpreter's environment. All files are
stored in a temporary directory. It is removed at the end with its containers and images, even if the run fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import docker
import replay
from first_minute import photograph_first_minute
from picture import draw
from sample import CONFIG, HOST, LARGE, make_images, make_repositories, remove_images, write_git_config
from work import do_work

HERE = Path(__file__).resolve().parent
RELAY = Path(sys.executable).with_name("relay")
DEADLINE = 30.0
RATE = 1_200_000  # bytes a second, so that a clone can be watched

SESSIONS = (
    # project, name, branch, profile, age in hours
    ("shop-api", "refunds", "feature/refunds", "agent", 2.2),
    ("shop-api", "double-charge", "fix/double-charge", "agent", 0.7),
    ("shop-api", "sqlalchemy", "dependabot/pip/sqlalchemy-2.0.44", "python", 25),
    ("web-frontend", "checkout-v2", "feature/checkout-v2", "node", 5.1),
    ("web-frontend", "vite-6", "dependabot/npm_and_yarn/vite-6.0.3", "browser", 20),
    ("ledger", "rounding", "fix/rounding", "python", 29),
    ("ledger", "multi-currency", "feature/multi-currency", "migrate", 0.4),
)
FIRST = (("shop-api", "python", 216), ("web-frontend", "node", 190), ("ledger", "python", 75))
"""Projects, their profile, the age of their first session in hours."""


@dataclass(frozen=True)
class World:
    """relay over a data dir of its own, in a tmux of its own."""

    root: Path

    @property
    def data(self) -> Path:
        """relay's data dir."""
        return self.root / "data"

    @property
    def env(self) -> Mapping[str, str]:
        """The environment relay runs in."""
        own = ("GIT_", "RELAY_", "XDG_", "LC_")
        return {name: value for name, value in os.environ.items() if not name.startswith(own)} | {
            "RELAY_DATA_DIR": str(self.data),
            "RELAY_CONFIG": str(self.root / "config.toml"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "GIT_CONFIG_GLOBAL": str(self.root / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
        }

    def relay(self, *arguments: str, fails: bool = False) -> None:
        """Run a command of relay to its end."""
        done = subprocess.run((RELAY, *arguments), env=self.env, capture_output=True, text=True, check=False)
        if bool(done.returncode) != fails:
            raise SystemExit(f"relay {' '.join(arguments)}\nended with {done.returncode}: {done.stderr}")

    def tmux(self, *arguments: str) -> str:
        """Run a command of tmux; answer its output."""
        command = ("tmux", "-L", self.root.name, "-f", "/dev/null", *arguments)
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=True).stdout

    def end(self) -> None:
        """End tmux, and wait until the relay in it has let go of everything."""
        tmux = ("tmux", "-L", self.root.name)
        listed = (*tmux, "list-panes", "-aF", "#{pane_pid}")
        pids = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()
        subprocess.run((*tmux, "kill-server"), capture_output=True, check=False)
        deadline = time.monotonic() + DEADLINE
        while any(Path("/proc", pid).exists() for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)

    def keys(self, *keys: str) -> None:
        """Press keys."""
        self.tmux("send-keys", "-t", "relay", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self.tmux("send-keys", "-t", "relay", "-l", text)

    def screen(self, *, ink: bool = False) -> str:
        """Return the text of the terminal, with its colours if `ink` is set."""
        return self.tmux("capture-pane", "-p", "-N", *(["-e"] if ink else []), "-t", "relay")

    def wait(self, pattern: str, *, gone: bool = False) -> None:
        """Wait until the screen shows the pattern and is stable.

        With `gone`, waits until the pattern has disappeared.
        """
        deadline = time.monotonic() + DEADLINE
        before = ""
        while True:
            now = self.screen()
            if bool(re.search(pattern, now)) != gone and now == before:
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"The screen never {'lost' if gone else 'showed'} {pattern!r}:\n{now}")
            before = now
            time.sleep(0.25)

    def catch(self, pattern: str) -> None:
        """Wait until the moving screen shows the pattern."""
        deadline = time.monotonic() + DEADLINE
        while not re.search(pattern, now := self.screen()):
            if time.monotonic() > deadline:
                raise SystemExit(f"The screen never showed {pattern!r}:\n{now}")
            time.sleep(0.05)

    def go(self, pattern: str) -> None:
        """Move the cursor of the list to the row that shows the pattern."""
        self.keys("g")
        deadline = time.monotonic() + DEADLINE
        while not re.search(rf"▌[^│]*{pattern}", self.screen()):
            if time.monotonic() > deadline:
                raise SystemExit(f"There is no row {pattern!r}:\n{self.screen()}")
            self.keys("j")
            self.wait("▌")

    def leave(self, pattern: str) -> None:
        """Close the overlay that shows the pattern."""
        self.keys("Escape")
        self.wait(pattern, gone=True)

    def shoot(self, name: str, title: str) -> None:
        """Take the picture."""
        (HERE / f"{name}.svg").write_text(draw(self.screen(ink=True), title))


@contextmanager
def world() -> Iterator[World]:
    """A world of its own, cleaned up however the block ends."""
    signal.signal(signal.SIGTERM, _leave)
    client = docker.from_env()
    root = Path(tempfile.mkdtemp(prefix="relay-")).resolve()
    here = World(root)
    try:
        make_repositories(root / "git")
        write_git_config(root / "gitconfig", root / "git", sys.executable, RATE)
        (root / "config.toml").write_text(CONFIG)
        make_images(client)
        yield here
    finally:
        here.end()
        for container in client.containers.list(all=True, filters={"label": f"relay.data-dir={here.data}"}):
            container.remove(force=True, v=True)
        remove_images(client)
        shutil.rmtree(root)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def populate(here: World) -> None:
    """Add projects and sessions by the command line: most are running, one is stopped, one failed."""
    for project, profile, _ in FIRST:
        here.relay("project", "add", f"{HOST}{project}", "--profile", profile)
    for project, name, branch, profile, _ in SESSIONS:
        options = ("--name", name, "--branch", branch, "--profile", profile)
        here.relay("session", "create", project, *options, fails=profile == "migrate")
    here.relay("session", "stop", "ledger/main")
    do_work(_clone(here, "refunds"))
    _let_age(here.data / "store.json")


def _clone(here: World, name: str) -> Path:
    sessions = json.loads((here.data / "store.json").read_text())["sessions"].values()
    return next(Path(session["work_dir"]) for session in sessions if session["name"] == name)


def _let_age(store: Path) -> None:
    """Change the creation times of the sessions, which would otherwise all fall within the same minute."""
    ages = {(project, name): hours for project, name, _, _, hours in SESSIONS}
    ages |= {(project, "main"): hours for project, _, hours in FIRST}
    document = json.loads(store.read_text())
    for session in document["sessions"].values():
        project = document["projects"][session["project_id"]]["name"]
        made = datetime.now(UTC) - timedelta(hours=ages[project, session["name"]])
        session["created_at"] = made.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    store.write_text(json.dumps(document))


def photograph(here: World) -> None:
    """Go through the screens as a person would."""
    here.tmux("new-session", "-d", "-s", "relay", "-x", "160", "-y", "45", "--", str(RELAY))
    here.wait(r"10 sessions .* running .* failed")
    here.go(r"refunds +shop-api")
    here.wait(r"the whole suite")
    here.catch(r"cpu +\d.*[▁-█]{6}.*net ↓ +\d")  # what a session takes is measured once a second
    here.shoot("main", "relay: sessions side by side")

    here.keys("n")
    here.wait(r"New session")
    here.type("fe")
    here.wait(r"hardening")
    here.shoot("new-session", "relay: a new session, its branch searched for")
    here.leave(r"New session")

    here.keys("D")
    here.wait(r"unpushed commit")
    here.shoot("remove", "relay: what would be lost, before it goes")
    here.leave(r"Remove refunds\?")

    here.keys("[", "Enter")
    here.wait(r"against the last commit")
    here.go(r"refunds\.py +src/shop")
    here.wait(r"of the net price")
    here.shoot("changes", "relay: what a session changed")
    here.keys("Escape", "]")
    here.wait(r"the whole suite")

    here.keys("?")
    here.wait(r"esc closes")
    here.shoot("help", "relay: keys")
    here.leave(r"esc closes")

    here.tmux("resize-window", "-t", "relay", "-x", "80", "-y", "24")
    here.wait(r"the whole suite")
    here.shoot("main-80x24", "relay: 80 by 24")
    here.tmux("resize-window", "-t", "relay", "-x", "160", "-y", "45")

    here.keys("h")
    here.go(r"multi-currency")
    here.keys("]")
    here.wait(r"exit code +3")
    here.shoot("failed", "relay: a session that failed, and why")
    here.keys("[")

    here.keys("N")
    here.wait(r"New project")
    here.type(f"{HOST}{LARGE}")
    here.keys("Enter")
    here.catch(r"receiving [45]\d%.*/s")
    here.shoot("cloning", "relay: a project being cloned")
    here.keys("c")
    here.wait(r"receiving", gone=True)
    photograph_logs(here)


def photograph_logs(here: World) -> None:
    """One log of three sessions, and what became of one order in each of them."""
    here.relay("project", "add", f"{HOST}{replay.PROJECT}", "--profile", "serve")
    for name, branch in replay.SESSIONS:
        here.relay("session", "create", replay.PROJECT, "--name", name, "--branch", branch, "--profile", "serve")
    here.keys("h", "h", "g", "l")
    here.wait(r"retries +payments")
    here.go(r"retries +payments")
    here.keys("L")
    here.wait(r"payments · 3 logs")
    here.tmux("resize-window", "-t", "relay", "-x", "120", "-y", "36")
    replay.begin(here.data / "store.json")
    here.wait(r"8f32 paid")
    here.keys("t", "/")
    here.type("8f31")
    here.keys("Enter")
    here.wait(r"/8f31 \d+ of")
    here.shoot("logs", "relay: three sessions' logs as one")


def main() -> None:
    """Make them all."""
    with world() as here:
        populate(here)
        photograph(here)
        alone = World(here.root / f"{here.root.name}-alone")
        photograph_first_minute(alone, str(RELAY))
        alone.end()


if __name__ == "__main__":
    main()
