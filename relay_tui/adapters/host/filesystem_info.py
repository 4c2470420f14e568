"""Properties of a directory and its file system."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from relay_tui.adapters.filesystem.atomic import filesystem_error
from relay_tui.domain.errors import NotFoundError
from relay_tui.ports.host import FilesystemInfo

_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2"),
    *("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "fuse.cephfs", "virtiofs", "davfs"),
}
_TEST_DATA = b"relay was here" * 300


def filesystem_info(path: Path) -> FilesystemInfo:
    """Return information about a directory's file system. Raises FileSystemError, NotFoundError if it is missing."""
    try:
        stat, space = path.stat(), os.statvfs(path)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist", hint="relay creates it at the first start.") from error
    except OSError as error:
        raise filesystem_error(error, f"Cannot inspect {path}", path) from error
    kind = _kind(path)
    return FilesystemInfo(
        mode=stat.st_mode & 0o7777,
        mine=stat.st_uid == os.getuid(),
        total=space.f_blocks * space.f_frsize,
        free=space.f_bavail * space.f_frsize,
        kind=kind,
        network=kind in _NETWORK,
    )


def check_writable(directory: Path) -> None:
    """Write, sync, lock and remove a small file there. Raises FileSystemError."""
    path = directory / f".relay-doctor-{os.getpid()}"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            path.unlink()
            if os.write(descriptor, _TEST_DATA) < len(_TEST_DATA):
                os.write(descriptor, _TEST_DATA)  # the rest did not fit: this call raises the reason
            os.fsync(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise filesystem_error(error, f"Cannot write to {directory}", path) from error


def _kind(path: Path) -> str:
    """Return the type of the file system at `path`, or 'an unknown file system'."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return "an unknown file system"
    real, mount, kind = path.resolve(), Path(), "an unknown file system"
    for line in lines:
        before, _, after = line.partition(b" - ")
        point = Path(before.split()[4].decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape"))
        if real.is_relative_to(point) and len(point.parts) >= len(mount.parts):  # the last mount is on top
            mount, kind = point, after.split()[0].decode(errors="replace")
    return kind
