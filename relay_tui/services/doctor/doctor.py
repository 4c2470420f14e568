"""What is looked at, and in which order it is told."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from relay_tui.config import Config
from relay_tui.domain.errors import RelayError
from relay_tui.domain.models import Project, Records
from relay_tui.paths import DataDir
from relay_tui.ports import Store
from relay_tui.ports.host import Host
from relay_tui.ports.task import TaskContext
from relay_tui.services.doctor import storage_checks, system_checks
from relay_tui.services.doctor.engine_checks import LOST, Choose, EngineChecks
from relay_tui.services.doctor.results import Check, CheckResult
from relay_tui.services.doctor.runner import ALL, Tell, run_checks
from relay_tui.services.reconcile.planner import Step
from relay_tui.services.runtime_router import DOCKER
from relay_tui.terminal_info import TerminalInfo

_QUICK = 5.0
_ENGINE = 14.0
_GREETING = 10.0  # as long as everything else in relay waits for it
_REMOTE = 10.0
_READING = 2.0  # seconds that reading the records may hold up everything else
_ORPHANS = 8.0
_OVER_SSH = re.compile(r"^(ssh://|[^/]+@?[^/]*:(?!//))")
_HOST = re.compile(r"^\w+://(?:[^/@]*@)?([^/]+)|^(?:[^/@:]*@)?([^/:]+):(?!//)")


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Examines the machine and one data dir.

    `plan` answers what reconciling would do, `unseen` which runtimes it could not look at, `choose` what a new session
    would run on, `confinement` what stands around the host's git.
    """

    machine: Host
    store: Store
    place: DataDir
    config: Config
    plan: Callable[[], Sequence[Step]]
    unseen: Callable[[], Collection[str]]
    choose: Choose
    confinement: Callable[[], str]

    def checks(self, terminal: TerminalInfo, patience: float = ALL) -> list[Check]:
        """Everything that there is to look at here, the remotes last; no look gets more than `patience` seconds."""
        records = self._records()
        around = self._around(records, terminal, patience)
        groups = (around, self._tools(records), self._kept(records), self._remotes(records))
        return [replace(check, seconds=min(check.seconds, patience)) for group in groups for check in group]

    def examine(
        self, checks: Sequence[Check], tell: Tell, task: TaskContext, seconds: float = ALL
    ) -> list[CheckResult]:
        """Look at all of it side by side; `tell` hears each result as it comes. Raises CancelledError."""
        return run_checks(checks, tell, task, seconds)

    def _around(self, records: Records, terminal: TerminalInfo, patience: float) -> Iterator[Check]:
        machine, profiles = self.machine, tuple(self.config.profiles.values())
        needed = any(session.runtime == DOCKER and session.container_id for session in records.live_sessions())
        engine = EngineChecks(machine, profiles, needed=needed, patience=min(_GREETING, patience * 0.75))
        restart = "sudo systemctl restart docker"
        yield Check("engine", lambda _: engine.check(), _ENGINE, restart, loss=LOST)
        sandbox, proof = partial(system_checks.bubblewrap, machine), "bwrap --ro-bind / / true   # says why"
        yield Check("bubblewrap", sandbox, _QUICK, proof, leans_on=("data dir",))
        yield Check("confinement", lambda _: system_checks.confinement(self.confinement()), _QUICK, "bwrap --version")
        runtimes = partial(engine.runtimes, records, self.choose)
        yield Check("runtimes", lambda _: runtimes(), _QUICK, after="engine", leans_on=("data dir",))
        yield Check("terminal", lambda _: system_checks.terminal(terminal))
        yield Check("locale", lambda _: system_checks.locale(terminal))

    def _tools(self, records: Records) -> Iterator[Check]:
        machine = self.machine
        over_ssh = any(_OVER_SSH.match(project.source) for project in records.live_projects())
        git_hangs = "type git   # what hangs is the first git in $PATH"
        yield Check("git", partial(system_checks.git, machine), _QUICK, git_hangs, loss="git does not answer")
        yield Check("git identity", partial(system_checks.identity, machine), _QUICK, git_hangs, leans_on=("git",))
        yield Check(
            "git-lfs", partial(system_checks.git_lfs, machine), _QUICK, "sudo apt-get install --reinstall git-lfs"
        )
        yield Check("tmux", partial(system_checks.tmux, machine), _QUICK, "sudo apt-get install --reinstall tmux")
        agent = partial(system_checks.ssh_agent, machine, needed=over_ssh)
        yield Check("ssh agent", agent, _QUICK, 'eval "$(ssh-agent)" && ssh-add')

    def _kept(self, records: Records) -> Iterator[Check]:
        machine, root = self.machine, self.place.root
        mounted = f"mount | grep {root}   # a file system that hangs is mounted there or above"
        fuser = f"fuser -v {root / 'store.lock'}   # who holds it"
        config = f"ls -l {self.config.path}   # no file relay can read, or on a file system that hangs"
        lost, disk = "the data dir does not answer", ("data dir",)
        yield Check("data dir", lambda _: storage_checks.data_dir(machine, self.place), _QUICK, mounted, loss=lost)
        yield Check("disk", lambda _: storage_checks.disk(machine, self.place), _QUICK, mounted, leans_on=disk)
        yield Check("config", lambda _: storage_checks.config(self.config.path), _QUICK, config)
        lost = "the store does not answer"
        yield Check("store", lambda _: storage_checks.store(self.store, self.place), _QUICK, fuser, lost, leans_on=disk)
        yield Check("locks", lambda _: storage_checks.locks(machine, records), _QUICK, mounted, leans_on=disk)
        orphans = partial(storage_checks.orphans, self.plan, self.unseen)
        needs = ("engine", "data dir", "store")
        yield Check("orphans", lambda _: orphans(), _ORPHANS, "relay reconcile --dry-run", leans_on=needs)

    def _remotes(self, records: Records) -> Iterator[Check]:
        """Every project's. The first of each host goes ahead: where it gets no answer, no other would."""
        first: dict[str, str] = {}
        for project in records.live_projects():
            name, host = f"remote {project.name}", _host(project.source)
            leans_on = ("git", first[host]) if host in first else ("git",)
            if host:
                first.setdefault(host, name)
            ask = f"git ls-remote {shlex.quote(project.source)}"
            loss = f"{host} gives no answer" if host else ""
            yield Check(name, self._remote(project), _REMOTE, ask, loss, leans_on=leans_on)

    def _remote(self, project: Project) -> Callable[[TaskContext], CheckResult]:
        return lambda task: system_checks.remote(self.machine, task, project.name, project.source)

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


def _host(source: str) -> str:
    """The host of a remote, with its port; '' for a path of this machine."""
    found = _HOST.match(source)
    return (found[1] or found[2]) if found and not source.startswith("file:") else ""
