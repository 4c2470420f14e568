"""Attempts of a hostile session command, run inside the session: each result records whether the attempt succeeded.

Given a JSON file with the paths of all targets; writes {attempt: "" or what it got} beside itself.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

WORLD = json.loads(Path(sys.argv[1]).read_text())
TOKEN = WORLD["token"].encode()
KEYCTL = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine)


def reading(path: str) -> Callable[[], object]:
    def attempt() -> object:
        return Path(path).read_bytes()[:100] if TOKEN in Path(path).read_bytes() else ""

    return attempt


def writing(path: str) -> Callable[[], object]:
    """Return an attempt to open a file for writing. Files of the machine itself are opened but not changed.

    A leaking sandbox must not damage the machine's settings.
    """
    ours = path.startswith(WORLD["root"])

    def attempt() -> object:
        flags = os.O_WRONLY | os.O_APPEND | (0 if path.startswith(("/proc/", "/sys/")) else os.O_CREAT)
        file = os.open(path, flags, 0o644)
        os.write(file, b"hostile" if ours else b"")
        return path

    return attempt


def listing(path: str, *known: str) -> Callable[[], object]:
    return lambda: [name for name in os.listdir(path) if name in known]  # noqa: PTH208


def running(*command: str) -> Callable[[], object]:
    """Return an attempt that runs a command. It succeeds if the command exits with status 0."""

    def attempt() -> object:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, start_new_session=True, check=False
        )
        return (done.stdout or b"done") if done.returncode == 0 else ""

    return attempt


def environments() -> object:
    """Anybody's environment, memory, directory or open file that holds the token."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                if TOKEN in (process / name).read_bytes():
                    found.append(str(process / name))
            except OSError:
                continue
        for inside in (f"root{WORLD['secrets'][0]}", f"cwd/{Path(WORLD['sibling']).name}"):
            try:
                if TOKEN in (process / inside).read_bytes():
                    found.append(str(process / inside))
            except OSError:
                continue
    return found


def descriptors() -> object:
    """Find open file descriptors that do not belong to the session's command."""
    found = []
    for number in range(256):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except OSError:
            continue
        ours = ("pipe:", "socket:", "/dev/null", "/dev/pts/", WORLD["clone"], "anon_inode:", "/proc/")
        if not target.startswith(ours):
            found.append(target)
    return found


def symlinked() -> object:
    link = Path(WORLD["clone"], "link")
    link.unlink(missing_ok=True)
    link.symlink_to(WORLD["canary"])
    with link.open("ab") as file:
        file.write(b"hostile")
    return "written through a link"


def hard_linked() -> object:
    link = Path(WORLD["clone"], "hard")
    os.link(WORLD["canary"], link)
    link.write_bytes(b"hostile")
    return "written through a hard link"


def connecting(path: str) -> Callable[[], object]:
    def attempt() -> object:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
        return path

    return attempt


def sending(path: str) -> Callable[[], object]:
    def attempt() -> object:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(b"hostile", path)
        return path

    return attempt


def keyring() -> object:
    """Read a key from the session keyring of the parent process, by its name and by its number."""
    if KEYCTL is None:
        return ""
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(KEYCTL, 10, -3, b"user", b"relay-hostile", 0)
    kept = ctypes.create_string_buffer(100)
    if found > 0 and libc.syscall(KEYCTL, 11, found, kept, 100) > 0:
        return kept.value
    return kept.value if libc.syscall(KEYCTL, 11, WORLD["key"], kept, 100) > 0 else ""


def launchers() -> object:
    """Take the channel of the launcher. The launcher would obey its messages and trust them."""
    libc = ctypes.CDLL(None, use_errno=True)
    taken = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid() or b"launch" not in (process / "cmdline").read_bytes():
            continue
        line = libc.syscall(434, int(process.name), 0)
        if libc.syscall(438, line, 3, 0) >= 0 or not libc.ptrace(16, int(process.name), 0, 0):
            taken.append(process.name)
    return taken


def over_network() -> object:
    with socket.create_connection(("127.0.0.1", WORLD["port"]), 3):
        return "connected"


def killing() -> object:
    """The test that runs us, by its pid and by everybody's."""
    os.kill(WORLD["pid"], signal.SIGURG)
    return "signalled"


def tracing() -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    return "" if libc.ptrace(16, WORLD["pid"], 0, 0) else "attached"


def typing() -> object:
    """Type into a terminal that belongs to another process."""
    typed = []
    for path in [*Path("/dev/pts").glob("[0-9]*"), Path("/dev/console"), Path("/dev/tty1")]:
        try:
            if str(path) != os.ttyname(0):
                fcntl.ioctl(os.open(path, os.O_RDWR | os.O_NOCTTY), termios.TIOCSTI, b"x")
                typed.append(str(path))
        except OSError:
            continue
    return typed


