"""The engine: whether it answers, what it holds containers to, and what a new session would run on."""

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

LOST = "the engine does not answer"
_DELEGATE = (
    "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu memory pids\\n' | "
    "sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload   # then log in again"
)

Choose = Callable[[str, Records, Callable[[], object]], RuntimeChoice]
"""What a new session of a project ('' for a new project) runs on, by the records and how to ask for the engine."""


class EngineChecks:
    """Asks the engine once; what came of it is for whoever else needs to know."""

    def __init__(self, machine: Host, profiles: Collection[Profile], *, needed: bool, patience: float) -> None:
        self._machine = machine
        self._profiles = profiles
        self._needed = needed
        self._patience = patience
        self._silent: EngineUnreachableError | None = EngineUnreachableError(
            LOST, "no answer in time", "Start it anew."
        )
        self._refusal: EngineError | None = None
        self._here = True

    def check(self) -> CheckResult:
        """How the engine is. `needed`: there are sessions that live in it."""
        try:
            facts = self._machine.engine(self._patience)
        except EngineUnreachableError as error:
            self._silent = error
            return self._unreachable(error)
        except EngineError as error:
            self._refusal = error
            raise
        self._silent, self._here = None, facts.local
        return _judged(facts, self._profiles)

    def _unreachable(self, error: EngineUnreachableError) -> CheckResult:
        found = f"{error.why or error.title} ({error.detail})"
        mend = error.mend or error.hint
        named = self._machine.variable("DOCKER_HOST") or self._machine.variable("DOCKER_CONTEXT")
        mute = error.silence is UnreachableReason.MUTE
        if self._needed or named or mute or error.silence in {UnreachableReason.ASTRAY, UnreachableReason.REMOTE}:
            return broken("engine", found, mend, LOST if mute else "")
        if error.silence is UnreachableReason.MISSING:
            return absent("engine", f"{error.why}: sessions run as processes of this machine", mend)
        return warning("engine", found, mend)

    def answer(self) -> None:
        """What the look found. Raises EngineUnreachableError if it did not answer, EngineError if it refused."""
        failed = self._refusal or self._silent
        if failed is not None:
            raise failed

    def runtimes(self, records: Records, choose: Choose) -> CheckResult:
        """What a new session gets: in a new project, and in those projects where that differs."""
        usual = self._outcome("", records, choose)
        outcomes = {project.name: self._outcome(project.id, records, choose) for project in records.live_projects()}
        others: dict[str, list[str]] = {}
        for name, outcome in outcomes.items():
            if outcome.words != usual.words:
                others.setdefault(outcome.words, []).append(name)
        why = usual.why.partition(" (")[0]  # in what way it does not answer, the engine's own finding tells
        found = f"New sessions are {usual.words}" + (f": {why}" if why else "")
        found += "".join(f"; in {_listed(names)} {words}" for words, names in others.items())
        worst = max((usual, *outcomes.values()), key=lambda outcome: outcome.evil)
        return warning("runtimes", found, worst.mend) if worst.evil else ok("runtimes", found)

    def _outcome(self, project_id: str, records: Records, choose: Choose) -> _Outcome:
        """What a new session there comes to."""
        try:
            choice = choose(project_id, records, self.answer)
        except RelayError as error:
            return _Outcome(f"refused: {error.title}", 2, error.hint)
        start = ""
        if self._silent is not None:
            mend = self._silent.mend or self._silent.hint
            start = f"{mend}{',' if '#' in mend else '   #'} or say --runtime process"
        if choice.runtime == DOCKER and self._silent is not None:
            return _Outcome("containers, which wait for the engine", 2, start)
        if choice.runtime == DOCKER and not self._here:
            mend = "docker context use default   # or say --runtime process"
            return _Outcome("containers, which fail: the engine is on another machine", 2, mend)
        if choice.runtime == DOCKER:
            return _Outcome("containers", why=choice.why)
        if choice.asks is not None and choice.asks.consent == INSTEAD:
            return _Outcome("refused until the engine answers, for it has sessions in containers", 2, start)
        if choice.isolated:
            return _Outcome("processes in a sandbox", why=choice.why)
        asked = ", which relay asks about first" if choice.asks else ""
        mend = NAMESPACES if self._machine.find("bwrap") else "sudo apt-get install bubblewrap"
        return _Outcome(f"processes, not isolated from your files{asked}", 1, mend, choice.why)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What asking for a session comes to. `evil`: 1 works, but not as safely as it could; 2 does not work."""

    words: str
    evil: int = 0
    mend: str = ""
    why: str = ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _judged(facts: EngineFacts, profiles: Collection[Profile]) -> CheckResult:
    rootless = ", rootless" if facts.rootless else ""
    found = f"{facts.product} {facts.version} at {facts.address} ({facts.origin}){rootless}, cgroups {facts.cgroups}"
    if not facts.local:
        mend = "unset DOCKER_HOST" if facts.origin == "$DOCKER_HOST" else "docker context use default"
        words = "it is on another machine, which cannot mount the clones of this one: sessions on it fail"
        return broken("engine", f"{found}; {words}", mend)
    loose = [name for name, held in facts.limits.items() if not held]
    if not loose:
        return ok("engine", f"{found}; limits on {', '.join(facts.limits)} hold")
    found += f"; it does not hold limits on {' and '.join(loose)}"
    lost = _lost(loose, profiles)
    found += f": not {'; '.join(lost)}" if lost else ", and no profile sets one"
    mend = _DELEGATE if facts.rootless else "docker info   # its last lines say what the kernel lacks"
    return warning("engine", found, mend)


def _lost(loose: Collection[str], profiles: Collection[Profile]) -> list[str]:
    """In words, which limits of which profiles would not hold."""
    words = []
    for profile in profiles:
        own = _limits(profile)
        lost = [f"{name} {own[name]}" for name in loose if name in own]
        if lost:
            words.append(f"{', '.join(lost)} of profile {profile.name}")
    return words


def _limits(profile: Profile) -> Mapping[str, str]:
    """What a profile sets, by the name of the limit; every profile bounds the number of processes."""
    limits = {"processes": str(profile.pids)}
    if profile.memory is not None:
        limits["memory"] = format_size(profile.memory)
    if profile.cpus is not None:
        limits["cpus"] = f"{profile.cpus:g}"
    return limits
