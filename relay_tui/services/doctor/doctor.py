"""What is looked at, and in which order it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from relay_tui.errors import RelayError
from relay_tui.model import Project, Records
from relay_tui.paths import DataDir
from relay_tui.services.doctor import around, place, tools
from relay_tui.services.doctor.examination import Tell, examine
from relay_tui.services.doctor.findings import Check, Finding
from relay_tui.services.plan import Step
from relay_tui.services.ports import Store
from relay_tui.services.ports.machine import Machine
from relay_tui.services.runtimes import DOCKER, Choice
from relay_tui.services.watch import Watch
from relay_tui.terminal import Terminal

_QUICK = 5.0
_ENGINE = 8.0
_REMOTE = 10.0
_READING = 3.0  # seconds that reading the records may hold up everything else
_OVER_SSH = re.compile(r"^(ssh://|[^/]+@?[^/]*:(?!//))")


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Examines the machine and one data dir.

    `plan` answers what reconciling would do, `unseen` which runtimes it could not look at, `choose` what a new session
    would run on, `confinement` what stands around the host's git.
    """

    machine: Machine
    store: Store
    place: DataDir
    config_path: Path
    plan: Callable[[], Sequence[Step]]
    unseen: Callable[[], Collection[str]]
    choose: Callable[[], Choice]
    confinement: Callable[[], str]

    def checks(self, terminal: Terminal, patience: float = 60.0) -> list[Check]:
        """Everything that there is to look at here, the remotes last; no look gets more than `patience` seconds."""
        records = self._records()
        groups = (self._around(records, terminal), self._tools(records), self._kept(records), self._remotes(records))
        return [replace(check, seconds=min(check.seconds, patience)) for group in groups for check in group]

    def examine(self, checks: Sequence[Check], tell: Tell, watch: Watch) -> list[Finding]:
        """Look at all of it side by side; `tell` hears each result as it comes. Raises CancelledError."""
        return examine(checks, tell, watch)

    def _around(self, records: Records, terminal: Terminal) -> Iterator[Check]:
        machine = self.machine
        needed = any(session.runtime == DOCKER and session.container_id for session in records.live_sessions())
        restart = "sudo systemctl restart docker"
        yield Check("engine", lambda _: around.engine(machine, needed=needed), _ENGINE, restart)
        yield Check("bubblewrap", partial(tools.bubblewrap, machine), _QUICK, "bwrap --ro-bind / / true   # says why")
        yield Check("confinement", lambda _: around.confinement(self.confinement()), _QUICK, "bwrap --version")
        yield Check("runtimes", lambda _: around.runtimes(self.choose), _ENGINE, restart)
        yield Check("terminal", lambda _: around.terminal(terminal))
        yield Check("locale", lambda _: around.locale(terminal))

    def _tools(self, records: Records) -> Iterator[Check]:
        machine = self.machine
        over_ssh = any(_OVER_SSH.match(project.source) for project in records.live_projects())
        git_hangs = "type git   # what hangs is the first git in $PATH"
        yield Check("git", partial(tools.git, machine), _QUICK, git_hangs)
        yield Check("git identity", partial(tools.identity, machine), _QUICK, git_hangs)
        yield Check("git-lfs", partial(tools.git_lfs, machine), _QUICK, "sudo apt-get install --reinstall git-lfs")
        yield Check("tmux", partial(tools.tmux, machine), _QUICK, "sudo apt-get install --reinstall tmux")
        agent = partial(tools.ssh_agent, machine, needed=over_ssh)
        yield Check("ssh agent", agent, _QUICK, 'eval "$(ssh-agent)" && ssh-add')

    def _kept(self, records: Records) -> Iterator[Check]:
        machine, root = self.machine, self.place.root
        mounted = f"mount | grep {root}   # a file system that hangs is mounted there or above"
        yield Check("data dir", lambda _: place.data_dir(machine, self.place), _QUICK, mounted)
        yield Check("disk", lambda _: place.disk(machine, self.place), _QUICK, mounted)
        yield Check("config", lambda _: place.config(self.config_path), _QUICK, mounted)
        fuser = f"fuser -v {root / 'store.lock'}   # who holds it"
        yield Check("store", lambda _: place.store(self.store, self.place), _QUICK, fuser)
        yield Check("locks", lambda _: place.locks(machine, records), _QUICK, mounted)
        yield Check("orphans", lambda _: place.orphans(self.plan, self.unseen), _ENGINE, "relay reconcile --dry-run")

    def _remotes(self, records: Records) -> Iterator[Check]:
        for project in records.live_projects():
            yield Check(f"remote {project.name}", self._remote(project), _REMOTE, f"git ls-remote {project.source}")

    def _remote(self, project: Project) -> Callable[[Watch], Finding]:
        return lambda watch: tools.remote(self.machine, watch, project.name, project.source)

    def _records(self) -> Records:
        """The records, or none if they cannot be read soon: what is wrong with them is the store's own finding."""
        read: list[Records] = []

        def reading() -> None:
            try:
                read.append(self.store.read())
            except RelayError:
                return

        thread = threading.Thread(target=reading, name="records", daemon=True)
        thread.start()
        thread.join(_READING)
        return read[0] if read else Records()
