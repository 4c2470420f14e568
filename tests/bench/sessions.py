"""Benchmark of session start, from the command to the running container, against equivalent raw commands.

Run `python tests/bench/sessions.py`, with --quick for a short run. It needs git, the docker command and an engine.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from measure import (
    BRANCH,
    IMAGE,
    Contestant,
    Place,
    Row,
    less,
    make_repository,
    place,
    prepare_image,
    print_table,
    quick_wanted,
    relay_command,
    remove_containers,
    remove_tree,
    rounds,
    run,
    run_together,
)

from relay_tui.bootstrap import container
from relay_tui.domain.models import Project
from relay_tui.ports.task import TaskContext
from relay_tui.services.relay import Relay
from relay_tui.services.sessions.drafts import NewSession

WORKERS = min(os.cpu_count() or 1, 8)
PARALLEL = 8
INTERPRETER = "interpreter start (python -c pass)"
RELAY, BEYOND, IN_PROCESS = "relay session create", "  beyond interpreter start", "  in process, all imported"
RAW, WORKTREE = "git clone + docker create + start", "git worktree add + docker run -d"


class Bench:
    """One project in relay, and a base clone of the same source for the raw commands."""

    def __init__(self, here: Place, source: Path) -> None:
        self._here = here
        self._base = here.root / f"{source.stem}-base.git"
        self._names = 0
        os.environ.update(here.environment)
        self.relay: Relay = container.build_relay(here.data)
        command = ("project", "add", str(source), "--name", source.stem, "--image", IMAGE)
        run([*relay_command(), *command], here.environment)
        self._project: Project = next(p for p in self.relay.store.read().live_projects() if p.name == source.stem)
        run(["git", "clone", "-q", "--bare", "--no-local", str(source), str(self._base)])

    def interpreter(self, _name: str) -> None:
        """Start the interpreter and end it."""
        run([sys.executable, "-c", "pass"], self._here.environment)

    def create(self, name: str) -> None:
        """The command."""
        run(self.create_command(name), self._here.environment)

    def create_command(self, name: str) -> list[str]:
        """The command line of `relay session create`."""
        return [*relay_command(), "session", "create", self._project.name, "--name", name]

    def in_process(self, name: str) -> None:
        """The services alone, everything imported and the engine's connection open."""
        session = self.relay.sessions.register(NewSession(project=self._project.id, name=name))
        self.relay.sessions.build(session.id, TaskContext())

    def raw(self, name: str) -> None:
        """Run the raw commands for the same clone and the same container."""
        run(self.raw_command(name))

    def raw_command(self, name: str) -> list[str]:
        """A shell that runs the raw commands one after another."""
        target = self._here.raw / name
        clone = ["git", "-c", f"checkout.workers={WORKERS}", "clone", "-q", "--no-hardlinks", f"--branch={BRANCH}"]
        create = ["docker", "create", "--name", f"relay-bench-{os.getpid()}-{name}", *self._options(name, target)]
        steps = (
            shlex.join([*clone, str(self._base), str(target)]),
            f"container=$({shlex.join([*create, IMAGE, '2147483647'])})",
            'docker start "$container"',
        )
        return ["sh", "-c", " && ".join(steps)]

    def _options(self, name: str, target: Path) -> list[str]:
        """The container's options, the same that relay gives its own."""
        env = {
            "HOME": "/root",
            "USER": "root",
            "LOGNAME": "root",
            "LANG": "C.UTF-8",
            "RELAY_WORKSPACE_DIR": "/workspace",
            "RELAY_SESSION": name,
            "RELAY_PROJECT": self._project.name,
            "RELAY_BRANCH": BRANCH,
        }
        labels = {
            "relay.data-dir": str(self._here.raw),
            "relay.project": self._project.id,
            "relay.session": name,
            "relay.name": f"{self._project.name}/{name}",
            "relay.user": f"{os.getuid()}:{os.getgid()}",
            "relay.idle": "yes",
        }
        return [
            *("--init", "--interactive", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=4096"),
            *("--network=bridge", f"--user={os.getuid()}:{os.getgid()}", "--workdir=/workspace"),
            *("--hostname", f"bench-{name}", f"--mount=type=bind,source={target},target=/workspace"),
            *(f"--env={key}={value}" for key, value in env.items()),
            *(f"--label={key}={value}" for key, value in labels.items()),
            "--entrypoint=/bin/sleep",
        ]

    def worktree(self, name: str) -> None:
        """The usual short cut: a worktree that shares the base's objects, and a container with default options."""
        target = self._here.raw / name
        label = f"relay.data-dir={self._here.raw}"
        run(["git", f"--git-dir={self._base}", "worktree", "add", "-q", "-b", name, str(target), BRANCH])
        run(["docker", "run", "-d", "--label", label, "-v", f"{target}:/workspace", IMAGE, "sleep", "2147483647"])

    def together(self, command: Contestant) -> Contestant:
        """Eight of a command at once."""

        def all_at_once(name: str) -> None:
            environment = self._here.environment
            run_together([command(f"{name}-{i}") for i in range(PARALLEL)], environment)  # type: ignore[misc]

        return all_at_once

    def tidy(self) -> None:
        """Remove what was created since the last time, records included."""
        remove_containers(self._here)
        for session in self.relay.store.read().live_sessions(self._project.id):
            remove_tree(Path(session.work_dir))
        with self.relay.store.transaction() as change:
            for session in change.records.live_sessions(self._project.id):
                change.drop(session.id)
        for directory in self._here.raw.iterdir():
            remove_tree(directory)
            run(["git", f"--git-dir={self._base}", "worktree", "prune"])


def small(here: Place, count: int) -> None:
    """One session of a small repository, and eight at once."""
    make_repository(here.root / "small.git", 40, range(2_000, 8_000))
    bench = Bench(here, here.root / "small.git")
    contestants: dict[str, Contestant] = {
        INTERPRETER: bench.interpreter,
        RELAY: bench.create,
        RAW: bench.raw,
        IN_PROCESS: bench.in_process,
    }
    taken = rounds(contestants, count, bench.tidy)
    print_table(
        f"One session, 40 files, {count} rounds",
        [
            Row(INTERPRETER, taken[INTERPRETER]),
            Row(RAW, taken[RAW]),
            Row(RELAY, taken[RELAY], RAW),
            Row(BEYOND, less(taken[RELAY], taken[INTERPRETER]), RAW, 1.15),
            Row(IN_PROCESS, taken[IN_PROCESS], RAW),
        ],
    )
    both = {RAW: bench.together(bench.raw_command), RELAY: bench.together(bench.create_command)}
    taken = rounds(both, max(3, count // 3), bench.tidy)
    print_table(
        f"{PARALLEL} sessions at once, 40 files each, {max(3, count // 3)} rounds",
        [Row(RAW, taken[RAW]), Row(RELAY, taken[RELAY], RAW, 1.2)],
    )


def large(here: Place, files: int, count: int) -> None:
    """One session of a large repository."""
    make_repository(here.root / "large.git", files, range(2_000, 8_000))
    bench = Bench(here, here.root / "large.git")
    contestants: dict[str, Contestant] = {
        INTERPRETER: bench.interpreter,
        WORKTREE: bench.worktree,
        RELAY: bench.create,
        RAW: bench.raw,
    }
    taken = rounds(contestants, count, bench.tidy)
    beyond = less(taken[RELAY], taken[INTERPRETER])
    print_table(
        f"One session, {files} files, {count} rounds",
        [
            Row(WORKTREE, taken[WORKTREE]),
            Row(RAW, taken[RAW], WORKTREE),
            Row(RELAY, taken[RELAY], WORKTREE, 0.75),
            Row(BEYOND, beyond, WORKTREE),
            Row(f"{BEYOND} (2)", beyond, RAW, 1.15),
        ],
    )


def main() -> None:
    """Measure all, print the tables."""
    quick = quick_wanted("Sessions against the raw commands.")
    prepare_image()
    with place() as here:
        small(here, 5 if quick else 21)
        large(here, 5_000 if quick else 20_000, 3 if quick else 7)


if __name__ == "__main__":
    main()
