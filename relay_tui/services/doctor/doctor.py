"""The list of checks and their order."""

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
from relay_tui.services.doctor.engine_checks import UNREACHABLE, ChooseRuntime, EngineChecks
from relay_tui.services.doctor.results import Check, CheckResult
from relay_tui.services.doctor.runner import TOTAL_SECONDS, OnResult, run_checks
from relay_tui.services.reconcile.planner import Step
from relay_tui.services.runtime_router import DOCKER
from relay_tui.terminal_info import TerminalInfo

# seconds
_DEFAULT_TIMEOUT = 5.0
_ENGINE_TIMEOUT = 14.0
_PING_TIMEOUT = 10.0  # as long as everything else in relay waits for the engine's first answer
_REMOTE_TIMEOUT = 10.0
_ORPHANS_TIMEOUT = 8.0
_RECORDS_TIMEOUT = 2.0  # reading the records delays all checks

_SSH_URL = re.compile(r"^(ssh://|[^/]+@?[^/]*:(?!//))")
_URL_HOST = re.compile(r"^\w+://(?:[^/@]*@)?([^/]+)|^(?:[^/@:]*@)?([^/:]+):(?!//)")


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Checks the machine and one data directory.

    `plan` returns the reconciliation plan, `unreachable` the runtimes that the plan could not see, `choose` the
    runtime of a new session, `confinement` the name of the sandbox around git on the host.
    """

    host: Host
    store: Store
    data_dir: DataDir
    config: Config
    plan: Callable[[], Sequence[Step]]
    unreachable: Callable[[], Collection[str]]
    choose: ChooseRuntime
    confinement: Callable[[], str]

    def checks(self, terminal: TerminalInfo, patience: float = TOTAL_SECONDS) -> list[Check]:
        """Return all checks, the remotes last; no check gets more than `patience` seconds."""
        records = self._read_records()
        groups = (
            self._environment_checks(records, terminal, patience),
            self._program_checks(records),
            self._storage_checks(records),
            self._remote_checks(records),
        )
        return [replace(check, seconds=min(check.seconds, patience)) for group in groups for check in group]

    def examine(
        self, checks: Sequence[Check], on_result: OnResult, task: TaskContext, seconds: float = TOTAL_SECONDS
    ) -> list[CheckResult]:
        """Run the checks in parallel; `on_result` is called with each result. Raises CancelledError."""
        return run_checks(checks, on_result, task, seconds)

    def _environment_checks(self, records: Records, terminal: TerminalInfo, patience: float) -> Iterator[Check]:
        host, profiles = self.host, tuple(self.config.profiles.values())
        needed = any(session.runtime == DOCKER and session.container_id for session in records.live_sessions())
        engine = EngineChecks(host, profiles, needed=needed, patience=min(_PING_TIMEOUT, patience * 0.75))
        yield Check(
            "engine", lambda _: engine.check(), _ENGINE_TIMEOUT, "sudo systemctl restart docker", loss=UNREACHABLE
        )
        yield Check(
            "bubblewrap",
            partial(system_checks.check_bubblewrap, host),
            _DEFAULT_TIMEOUT,
            "bwrap --ro-bind / / true   # prints the reason",
            leans_on=("data dir",),
        )
        yield Check(
            "confinement",
            lambda _: system_checks.check_confinement(self.confinement()),
            _DEFAULT_TIMEOUT,
            "bwrap --version",
        )
        yield Check(
            "runtimes",
            lambda _: engine.check_runtimes(records, self.choose),
            _DEFAULT_TIMEOUT,
            after="engine",
            leans_on=("data dir",),
        )
        yield Check("terminal", lambda _: system_checks.check_terminal(terminal))
        yield Check("locale", lambda _: system_checks.check_locale(terminal))

    def _program_checks(self, records: Records) -> Iterator[Check]:
        host, timeout = self.host, _DEFAULT_TIMEOUT
        over_ssh = any(_SSH_URL.match(project.source) for project in records.live_projects())
        git_hangs = "type git   # the first git in $PATH hangs"
        reinstall = "sudo apt-get install --reinstall"
        yield Check("git", partial(system_checks.check_git, host), timeout, git_hangs, loss="git does not answer")
        yield Check("git identity", partial(system_checks.check_identity, host), timeout, git_hangs, leans_on=("git",))
        yield Check("git-lfs", partial(system_checks.check_git_lfs, host), timeout, f"{reinstall} git-lfs")
        yield Check("tmux", partial(system_checks.check_tmux, host), timeout, f"{reinstall} tmux")
        agent = partial(system_checks.check_ssh_agent, host, needed=over_ssh)
        yield Check("ssh agent", agent, timeout, 'eval "$(ssh-agent)" && ssh-add')

    def _storage_checks(self, records: Records) -> Iterator[Check]:
        host, data_dir, timeout = self.host, self.data_dir, _DEFAULT_TIMEOUT
        mounts = f"mount | grep {data_dir.root}   # a file system that hangs is mounted there or above"
        lock_holder = f"fuser -v {data_dir.root / 'store.lock'}   # shows the process that holds the lock"
        list_config = f"ls -l {self.config.path}   # not a readable file, or on a file system that hangs"
        needs_disk = ("data dir",)
        yield Check(
            "data dir",
            lambda _: storage_checks.check_data_dir(host, data_dir),
            timeout,
            mounts,
            loss="the data directory does not answer",
        )
        yield Check("disk", lambda _: storage_checks.check_disk(host, data_dir), timeout, mounts, leans_on=needs_disk)
        yield Check("config", lambda _: storage_checks.check_config(self.config.path), timeout, list_config)
        yield Check(
            "store",
            lambda _: storage_checks.check_store(self.store, data_dir),
            timeout,
            lock_holder,
            "the store does not answer",
            leans_on=needs_disk,
        )
        yield Check("locks", lambda _: storage_checks.check_locks(host, records), timeout, mounts, leans_on=needs_disk)
        yield Check(
            "orphans",
            lambda _: storage_checks.check_orphans(self.plan, self.unreachable),
            _ORPHANS_TIMEOUT,
            "relay reconcile --dry-run",
            leans_on=("engine", "data dir", "store"),
        )

    def _remote_checks(self, records: Records) -> Iterator[Check]:
        """Yield a check for each project's remote.

        All remotes of one host wait for the first one: if that gets no answer, the others would not either.
        """
        first_of_host: dict[str, str] = {}
        for project in records.live_projects():
            name, remote_host = f"remote {project.name}", _remote_host(project.source)
            leans_on = ("git", first_of_host[remote_host]) if remote_host in first_of_host else ("git",)
            if remote_host:
                first_of_host.setdefault(remote_host, name)
            command = f"git ls-remote {shlex.quote(project.source)}"
            loss = f"{remote_host} does not answer" if remote_host else ""
            yield Check(name, self._remote_check(project), _REMOTE_TIMEOUT, command, loss, leans_on=leans_on)

    def _remote_check(self, project: Project) -> Callable[[TaskContext], CheckResult]:
        return lambda task: system_checks.check_remote(self.host, task, project.name, project.source)

    def _read_records(self) -> Records:
        """Return the records, or none if they cannot be read in time: the check of the store reports the reason."""
        results: list[Records] = []

        def read() -> None:
            try:
                results.append(self.store.read())
            except RelayError:
                return

        thread = threading.Thread(target=read, name="records", daemon=True)
        thread.start()
        thread.join(_RECORDS_TIMEOUT)
        return results[0] if results else Records()


def _remote_host(source: str) -> str:
    """Return the host of a remote with its port; '' for a local path."""
    match = _URL_HOST.match(source)
    return (match[1] or match[2]) if match and not source.startswith("file:") else ""
