"""bubblewrap around a session's processes: what they may see and write, and whether it works here at all.

The whole file system is there to be read, but for what is hidden: every home directory, relay's data dir, /run with its
sockets, /tmp. Of these only the session's own clone, home and tmp come back, writable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relay_tui import hidden
from relay_tui.adapters.process import launch

INSTALL = "Install it: sudo apt-get install bubblewrap."
_LAUNCHER = "/run/relay/launch.py"
_PROBE_SECONDS = 10.0
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


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Whether processes can be isolated here. `words` say with what, or why not; `hint` what would mend it."""

    works: bool
    words: str
    hint: str = ""
    program: str = ""
    newer: bool = False
    """Whether its version knows how to forbid further namespaces and to bound what memory /dev/shm takes."""


def probe() -> Sandbox:
    """Really run something in a sandbox like those of sessions: that it is installed says nothing."""
    program = shutil.which("bwrap")
    if program is None:
        return Sandbox(False, "bubblewrap is not installed", INSTALL)
    said = ""
    for newer in (True, False):
        found = Sandbox(True, _version(program), "", program, newer)
        command = (program, *_frame(found, network=False), "--tmpfs", "/tmp", "--", "/bin/true")
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Sandbox(False, f"bubblewrap does not run: {error}", "See whether it runs by hand: bwrap --version.")
        if done.returncode == 0:
            return found
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
    hint = (
        "The kernel may forbid user namespaces to ordinary users: sysctl kernel.apparmor_restrict_unprivileged_userns."
    )
    return Sandbox(False, f"bubblewrap does not work here: {said}", hint)


def _version(program: str) -> str:
    done = subprocess.run((program, "--version"), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.stdout.decode(errors="replace").strip() or "bubblewrap"


def _frame(sandbox: Sandbox, *, network: bool) -> list[str]:
    """Own namespaces, no capability, everything read-only, devices that are none of the machine's."""
    options = [*_NAMESPACES, *(() if network else ("--unshare-net",))]
    options += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", *(_NEWER if sandbox.newer else ())]
    for path in map(Path, _KERNEL_READ_ONLY):
        options += ["--ro-bind", str(path), str(path)] if _is_there(path) else []
    for path in map(Path, _KERNEL_HIDDEN):
        hide = ["--tmpfs", str(path), "--remount-ro", str(path)] if path.is_dir() else []
        options += ["--ro-bind", "/dev/null", str(path)] if path.is_file() else hide
    return [*options, "--remount-ro", "/dev"]


def wrap(
    sandbox: Sandbox,
    *,
    data_dir: Path,
    clone: Path,
    home: Path,
    tmp: Path,
    network: bool,
    readable: Sequence[Path] = (),
) -> list[str]:
    """The program of the sandbox, then its arguments; it starts the launcher, whose channel is at descriptor 3."""
    python = Path(sys.executable).resolve()
    prefix = Path(sys.base_prefix).resolve()
    places = _hidden(data_dir)
    shown = [path for path in (prefix, python) if _within(path, places)]
    command = [sandbox.program, *_frame(sandbox, network=network)]
    for place in places:
        command += ["--tmpfs", str(place)]
    for secret in _secret_files():
        command += ["--ro-bind", "/dev/null", str(secret)]
    for path in (*map(Path, _SHOWN_OF_RUN), *shown):
        if _is_there(path):
            command += ["--ro-bind", str(path), str(path)]
    if (resolver := Path("/etc/resolv.conf").resolve()).is_relative_to("/run") and _is_there(resolver):
        command += ["--ro-bind", str(resolver), str(resolver)]
    command += ["--bind", str(tmp), "/tmp", "--bind", str(tmp), "/var/tmp"]
    for path in readable:
        command += _show(path, places)
    for path in (clone, home):
        command += ["--bind", str(path), str(path)]
    command += ["--ro-bind", str(Path(launch.__file__).resolve()), _LAUNCHER]
    for place in places:
        if str(place) not in ("/tmp", "/var/tmp"):
            command += ["--remount-ro", str(place)]
    return [*command, "--chdir", "/", "--", str(python), "-I", "-S", _LAUNCHER]


def _within(path: Path, places: Sequence[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _show(path: Path, places: Sequence[Path]) -> Iterator[str]:
    """Options that show a hidden path read-only: where it really lies, and where a link says so; its secrets empty."""
    if not _is_there(path):
        return
    real = path.resolve()
    for seen in dict.fromkeys((real, path.parent.resolve() / path.name)):
        if _within(seen, places):
            yield from ("--ro-bind", str(real), str(seen))
            for secret in hidden.masked_in(path):
                yield from ("--ro-bind", "/dev/null", str(seen / secret.resolve().relative_to(real)))


def _hidden(data_dir: Path) -> list[Path]:
    """The real directories that an empty one takes the place of; outer ones first, none within another."""
    places = {Path(name) for name in hidden.ROOTS} | set(hidden.homes()) | {data_dir}
    places |= set(_directories_of_secrets())
    if os.getuid() == 0:
        places |= {Path(name) for name in hidden.DIRECTORIES_OF_ROOT}
    real = sorted({place.resolve() for place in places if _is_there(place) and place.is_dir()})
    return [place for place in real if not any(place != other and place.is_relative_to(other) for other in real)]


def _directories_of_secrets() -> list[Path]:
    return [path for path in hidden.named_secrets() if _is_there(path) and path.is_dir()]


def _secret_files() -> list[Path]:
    """Files of our user that hold secrets outside of what is hidden anyway; those of root if that is who we are."""
    files = [path for path in hidden.named_secrets() if _is_there(path) and not path.is_dir()]
    if os.getuid() == 0:
        files += [Path(name) for name in hidden.SECRETS_OF_ROOT]
        files += sorted(Path("/etc/ssh").glob("ssh_host_*_key"))
    places = [Path(name).resolve() for name in hidden.ROOTS]
    return [path for path in files if _is_there(path) and not _within(path, places)]


def _is_there(path: Path) -> bool:
    """Whether it is there for us: what is closed to us is closed to a session too."""
    try:
        return path.exists()
    except OSError:
        return False
