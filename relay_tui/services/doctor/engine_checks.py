"""Checks of the container engine: reachability, enforced limits, and the runtime of new sessions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from relay_tui.config import Profile
from relay_tui.domain.errors import EngineError, EngineUnreachableError, RelayError, UnreachableReason
from relay_tui.domain.models import Records
from relay_tui.ports.host import EngineFacts, Host
from relay_tui.services.doctor.results import CheckResult, absent, broken, ok, warning
from relay_tui.services.doctor.system_checks import NAMESPACES
from relay_tui.services.runtime_router import DOCKER, INSTEAD, RuntimeChoice
from relay_tui.text.format import format_size

UNREACHABLE = "the engine does not answer"
_DELEGATE = (
    "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu memory pids\\n' | "
    "sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload   # then log in again"
)

ChooseRuntime = Callable[[str, Records, Callable[[], object]], RuntimeChoice]
"""Returns the runtime of a new session for a project's id ('' for a new project), the records and a ping."""


class EngineChecks:
    """Queries the engine once, in check(); check_runtimes() uses the outcome."""

    def __init__(self, host: Host, profiles: Collection[Profile], *, needed: bool, patience: float) -> None:
        self._host = host
        self._profiles = profiles
        self._needed = needed
        self._patience = patience
        self._unreachable: EngineUnreachableError | None = EngineUnreachableError(
            UNREACHABLE, "no answer in time", "Restart it."
        )
        self._error: EngineError | None = None
        self._is_local = True

    def check(self) -> CheckResult:
        """Check that the engine answers, is local and enforces limits. Raises EngineError if it refuses the query."""
        try:
            facts = self._host.engine(self._patience)
        except EngineUnreachableError as error:
            self._unreachable = error
            return self._unreachable_result(error)
        except EngineError as error:
            self._error = error
            raise
        self._unreachable, self._is_local = None, facts.local
        return _check_limits(facts, self._profiles)

    def _unreachable_result(self, error: EngineUnreachableError) -> CheckResult:
        found = f"{error.why or error.title} ({error.detail})"
        fix = error.fix or error.hint
        is_configured = self._host.variable("DOCKER_HOST") or self._host.variable("DOCKER_CONTEXT")
        hangs = error.silence is UnreachableReason.MUTE
        if (
            self._needed
            or is_configured
            or hangs
            or error.silence in {UnreachableReason.ASTRAY, UnreachableReason.REMOTE}
        ):
            return broken("engine", found, fix, UNREACHABLE if hangs else "")
        if error.silence is UnreachableReason.MISSING:
            return absent("engine", f"{error.why}: sessions run as processes on this machine", fix)
        return warning("engine", found, fix)

    def ping(self) -> None:
        """Raise what check() found: EngineUnreachableError if the engine did not answer, EngineError if it refused."""
        error = self._error or self._unreachable
        if error is not None:
            raise error

    def check_runtimes(self, records: Records, choose: ChooseRuntime) -> CheckResult:
        """Show the runtime of new sessions: in a new project, and in existing projects that differ."""
        usual = self._outcome("", records, choose)
        outcomes = {project.name: self._outcome(project.id, records, choose) for project in records.live_projects()}
        others: dict[str, list[str]] = {}
        for name, outcome in outcomes.items():
            if outcome.description != usual.description:
                others.setdefault(outcome.description, []).append(name)
        why = usual.why.partition(" (")[0]  # the engine's own check reports the details
        found = f"New sessions are {usual.description}" + (f": {why}" if why else "")
        found += "".join(f"; in {_format_names(names)} {description}" for description, names in others.items())
        worst = max((usual, *outcomes.values()), key=lambda outcome: outcome.severity)
        return warning("runtimes", found, worst.fix) if worst.severity else ok("runtimes", found)

    def _outcome(self, project_id: str, records: Records, choose: ChooseRuntime) -> _Outcome:
        """Return the outcome of creating a session in the project."""
        try:
            choice = choose(project_id, records, self.ping)
        except RelayError as error:
            return _Outcome(f"refused: {error.title}", 2, error.hint)
        start_fix = ""
        if self._unreachable is not None:
            fix = self._unreachable.fix or self._unreachable.hint
            start_fix = f"{fix}{',' if '#' in fix else '   #'} or use --runtime process"
        if choice.runtime == DOCKER and self._unreachable is not None:
            return _Outcome("containers, which wait for the engine", 2, start_fix)
        if choice.runtime == DOCKER and not self._is_local:
            fix = "docker context use default   # or use --runtime process"
            return _Outcome("containers, which fail: the engine is on another machine", 2, fix)
        if choice.runtime == DOCKER:
            return _Outcome("containers", why=choice.why)
        if choice.asks is not None and choice.asks.consent == INSTEAD:
            return _Outcome(
                "refused until the engine answers, because the project has sessions in containers", 2, start_fix
            )
        if choice.isolated:
            return _Outcome("processes in a sandbox", why=choice.why)
        asked = ", and relay asks for consent first" if choice.asks else ""
        fix = NAMESPACES if self._host.find("bwrap") else "sudo apt-get install bubblewrap"
        return _Outcome(f"processes, not isolated from your files{asked}", 1, fix, choice.why)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Outcome of creating a session. `severity`: 1 works, but not as safely as it could; 2 does not work."""

    description: str
    severity: int = 0
    fix: str = ""
    why: str = ""


def _format_names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _check_limits(facts: EngineFacts, profiles: Collection[Profile]) -> CheckResult:
    rootless = ", rootless" if facts.rootless else ""
    found = f"{facts.product} {facts.version} at {facts.address} ({facts.origin}){rootless}, cgroups {facts.cgroups}"
    if not facts.local:
        fix = "unset DOCKER_HOST" if facts.origin == "$DOCKER_HOST" else "docker context use default"
        reason = "it is on another machine, which cannot mount the clones of this one: its sessions fail"
        return broken("engine", f"{found}; {reason}", fix)
    unenforced = [name for name, enforced in facts.limits.items() if not enforced]
    if not unenforced:
        return ok("engine", f"{found}; limits on {', '.join(facts.limits)} are enforced")
    found += f"; it does not enforce limits on {' and '.join(unenforced)}"
    affected = _affected_limits(unenforced, profiles)
    found += f": not {'; '.join(affected)}" if affected else ", and no profile sets one"
    fix = _DELEGATE if facts.rootless else "docker info   # its last lines show what the kernel lacks"
    return warning("engine", found, fix)


def _affected_limits(unenforced: Collection[str], profiles: Collection[Profile]) -> list[str]:
    """Return text like 'memory 2 GiB of profile agent' for each profile that sets a limit which is not enforced."""
    lines = []
    for profile in profiles:
        limits = _limits(profile)
        affected = [f"{name} {limits[name]}" for name in unenforced if name in limits]
        if affected:
            lines.append(f"{', '.join(affected)} of profile {profile.name}")
    return lines


def _limits(profile: Profile) -> Mapping[str, str]:
    """Return the limits that a profile sets, by name; every profile limits the number of processes."""
    limits = {"processes": str(profile.pids)}
    if profile.memory is not None:
        limits["memory"] = format_size(profile.memory)
    if profile.cpus is not None:
        limits["cpus"] = f"{profile.cpus:g}"
    return limits
