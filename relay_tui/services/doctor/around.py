"""What is around relay: the engine below it, the terminal before it."""

from __future__ import annotations

from collections.abc import Callable

from relay_tui.errors import EngineUnreachableError
from relay_tui.services.doctor.findings import Finding, absent, broken, ok, warning
from relay_tui.services.ports.machine import EngineFacts, Machine
from relay_tui.services.runtimes import DOCKER, Choice
from relay_tui.terminal import Terminal

_INSTALL = 'sudo apt-get install docker.io && sudo usermod -aG docker "$USER"   # then log in again'
_DELEGATE = (
    "printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf"
    "   # then log in again"
)
_LEAST = (80, 24)


def engine(machine: Machine, *, needed: bool) -> Finding:
    """The container engine, and what it holds containers to. `needed`: there are sessions that live in it."""
    chosen = bool(machine.variable("DOCKER_HOST") or machine.variable("DOCKER_CONTEXT"))
    try:
        facts = machine.engine()
    except EngineUnreachableError as error:
        if needed or chosen:
            return broken("engine", f"{error.title}: {error.detail}", error.hint)
        if "no such file" in error.detail.lower():
            return absent("engine", "None: sessions run as processes of this machine", _INSTALL)
        return warning("engine", f"{error.title}: {error.detail}", error.hint)
    return _judged(facts)


def _judged(facts: EngineFacts) -> Finding:
    rootless = ", rootless" if facts.rootless else ""
    found = f"{facts.product} {facts.version} at {facts.address} ({facts.origin}){rootless}, cgroups {facts.cgroups}"
    if not facts.local:
        mend = "unset DOCKER_HOST   # or: docker context use default"
        return warning("engine", f"{found}; on another machine, which cannot mount clones of this one", mend)
    loose = [name for name, held in facts.limits.items() if not held]
    if loose:
        mend = _DELEGATE if facts.rootless else "docker info   # its last lines say what the kernel lacks"
        return warning("engine", f"{found}; it does not hold limits on {' and '.join(loose)}", mend)
    return ok("engine", f"{found}; limits on {', '.join(facts.limits)} hold")


def runtimes(choose: Callable[[], Choice]) -> Finding:
    """What a new session runs on when nothing else is said."""
    name, choice = "runtimes", choose()
    if choice.runtime == DOCKER:
        return ok(name, f"New sessions are containers: {choice.why}")
    if choice.isolated:
        return ok(name, f"New sessions are processes in a sandbox: {choice.why}")
    hint = choice.asks.hint.partition(" Or ")[0] if choice.asks else "Install bubblewrap, or an engine"
    return warning(name, f"New sessions would be processes, not isolated from your files: {choice.why}", hint)


def confinement(words: str) -> Finding:
    """What stands around the host's git while it looks at what a session wrote."""
    if words.startswith("none"):
        found = "Nothing: git on the host looks at clones behind relay's own checks alone"
        return warning("confinement", found, "sudo apt-get install bubblewrap")
    return ok("confinement", f"git on the host looks at clones within {words}")


def terminal(seen: Terminal) -> Finding:
    """The size and the colours of the terminal."""
    if not seen.columns:
        return absent("terminal", "None here: relay's screen needs one")
    words = {0: "no colours", 1 << 24: "true colour"}.get(seen.colours, f"{seen.colours} colours")
    found = f"{seen.columns}x{seen.lines}, {words}, TERM={seen.name or '(not set)'}"
    if seen.columns < _LEAST[0] or seen.lines < _LEAST[1]:
        return warning("terminal", f"{found}: small, relay folds its panes", "Widen it to 80x24 or more")
    if seen.colours == 0:
        return warning("terminal", f"{found}: states show as signs and words only", "export TERM=xterm-256color")
    return ok("terminal", found)


def locale(seen: Terminal) -> Finding:
    """Whether the terminal is said to read UTF-8."""
    named = seen.locale or "no $LANG"
    if seen.utf8:
        return ok("locale", f"UTF-8 ({named})")
    return warning("locale", f"Not UTF-8 ({named}): relay draws in ASCII", "export LANG=C.UTF-8")
