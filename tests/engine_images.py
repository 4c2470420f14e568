"""Images for the engine's tests, made from this machine's own programs: no registry is asked for anything."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors

BUSYBOX = Path("/bin/busybox")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\ndaemon:x:1:\n"


@dataclass(frozen=True)
class Image:
    """Content of an image: programs of the host, busybox under other names, text files, and its configuration."""

    applets: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    host: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    busybox_as: tuple[str, ...] = ()


def _applets() -> tuple[str, ...]:
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    return tuple(listed.stdout.split())


def _libraries(program: Path) -> set[Path]:
    """The shared libraries and the loader a program needs, by the names it asks for."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return {Path(word) for line in listed.stdout.splitlines() for word in line.split() if word.startswith("/")}


def _host_files(programs: Iterable[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for name in programs:
        program = Path(name)
        for path in (program, *_libraries(program)):
            files[str(path)] = path.resolve()
    return files


def _archive(image: Image) -> bytes:
    """The image's file system as a tar, the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name: str, data: bytes, mode: int = 0o755) -> None:
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))

        for directory, mode in (("tmp", 0o1777), ("root", 0o700), ("etc", 0o755), ("bin", 0o755), ("home", 0o755)):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        if image.applets:
            add("bin/busybox", BUSYBOX.read_bytes())
        for name in image.busybox_as:
            add(name, BUSYBOX.read_bytes())
        for applet in image.applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            if applet != "busybox":
                tar.addfile(link)
        for name, path in sorted(_host_files(image.host).items()):
            add(name, path.read_bytes())
        for name, text in image.texts.items():
            add(name, text.encode(), 0o644)
    return buffer.getvalue()


def _catalogue() -> dict[str, Image]:
    applets = _applets()
    base = {"etc/passwd": _PASSWD, "etc/group": _GROUP}
    path = (f"ENV PATH={PATH}",)
    return {
        "busybox": Image(applets, base, changes=(*path, 'CMD ["sh"]')),
        "false": Image(applets, base, changes=(*path, 'ENTRYPOINT ["/bin/false"]', "ENV COLOUR=blue", "ENV LANG=C")),
        "sleep-only": Image(busybox_as=("bin/sleep",)),
        "shell-only": Image(busybox_as=("bin/sh", "bin/tail")),
        "nothing": Image(texts={"hello": "hello\n"}),
        "own-user": Image(
            applets,
            {
                **base,
                "etc/passwd": _PASSWD + "app:x:1234:1234:App:/home/app:/bin/ash\n",
                "etc/shells": "/bin/sh\n/bin/ash\n",
                "home/app/.gitconfig": "[user]\n\tname = Theirs\n[alias]\n\tst = status\n",
            },
            changes=(*path, "USER 1234", "ENV HOME=/home/app"),
        ),
        "profile-path": Image(
            applets,
            {
                **base,
                "etc/profile": f"PATH={PATH}\nfor f in /etc/profile.d/*.sh; do [ -r $f ] && . $f; done\n",
                "etc/profile.d/empty.sh": "",
                "opt/tool/bin/README": "",
            },
            changes=(f"ENV PATH=/opt/tool/bin:{PATH}",),
        ),
        "git": Image(
            tuple(applet for applet in applets if applet not in ("bash", "git")),
            {**base, "etc/shells": "/bin/sh\n/bin/bash\n/usr/bin/bash\n"},
            host=("/usr/bin/git", "/bin/bash"),
            changes=path,
        ),
    }


def build(client: docker.DockerClient, *names: str) -> None:
    """Make the images `relay-test/<name>:latest` that the engine does not have yet, or has from an older recipe."""
    catalogue = _catalogue()
    for name in names or catalogue:
        image = catalogue[name]
        reference = f"relay-test/{name}"
        archive = _archive(image)
        recipe = hashlib.sha256(archive + "\n".join(image.changes).encode()).hexdigest()[:16]
        try:
            if client.images.get(reference).labels.get("relay-test.recipe") == recipe:
                continue
        except docker.errors.ImageNotFound:
            pass
        client.api.import_image_from_data(
            archive, repository=reference, tag="latest", changes=[*image.changes, f"LABEL relay-test.recipe={recipe}"]
        )
