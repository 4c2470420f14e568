"""The programs that relay uses, and those that it can do without."""

from __future__ import annotations

import re

from relay_tui.domain.errors import CancelledError, RelayError
from relay_tui.ports.host import CommandResult, Host
from relay_tui.ports.task import TaskContext
from relay_tui.services.doctor.results import CheckResult, absent, broken, ok, warning
from relay_tui.terminal_info import TerminalInfo

LEAST_GIT = (2, 32)
"""The first that checks out in parallel and can be told which configuration to read."""


NAMESPACES = "sudo sysctl -e kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1"
"""Lets ordinary users have namespaces, which a sandbox is made of; -e: no kernel knows both."""


def git(machine: Host, task: TaskContext) -> CheckResult:
    """git, and whether it is new enough."""
    if not machine.find("git"):
        return broken("git", "There is no git in $PATH", "sudo apt-get install git", "there is no git")
    said = machine.run(("git", "--version"), task)
    found = re.search(r"\d+(?:\.\d+)+", said.out)
    if said.code or found is None:
        return broken(
            "git", f"git does not run: {_output_text(said)}", "sudo apt-get install --reinstall git", "git does not run"
        )
    version = tuple(int(part) for part in found[0].split("."))
    if version < LEAST_GIT:
        least = ".".join(map(str, LEAST_GIT))
        return broken("git", f"git {found[0]} is too old: relay needs {least} or newer", "sudo apt-get install git")
    return ok("git", f"git {found[0]}, {machine.find('git')}")


def identity(machine: Host, task: TaskContext) -> CheckResult:
    """Who commits in sessions."""
    name = "git identity"
    if not machine.find("git"):
        return absent(name, "There is no git to ask")
    values = [machine.run(("git", "config", "--global", f"user.{key}"), task).out.strip() for key in ("name", "email")]
    if all(values):
        return ok(name, "Commits in sessions carry {} <{}>".format(*values))
    lacking = [key for key, value in zip(("name", "email"), values, strict=True) if not value]
    found = f"{' and '.join(f'user.{key}' for key in lacking)} not set: nobody can commit in a session"
    return warning(name, found, " && ".join(f'git config --global user.{key} "YOUR {key.upper()}"' for key in lacking))


def git_lfs(machine: Host, task: TaskContext) -> CheckResult:
    """git-lfs, which repositories with large files need."""
    if not machine.find("git-lfs"):
        found = "Not installed: LFS files stay pointers in sessions"
        return absent("git-lfs", found, "sudo apt-get install git-lfs")
    said = machine.run(("git-lfs", "version"), task)
    if said.code:
        return broken(
            "git-lfs", f"git-lfs does not run: {_output_text(said)}", "sudo apt-get install --reinstall git-lfs"
        )
    return ok("git-lfs", said.out.split(" (")[0].strip().replace("git-lfs/", "git-lfs "))


def tmux(machine: Host, task: TaskContext) -> CheckResult:
    """tmux, in which a screen survives a lost line."""
    if not machine.find("tmux"):
        found = "Not installed: a lost SSH line closes the screen (sessions go on running)"
        return absent("tmux", found, "sudo apt-get install tmux")
    said = machine.run(("tmux", "-V"), task)
    if said.code:
        return warning("tmux", f"tmux does not run: {_output_text(said)}", "sudo apt-get install --reinstall tmux")
    inside = ", and relay runs in it" if machine.variable("TMUX") else ""
    return ok("tmux", f"{said.out.strip()}{inside}")


