"""Checks of programs, remotes and the terminal."""

from __future__ import annotations

import re

from relay_tui.domain.errors import CancelledError, RelayError
from relay_tui.ports.host import CommandResult, Host
from relay_tui.ports.task import TaskContext
from relay_tui.services.doctor.results import CheckResult, absent, broken, ok, warning
from relay_tui.terminal_info import TerminalInfo

MIN_GIT = (2, 32)
"""The first version with parallel checkout and with an option for the configuration files to read."""


NAMESPACES = "sudo sysctl -e kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1"
"""Allows namespaces to ordinary users, which a sandbox needs; -e: no kernel has both settings."""


def check_git(host: Host, task: TaskContext) -> CheckResult:
    """Check that git is installed, runs and is new enough."""
    if not host.find("git"):
        return broken("git", "There is no git in $PATH", "sudo apt-get install git", "git is not installed")
    result = host.run(("git", "--version"), task)
    match = re.search(r"\d+(?:\.\d+)+", result.out)
    if result.code or match is None:
        return broken(
            "git",
            f"git does not run: {_error_line(result)}",
            "sudo apt-get install --reinstall git",
            "git does not run",
        )
    version = tuple(int(part) for part in match[0].split("."))
    if version < MIN_GIT:
        minimum = ".".join(map(str, MIN_GIT))
        return broken("git", f"git {match[0]} is too old: relay needs {minimum} or newer", "sudo apt-get install git")
    return ok("git", f"git {match[0]}, {host.find('git')}")


def check_identity(host: Host, task: TaskContext) -> CheckResult:
    """Check that git knows the name and email for commits."""
    name = "git identity"
    if not host.find("git"):
        return absent(name, "git is not installed")
    values = [host.run(("git", "config", "--global", f"user.{key}"), task).out.strip() for key in ("name", "email")]
    if all(values):
        return ok(name, "Author of commits in sessions: {} <{}>".format(*values))
    missing = [key for key, value in zip(("name", "email"), values, strict=True) if not value]
    found = f"{' and '.join(f'user.{key}' for key in missing)} not set: commits in sessions fail"
    return warning(name, found, " && ".join(f'git config --global user.{key} "YOUR {key.upper()}"' for key in missing))


def check_git_lfs(host: Host, task: TaskContext) -> CheckResult:
    """Check git-lfs, which repositories with LFS files need."""
    if not host.find("git-lfs"):
        found = "Not installed: LFS files stay pointers in sessions"
        return absent("git-lfs", found, "sudo apt-get install git-lfs")
    result = host.run(("git-lfs", "version"), task)
    if result.code:
        return broken(
            "git-lfs", f"git-lfs does not run: {_error_line(result)}", "sudo apt-get install --reinstall git-lfs"
        )
    return ok("git-lfs", result.out.split(" (")[0].strip().replace("git-lfs/", "git-lfs "))


def check_tmux(host: Host, task: TaskContext) -> CheckResult:
    """Check tmux, which keeps relay's screen open when the SSH connection is lost."""
    if not host.find("tmux"):
        found = "Not installed: a lost SSH connection closes the screen (sessions keep running)"
        return absent("tmux", found, "sudo apt-get install tmux")
    result = host.run(("tmux", "-V"), task)
    if result.code:
        return warning("tmux", f"tmux does not run: {_error_line(result)}", "sudo apt-get install --reinstall tmux")
    inside = ", and relay runs inside it" if host.variable("TMUX") else ""
    return ok("tmux", f"{result.out.strip()}{inside}")


