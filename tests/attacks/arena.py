"""A real session with work in it, a private repository beside it, and the eyes of the tests on everything outside."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import docker
from git_servers import make_repository, run_git
from hazards import PRELUDE, RESET
from installed_relay import Done, InstalledRelay

IMAGE = "relay-test/git"
WORD = "nobody-outside-may-read-this"
PATIENCE = 40.0
"""Seconds after which a command hangs. It is no measure of speed: nothing that works comes near it."""

_SET_UP = """
git config gc.auto 0  # it would go on behind our back, and take away what is being copied
git config user.name Ada; git config user.email ada@example.org
git checkout -q -b work
echo work >work; git add work; git commit -qm "Work that nobody has pushed"
echo changed >>a; echo new >untracked
mkdir -p .git/info
cp -a /workspace /tmp/pristine
"""


@dataclass
class Arena:
    """One session `victim`, and whatever a hazard could reach."""

    root: Path
    relay: InstalledRelay
    engine: docker.DockerClient
    ran: list[tuple[str, str]] = field(default_factory=list)
    """Hazard and operation of every run."""
    _driver: subprocess.Popen[bytes] | None = None
    _tree: str = ""
    _container: str = ""
    _before: dict[str, object] = field(default_factory=dict)

    @property
    def fired(self) -> Path:
        """Directory in which a planted program leaves a mark when the host runs it."""
        return self.root / "fired"

    @property
    def outside(self) -> Path:
        """A directory of the host that no session may change."""
        return self.root / "outside"

    @property
    def secret(self) -> Path:
        """A repository of the host that no session may read."""
        return self.root / "secret"

    def prepare(self) -> None:
        """An upstream, a project with two sessions, work in one of them, and something to steal."""
        make_repository(self.root / "demo.git", bare=True, files={"a": "1\n", "b": "2\n", "d/c": "3\n"})
        make_repository(self.secret, files={"word": WORD, "a": WORD, "c": WORD})
        self.fired.mkdir()
        self.outside.mkdir()
        for name in ("word", "c", "a"):
            (self.outside / name).write_text(WORD)
        added = self.relay.run("project", "add", self.root / "demo.git", "--image", IMAGE)
        assert added.code == 0, added.err
        made = self.relay.run("session", "create", "demo", "--name", "victim")
        assert made.code == 0, made.err
        self._before = self._snapshot()
        self.renew()

    def renew(self) -> None:
        """Start again with a victim that was just created."""
        session = self.relay.json("session", "show", "victim")
        self._tree, self._container = str(session["work_dir"]), str(session["container_id"])
        self.within(_SET_UP)

    def within(self, script: str) -> None:
        """Run a script in the victim's container."""
        environment = {
            "W": self._tree,
            "FIRED": str(self.fired),
            "OUTSIDE": str(self.outside),
            "SECRET": str(self.secret),
            "SECRET_COMMIT": run_git("rev-parse", "main", cwd=self.secret),
            **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "ada@example.org" for who in ("AUTHOR", "COMMITTER")},
            "WORD_FILE": str(self.outside / "word"),
        }
        container = self.engine.containers.get(self._container)
        code, said = container.exec_run(
            ["timeout", "60", "sh", "-c", script], workdir="/workspace", environment=environment
        )
        assert code == 0, said.decode(errors="replace")

    def plant(self, script: str) -> None:
        """Put the clone back as it was, and plant something in it."""
        self.within(f"{RESET}\n{PRELUDE}\n{script}")

    def marks(self) -> list[str]:
        """Return the names of the planted programs that the host has run."""
        return sorted(path.name for path in self.fired.iterdir())

    def forget_marks(self) -> None:
        """For those that a test has asked for."""
        for path in self.fired.iterdir():
            path.unlink()

    def carelessly(self, *arguments: str) -> list[str]:
        """Run plain git in the clone and return the marks of the hazards that it triggers.

        Proves that the hazard is real.
        """
        command = ("timeout", "-k", "1", "5", "git", "-C", self._tree, *arguments)
        env = self.relay.env | {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        fired = self.marks()
        self.forget_marks()
        return fired

    def run(self, hazard: str, operation: str, *arguments: str) -> Done:
        """Run a command of relay on it, and judge what came of it."""
        done = self._command(arguments)
        self.ran.append((hazard, operation))
        self.judge(hazard, operation, done)
        return done

    def push(self, hazard: str, *arguments: str) -> Done:
        """Push for real, judge that like all else, and let the upstream be as it was."""
        upstream, aside = self.root / "demo.git", self.root / "aside"
        shutil.copytree(upstream, aside, symlinks=True)
        before = self._heads()
        try:
            done = self._command(arguments)
            pushed = self._heads()
        finally:
            shutil.rmtree(upstream)
            aside.rename(upstream)
        self.ran.append((hazard, "push"))
        assert {name: commit for name, commit in pushed.items() if name != "refs/heads/work"} == before, hazard
        self.judge(hazard, "push", done)
        assert (done.code == 0) is ("refs/heads/work" in pushed), (hazard, done)
        return done

    def advance(self) -> None:
        """Let the upstream have a commit that no session has."""
        upstream = self.root / "demo.git"
        tree = run_git("rev-parse", "main^{tree}", cwd=upstream)
        newer = run_git("commit-tree", "-p", "main", "-m", "newer", tree, cwd=upstream)
        run_git("update-ref", "refs/heads/main", newer, cwd=upstream)
        self._before = self._snapshot()

    def nothing_stolen(self) -> None:
        """The base has no object of the private repository."""
        assert [found for found in self.secrets() if self.base_holds(found)] == []

    def _heads(self) -> dict[str, str]:
        listed = run_git("for-each-ref", "--format=%(refname) %(objectname)", cwd=self.root / "demo.git")
        return dict(line.split(" ") for line in listed.splitlines())

    def judge(self, hazard: str, operation: str, done: Done) -> None:
        """Nothing ran, nothing leaked, nothing outside is changed, and no bug came to light."""
        case = f"{operation} with {hazard}"
        assert self.marks() == [], case
        assert WORD not in done.out + done.err, case
        assert "Traceback" not in done.err and done.code in {0, 1, 3, 4}, (case, done)
        assert "\x1b" not in done.out + done.err, case
        assert self._snapshot() == self._before, case

    def _command(self, arguments: tuple[str, ...]) -> Done:
        if self._driver is None:
            program = (sys.executable, str(Path(__file__).with_name("endless_relay.py")))
            self._driver = subprocess.Popen(
                program, env=self.relay.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.root
            )
        assert self._driver.stdin is not None and self._driver.stdout is not None
        self._driver.stdin.write(json.dumps(arguments).encode() + b"\n")
        self._driver.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._driver.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                self.close()
                raise AssertionError(f"{arguments} hangs")
        line = self._driver.stdout.readline()
        assert line, f"{arguments} ended relay"
        return Done(*json.loads(line))

    def _snapshot(self) -> dict[str, object]:
        """Everything that is not relay's own: what it is, its content, when it was written."""
        seen: dict[str, object] = {}
        for top in (self.outside, self.secret, self.root / "demo.git"):
            for path in sorted(top.rglob("*")):
                found = path.lstat()
                seen[str(path)] = (found.st_mode, found.st_size, found.st_mtime_ns)
        return seen

    def base_holds(self, name: str) -> bool:
        """Return whether the project's base clone contains an object."""
        base = Path(self._tree).parents[1] / "base.git"
        looked = subprocess.run(("git", f"--git-dir={base}", "cat-file", "-e", name), capture_output=True, check=False)
        return looked.returncode == 0

    def secrets(self) -> list[str]:
        """Every object of the private repository."""
        listed = run_git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=self.secret)
        return listed.split()

    def close(self) -> None:
        """Close everything that was started."""
        if self._driver is not None:
            self._driver.kill()
            self._driver.wait()
            for pipe in (self._driver.stdin, self._driver.stdout):
                if pipe is not None:
                    pipe.close()
            self._driver = None
        export = self.root / "exported"
        if export.exists():
            shutil.rmtree(export)
        os.sync()
