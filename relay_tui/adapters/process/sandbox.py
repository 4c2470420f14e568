"""Sandbox of process sessions with bubblewrap: visible and writable paths, and a probe whether it works here.

The file system is readable except for hidden paths: every home directory, relay's data directory, /run with its
sockets, /tmp, and the paths of hidden_paths. The session's own clone, home and /tmp are visible and writable.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relay_tui import sandbox_policy
from relay_tui.adapters.linux import landlock
from relay_tui.adapters.process import hidden_paths
from relay_tui.adapters.process.hidden_paths import HiddenPaths, is_there
from relay_tui.adapters.process.supervisor import launcher as launcher_module
from relay_tui.ports.host import CommandResult

INSTALL = "Install it: sudo apt-get install bubblewrap."
_SHOWN_OF_RELAY = "/run/relay"
TRIES = 3
"""How often a start is tried when something that was to be closed vanished meanwhile."""
_PROBE_SECONDS = 10.0
_GAP = 'abstract unix sockets of this machine stay in reach, but for profiles with network = "none": the kernel has \
no Landlock, or none that scopes them (Linux 6.12 has)'
_SHOWN_OF_RUN = ("/run/current-system", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf")
"""Parts of /run that programs need to be found and names to be resolved."""
_KERNEL_READ_ONLY = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
"""What of the kernel root could change by merely owning its files: as containers have it."""
_KERNEL_HIDDEN = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware")
_NAMESPACES = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
)
_NEWER = ("--disable-userns", "--size", str(64 << 20), "--tmpfs", "/dev/shm")
"""What only newer versions know, to come behind --dev."""


Run = Callable[[Sequence[str]], CommandResult]
"""Runs a command to its end. Raises OSError, subprocess.TimeoutExpired."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Isolation available on this machine. `words`: the method, or the reason for its absence; `hint`: the fix."""

    works: bool
    words: str
    hint: str = ""
    program: str = ""
    gap: str = ""
    """What of the machine stays in reach in it, because the kernel is too old."""
    newer: bool = False
    """Whether its version knows how to forbid further namespaces and to bound what memory /dev/shm takes."""


def _run(command: Sequence[str]) -> CommandResult:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False, text=True,
        errors="replace",
    )  # fmt: skip
    return CommandResult(done.returncode, done.stdout, done.stderr)


def probe(data_dir: Path, run: Run = _run) -> Sandbox:
    """Probe the sandbox by running a program in it. An installed bubblewrap may not work."""
    program = shutil.which("bwrap")
    if program is None:
        return Sandbox(False, "bubblewrap is not installed", INSTALL)
    said = ""
    for newer in (True, False):
        try:
            found = Sandbox(True, _version(program, run), program=program, newer=newer)
            done = _prove(found, data_dir, run)
        except (OSError, subprocess.TimeoutExpired) as error:
            return Sandbox(False, f"bubblewrap does not run: {error}", "See whether it runs by hand: bwrap --version.")
        if done.code == 0 and done.out.startswith(launcher_module.HELD):
            return found if launcher_module.SCOPED in done.out else replace(found, gap=_GAP)
        said = done.err.strip() or f"exit code {done.code}"
    hint = (
        "The kernel may forbid user namespaces to ordinary users: sysctl kernel.apparmor_restrict_unprivileged_userns."
    )
    return Sandbox(False, f"bubblewrap does not work here: {said}", hint)


def _prove(sandbox: Sandbox, data_dir: Path, run: Run) -> CommandResult:
    """Run only the launcher in a sandbox with all hidden paths."""
    with tempfile.TemporaryDirectory(prefix="relay-") as scratch:
        own = Path(scratch).resolve()
        for left in reversed(range(TRIES)):
            found = hidden_paths.find_hidden_paths(data_dir, (own,))
            command = wrap(sandbox, found, clone=own, home=own, tmp=own, network=False)
            done = run((*command, launcher_module.PROVE))
            if not done.code or not left or found.is_there():
                break
        return done


def _version(program: str, run: Run) -> str:
    return run((program, "--version")).out.strip() or "bubblewrap"


def _frame(sandbox: Sandbox, *, network: bool) -> list[str]:
    """Return options for own namespaces, no capabilities, a read-only file system and minimal devices."""
    options = [*_NAMESPACES, *(() if network else ("--unshare-net",))]
    options += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", *(_NEWER if sandbox.newer else ())]
    for path in map(Path, _KERNEL_READ_ONLY):
        options += ["--ro-bind", str(path), str(path)] if is_there(path) else []
    for path in map(Path, _KERNEL_HIDDEN):
        hide = ["--tmpfs", str(path), "--remount-ro", str(path)] if path.is_dir() else []
        options += ["--ro-bind", "/dev/null", str(path)] if path.is_file() else hide
    return [*options, "--remount-ro", "/dev"]


def wrap(
    sandbox: Sandbox,
    closed: HiddenPaths,
    *,
    clone: Path,
    home: Path,
    tmp: Path,
    network: bool,
    readable: Sequence[Path] = (),
) -> list[str]:
    """Return the sandbox's program and arguments. It starts the launcher with its channel at descriptor 3."""
    python = Path(sys.executable).resolve()
    prefix = Path(sys.base_prefix).resolve()
    shown = [path for path in (prefix, python) if closed.holds(path)]
    command = [sandbox.program, *_frame(sandbox, network=network)]
    for path in closed.directories:
        command += ["--tmpfs", str(path)]
    for file in closed.files:
        command += ["--ro-bind", "/dev/null", str(file)]
    for path in (*map(Path, _SHOWN_OF_RUN), *shown):
        if is_there(path):
            command += ["--ro-bind", str(path), str(path)]
            for socket in (inner for inner in path.glob("*") if inner.is_socket()):
                command += ["--ro-bind", "/dev/null", str(socket)]
    if (resolver := Path("/etc/resolv.conf").resolve()).is_relative_to("/run") and is_there(resolver):
        command += ["--ro-bind", str(resolver), str(resolver)]
    command += ["--bind", str(tmp), "/tmp", "--bind", str(tmp), "/var/tmp"]
    for path in readable:
        command += _show(path, closed)
    for path in (clone, home):
        command += ["--bind", str(path), str(path)]
    for module in (launcher_module, landlock):
        source = Path(str(module.__file__)).resolve()
        command += ["--ro-bind", str(source), f"{_SHOWN_OF_RELAY}/{source.name}"]
    for path in closed.directories:
        if str(path) not in ("/tmp", "/var/tmp"):
            command += ["--remount-ro", str(path)]
    launcher = f"{_SHOWN_OF_RELAY}/{Path(launcher_module.__file__).name}"
    return [*command, "--chdir", "/", "--", str(python), "-I", "-S", launcher]


def _show(path: Path, closed: HiddenPaths) -> Iterator[str]:
    """Yield options that show a hidden path read-only, at its real path and at its link, with empty secret files."""
    if not is_there(path):
        return
    real = path.resolve()
    for seen in dict.fromkeys((real, path.parent.resolve() / path.name)):
        if closed.holds(seen) or seen in closed.files:
            yield from ("--ro-bind", str(real), str(seen))
            for secret in sandbox_policy.files_to_mask(path):
                yield from ("--ro-bind", "/dev/null", str(seen / secret.resolve().relative_to(real)))