def ssh_agent(machine: Host, task: TaskContext, *, needed: bool) -> CheckResult:
    """The agent that answers for ssh keys, which relay cannot be asked for a passphrase of."""
    name, mend = "ssh agent", 'eval "$(ssh-agent)" && ssh-add'
    severe = warning if needed else absent
    if not machine.variable("SSH_AUTH_SOCK"):
        return severe(name, "None ($SSH_AUTH_SOCK is not set): keys with a passphrase cannot be used", mend)
    if not machine.find("ssh-add"):
        return severe(name, "There is no ssh-add in $PATH to ask it with", "sudo apt-get install openssh-client")
    said = machine.run(("ssh-add", "-l"), task)
    if said.code == 0:
        count = len(said.out.splitlines())  # never their names: a comment may say more than it should
        return ok(name, f"It holds {count} key{'' if count == 1 else 's'}")
    if said.code == 1:
        return severe(name, "It answers, and holds no key", "ssh-add")
    return warning(name, "$SSH_AUTH_SOCK leads to no agent that answers", mend)


def bubblewrap(machine: Host, task: TaskContext) -> CheckResult:
    """bubblewrap, really run as for a session: many machines have it and forbid what it does."""
    name = "bubblewrap"
    if not machine.find("bwrap"):
        found = "Not installed: sessions without an engine are not isolated from your files"
        return absent(name, found, "sudo apt-get install bubblewrap")
    isolation = machine.isolation(task)
    if not isolation.works:
        return warning(name, isolation.words, _sandbox_mend(isolation.words))
    held = "It isolates: own process ids, the file system read-only, secrets and sockets closed"
    return warning(name, f"{held}; {isolation.gap}", "uname -r") if isolation.gap else ok(name, held)


def _sandbox_mend(words: str) -> str:
    if "namespace" in words or "uid map" in words or "Permission denied" in words:
        return NAMESPACES
    return "bwrap --ro-bind / / true   # says why"


def remote(machine: Host, task: TaskContext, project: str, url: str) -> CheckResult:
    """Whether a project's remote answers to the credentials that are here."""
    name = f"remote {project}"
    try:
        machine.remote(url, task)
    except CancelledError:
        raise
    except RelayError as error:
        lines = [line for line in error.detail.splitlines() if line.strip()]
        said = f": {lines[0].strip()}" if lines else ""
        return broken(name, f"{error.title}{said}", error.hint or f"git ls-remote {url}")
    return ok(name, f"{url} answers")


def _output_text(said: CommandResult) -> str:
    """The line that says most about why a command failed."""
    lines = [line.strip() for line in (said.err or said.out).splitlines() if line.strip()]
    return lines[0] if lines else f"exit code {said.code}"


_LEAST = (80, 24)


def confinement(words: str) -> CheckResult:
    """What stands around the host's git while it looks at what a session wrote."""
    if words.startswith("none"):
        found = "Nothing: git on the host looks at clones behind relay's own checks alone"
        return warning("confinement", found, "sudo apt-get install bubblewrap")
    return ok("confinement", f"git on the host looks at clones within {words}")


def terminal(seen: TerminalInfo) -> CheckResult:
    """The size and the colours of the terminal."""
    if not seen.columns:
        return absent("terminal", "None here: relay's screen needs one")
    words = {0: "no colours", 1 << 24: "true colour"}.get(seen.colours, f"{seen.colours} colours")
    found = f"{seen.columns}x{seen.lines}, {words}, TERM={seen.name or '(not set)'}"
    if seen.columns < _LEAST[0] or seen.lines < _LEAST[1]:
        return warning("terminal", f"{found}: small, relay folds its panes", "Widen it to 80x24 or more")
    if seen.colours == 0:
        mend = "export TERM=xterm-256color" if seen.name in {"", "dumb"} else "unset NO_COLOR"
        return warning("terminal", f"{found}: states show as signs and words only", mend)
    return ok("terminal", found)


def locale(seen: TerminalInfo) -> CheckResult:
    """Whether the terminal is said to read UTF-8."""
    named = seen.locale or "no $LANG"
    if seen.utf8:
        return ok("locale", f"UTF-8 ({named})")
    variable = seen.locale.partition("=")[0] or "LANG"  # the one that counts: it overrides the others
    return warning("locale", f"Not UTF-8 ({named}): relay draws in ASCII", f"export {variable}=C.UTF-8")
