"""Metadata read from an image's files: accounts, idle programs, homes. Cached by the image's id."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.images import Image
from relay_tui.adapters.docker.users import Accounts

log = logging.getLogger(__name__)

_FORMAT = 1
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELLS = ("/bin/sh", "/usr/bin/sh", "/busybox/sh")
_FOREVER = "2147483647"
_TEXT_LIMIT = 1024 * 1024
_GO_SYMLINK, _GO_DIRECTORY = 1 << 27, 1 << 31
_IDLE_SCRIPT = "while read -r _; do :; done; exec tail -f /dev/null"


@dataclass(frozen=True, slots=True)
class Home:
    """A home directory in an image. `path` has its last link followed; `mode` is None when it is not there."""

    path: str
    mode: int | None
    missing: tuple[str, ...]
    """Directories above it that are not there either, the topmost first."""
    git_config: str


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """Metadata from an image's files."""

    accounts: Accounts
    idle: tuple[str, ...]
    """A command that does nothing for ever; () when the image has neither sleep nor a shell."""
    has_etc: bool
    has_profile_d: bool
    homes: Mapping[str, Home] = field(default_factory=dict)


class ImageMetadataCache:
    """Facts by image id, one JSON file each. What cannot be read or written is merely found out again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "images"

    def _file(self, image: Image) -> Path:
        return self._directory / f"{image.id.rpartition(':')[2]}.json"

    def get(self, image: Image) -> ImageMetadata | None:
        """Return the cached metadata of the image, or None."""
        try:
            kept = json.loads(self._file(image).read_text())
            if kept.pop("format") != _FORMAT:
                return None
            homes = {path: Home(**{**home, "missing": tuple(home["missing"])}) for path, home in kept["homes"].items()}
            kept |= {"accounts": Accounts(**kept["accounts"]), "idle": tuple(kept["idle"]), "homes": homes}
            return ImageMetadata(**kept)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def put(self, image: Image, facts: ImageMetadata) -> None:
        """Keep it for the next time."""
        file = self._file(image)
        scratch = file.with_suffix(f".{os.getpid()}.tmp")
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch.write_text(json.dumps({"format": _FORMAT, **asdict(facts)}))
            scratch.replace(file)
        except OSError as error:
            log.warning("what was learnt about %s cannot be kept: %s", image.id, error)


class ContainerFiles:
    """Reads files of a container that need not run."""

    def __init__(self, engine: EngineClient, container_id: str) -> None:
        self._engine = engine
        self._id = container_id

    def facts(self, image: Image) -> ImageMetadata:
        """Everything but homes."""
        accounts = Accounts(self.text("/etc/passwd"), self.text("/etc/group"), self.text("/etc/shells"))
        return ImageMetadata(
            accounts, self._idle(image), self._stat("/etc") is not None, self._stat("/etc/profile.d") is not None
        )

    def with_home(self, facts: ImageMetadata, path: str) -> ImageMetadata:
        """The facts with what there is to know of one more home."""
        above = [str(parent) for parent in PurePosixPath(path).parents][-2::-1]
        missing = tuple(parent for parent in above if self._stat(parent) is None)
        stat = self._stat(path) if not missing else None
        real = stat["linkTarget"] or path if stat else path
        target = self._stat(real) if stat else None
        mode = int(target["mode"]) & 0o777 if target and target["mode"] & _GO_DIRECTORY else None
        git_config = self.text(f"{real}/.gitconfig") if mode is not None else ""
        return replace(facts, homes={**facts.homes, path: Home(real, mode, missing, git_config)})

    def text(self, path: str) -> str:
        """A file's text, links followed; '' when there is none, or one too large to be what it should be."""
        stat = self._stat(path)
        if stat is None or stat["size"] > _TEXT_LIMIT:
            return ""
        with self._engine.client(f"{path} of the image cannot be read") as client:
            pieces, _ = client.get_archive(self._id, stat["linkTarget"] or path)
            archive = io.BytesIO(b"".join(pieces))
        with suppress(tarfile.TarError), tarfile.open(fileobj=archive) as tar:
            for member in tar:
                if member.isreg() and (content := tar.extractfile(member)) is not None:
                    return content.read().decode(errors="surrogateescape")
        return ""

    def _idle(self, image: Image) -> tuple[str, ...]:
        directories = image.env.get("PATH", _PATH).split(":") + _PATH.split(":")
        candidates = dict.fromkeys(f"{directory}/sleep" for directory in directories if directory.startswith("/"))
        if sleep := self._first(candidates, self._is_program):
            return (sleep, _FOREVER)
        if shell := self._first(_SHELLS, self._is_program):
            return (shell, "-c", _IDLE_SCRIPT)
        return ()

    @staticmethod
    def _first(paths: Mapping[str, None] | tuple[str, ...], test: Callable[[str], bool]) -> str:
        return next((path for path in paths if test(path)), "")

    def _is_program(self, path: str) -> bool:
        stat = self._stat(path)
        if stat is not None and stat["mode"] & _GO_SYMLINK:
            stat = self._stat(stat["linkTarget"])
        return stat is not None and not stat["mode"] & _GO_DIRECTORY and bool(stat["mode"] & 0o111)

    def _stat(self, path: str) -> dict[str, Any] | None:
        """The engine's stat of a path (Go's mode bits), None when there is no such file."""
        with self._engine.client(f"{path} of the image cannot be read") as client:
            url = f"{client.base_url}/v{client.api_version}/containers/{self._id}/archive"
            answer = client.head(url, params={"path": path}, timeout=client.timeout)
        header = answer.headers.get("X-Docker-Container-Path-Stat", "")
        if answer.status_code >= 400 or not header:
            return None
        stat: dict[str, Any] = json.loads(base64.b64decode(header))
        return stat