def check_ssh_agent(host: Host, task: TaskContext, *, needed: bool) -> CheckResult:
    """Check the SSH agent: relay cannot ask for the passphrase of a key."""
    name, fix = "ssh agent", 'eval "$(ssh-agent)" && ssh-add'
    result_type = warning if needed else absent
    if not host.variable("SSH_AUTH_SOCK"):
        return result_type(name, "Not running ($SSH_AUTH_SOCK is not set): keys with a passphrase cannot be used", fix)
    if not host.find("ssh-add"):
        return result_type(
            name, "There is no ssh-add in $PATH, which queries it", "sudo apt-get install openssh-client"
        )
    result = host.run(("ssh-add", "-l"), task)
    if result.code == 0:
        count = len(result.out.splitlines())  # not the keys' names: their comments may be private
        return ok(name, f"Running, with {count} key{'' if count == 1 else 's'}")
    if result.code == 1:
        return result_type(name, "Running, without keys", "ssh-add")
    return warning(name, "No agent answers at $SSH_AUTH_SOCK", fix)


def check_bubblewrap(host: Host, task: TaskContext) -> CheckResult:
    """Check bubblewrap by running a sandbox like a session's: many machines have it and forbid what it needs."""
    name = "bubblewrap"
    if not host.find("bwrap"):
        found = "Not installed: sessions without an engine are not isolated from your files"
        return absent(name, found, "sudo apt-get install bubblewrap")
    isolation = host.isolation(task)
    if not isolation.works:
        return warning(name, isolation.words, _sandbox_fix(isolation.words))
    found = "Isolation works: own process ids, read-only file system, hidden secrets and sockets"
    return warning(name, f"{found}; {isolation.gap}", "uname -r") if isolation.gap else ok(name, found)


def _sandbox_fix(reason: str) -> str:
    if "namespace" in reason or "uid map" in reason or "Permission denied" in reason:
        return NAMESPACES
    return "bwrap --ro-bind / / true   # prints the reason"


def check_remote(host: Host, task: TaskContext, project: str, url: str) -> CheckResult:
    """Check that a project's remote answers with the credentials of this machine."""
    name = f"remote {project}"
    try:
        host.remote(url, task)
    except CancelledError:
        raise
    except RelayError as error:
        lines = [line for line in error.detail.splitlines() if line.strip()]
        reason = f": {lines[0].strip()}" if lines else ""
        return broken(name, f"{error.title}{reason}", error.hint or f"git ls-remote {url}")
    return ok(name, f"{url} answers")


def _error_line(result: CommandResult) -> str:
    """Return the first line of the output of a command that failed."""
    lines = [line.strip() for line in (result.err or result.out).splitlines() if line.strip()]
    return lines[0] if lines else f"exit code {result.code}"


_MIN_SIZE = (80, 24)


def check_confinement(name: str) -> CheckResult:
    """Check the sandbox around git on the host, which reads files that sessions wrote."""
    if name.startswith("none"):
        found = "None: only relay's own checks protect git on the host when it reads clones"
        return warning("confinement", found, "sudo apt-get install bubblewrap")
    return ok("confinement", f"git on the host reads clones inside {name}")


def check_terminal(info: TerminalInfo) -> CheckResult:
    """Check the size and the colours of the terminal."""
    if not info.columns:
        return absent("terminal", "Not a terminal: relay's screen needs one")
    colours = {0: "no colours", 1 << 24: "true colour"}.get(info.colours, f"{info.colours} colours")
    found = f"{info.columns}x{info.lines}, {colours}, TERM={info.name or '(not set)'}"
    if info.columns < _MIN_SIZE[0] or info.lines < _MIN_SIZE[1]:
        return warning("terminal", f"{found}: too small to show all panes side by side", "Enlarge it to 80x24 or more")
    if info.colours == 0:
        fix = "export TERM=xterm-256color" if info.name in {"", "dumb"} else "unset NO_COLOR"
        return warning("terminal", f"{found}: states show as signs and words only", fix)
    return ok("terminal", found)


def check_locale(info: TerminalInfo) -> CheckResult:
    """Check that the locale is UTF-8."""
    named = info.locale or "no $LANG"
    if info.utf8:
        return ok("locale", f"UTF-8 ({named})")
    variable = info.locale.partition("=")[0] or "LANG"  # the variable that overrides the others
    return warning("locale", f"Not UTF-8 ({named}): relay draws in ASCII", f"export {variable}=C.UTF-8")