def mounting() -> object:
    """Everything writable again, by the system call."""
    libc = ctypes.CDLL(None, use_errno=True)
    remount_bind = 32 | 4096
    return "" if libc.mount(b"none", b"/", b"", remount_bind, None) else "remounted"


def unmounting() -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    return [path for path in (WORLD["home"], WORLD["data"], "/run", "/tmp") if not libc.umount2(path.encode(), 2)]


def new_namespace() -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000 | 0x00020000):
        return ""
    return "became root of its own" if not libc.umount2(WORLD["home"].encode(), 2) else ""


def a_device() -> object:
    path = Path(WORLD["clone"], "device")
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 1))
    return "made the machine's memory a file" if path.open("rb") else ""


def a_way_out() -> object:
    """The classic: a directory kept open across chroot."""
    outside = os.open("/", os.O_RDONLY)
    os.mkdir(Path(WORLD["clone"], "jail"))  # noqa: PTH102
    os.chroot(Path(WORLD["clone"], "jail"))
    os.fchdir(outside)
    return "changed its root"


def mounting_anew() -> object:
    """By the system calls that came later: a tree of its own, a file system of its own, the old one writable."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = ctypes.create_string_buffer((1).to_bytes(8, sys.byteorder).rjust(16, b"\0"), 32)  # clear: read-only
    tree, fresh = libc.syscall(428, -100, b"/", 1), libc.syscall(430, b"tmpfs", 0)
    return max(tree, fresh) >= 0 or not libc.syscall(442, -100, b"/", 0, attributes, 32)


def overhearing() -> object:
    return [s.fileno() for s in (socket.socket(socket.AF_PACKET, socket.SOCK_RAW),)]


def memory() -> object:
    """Of the first process of its sandbox, and of the launcher."""
    opened = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and b"hostile" not in (process / "cmdline").read_bytes():
            try:
                os.close(os.open(process / "mem", os.O_RDWR))
            except OSError:
                continue
            opened.append(str(process))
    return opened


def renaming() -> object:
    socket.sethostname("hostile")
    return "renamed"


def setuid() -> object:
    os.setuid(0 if os.getuid() else 1)
    return Path("/etc/shadow").read_bytes()


ATTEMPTS: dict[str, Callable[[], object]] = {
    **{f"read {path}": reading(path) for path in WORLD["secrets"]},
    **{f"read {path} through /proc/self/root": reading(f"/proc/self/root{path}") for path in WORLD["secrets"][:1]},
    **{f"run {path}": running(path) for path in WORLD["tools"]},
    "read another session's clone": reading(WORLD["sibling"]),
    "read another session's log and home": listing(WORLD["processes"], "s2"),
    "read the store": reading(WORLD["store"]),
    "read the base clone": reading(WORLD["base"]),
    "list the home": listing(WORLD["home"], ".ssh", ".netrc", ".aws"),
    "find the token in any process": environments,
    "use descriptors that were left open": descriptors,
    **{f"write {path}": writing(path) for path in WORLD["targets"]},
    "write through a symlink in its clone": symlinked,
    "write through a hard link in its clone": hard_linked,
    **{f"connect to {path}": connecting(path) for path in WORLD["sockets"]},
    "connect to an abstract socket": connecting("\0" + WORLD["abstract"]),
    "send to an abstract socket": sending("\0" + WORLD["abstract"] + "-datagrams"),
    "reach a service of the machine": over_network,
    "read a key of who started it": keyring,
    "take the launcher's channel": launchers,
    "signal a process of the machine": killing,
    "trace a process of the machine": tracing,
    "type into a terminal": typing,
    "mount everything writable": mounting,
    "mount by later calls": mounting_anew,
    "rename the machine": renaming,
    "overhear the network": overhearing,
    "write into memory of what keeps it": memory,
    "mount with mount(8)": running("mount", "-o", "remount,rw,bind", "/"),
    "unmount what hides the rest": unmounting,
    "unmount it in a namespace of its own": new_namespace,
    "enter the first process's namespaces": running("nsenter", "-t", "1", "-m", "cat", WORLD["secrets"][0]),
    "make a device": a_device,
    "leave by chroot": a_way_out,
    "become another user": setuid,
    "become root by su": running("su", "-c", f"cat {WORLD['secrets'][0]}"),
}


def main() -> None:
    """Run each attempt in a child process and write the results."""
    got = {}
    harmless = [name for name in ATTEMPTS if name in WORLD["harmless"]]
    for name, attempt in ATTEMPTS.items():
        if harmless and name not in harmless:
            continue
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                result = attempt()
                os.write(write, repr(result)[:500].encode() if result else b"")
            except BaseException:
                os._exit(1)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as told:
            got[name] = told.read().decode()
        os.waitpid(child, 0)
    Path(WORLD["clone"], "got.json").write_text(json.dumps(got))
    Path(os.environ["HOME"], "mark").write_text("own home is writable")


main()
