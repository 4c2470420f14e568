"""Metadata from an image's files: accounts, idle command, homes. Cached by the image's id."""

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
    """Home directory in an image. `path` has its last link resolved; `mode` is None if the directory does not exist."""

    path: str
    mode: int | None
    missing: tuple[str, ...]
    """Parent directories that do not exist either, topmost first."""
    git_config: str


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """Metadata from an image's files."""

    accounts: Accounts
    idle: tuple[str, ...]
    """Command that waits for ever; () if the image has neither sleep nor a shell."""
    has_etc: bool
    has_profile_d: bool
    homes: Mapping[str, Home] = field(default_factory=dict)


class ImageMetadataCache:
    """Metadata by image id, one JSON file for each image. If a file cannot be used, the image is read again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "images"

    def _file(self, image: Image) -> Path:
        return self._directory / f"{image.id.rpartition(':')[2]}.json"

    def get(self, image: Image) -> ImageMetadata | None:
        """Return the cached metadata of the image, or None."""
        try:
            record = json.loads(self._file(image).read_text())
            if record.pop("format") != _FORMAT:
                return None
            homes = {
                path: Home(**{**home, "missing": tuple(home["missing"])}) for path, home in record["homes"].items()
            }
            record |= {"accounts": Accounts(**record["accounts"]), "idle": tuple(record["idle"]), "homes": homes}
            return ImageMetadata(**record)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def put(self, image: Image, metadata: ImageMetadata) -> None:
        """Write the metadata to the cache. An error is only logged."""
        file = self._file(image)
        scratch = file.with_suffix(f".{os.getpid()}.tmp")
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch.write_text(json.dumps({"format": _FORMAT, **asdict(metadata)}))
            scratch.replace(file)
        except OSError as error:
            log.warning("cannot cache the metadata of %s: %s", image.id, error)


class ContainerFiles:
    """Reader for files of a container, which does not have to run."""

    def __init__(self, engine: EngineClient, container_id: str) -> None:
        self._engine = engine
        self._id = container_id

    def metadata(self, image: Image) -> ImageMetadata:
        """Return the metadata without homes."""
        accounts = Accounts(self.text("/etc/passwd"), self.text("/etc/group"), self.text("/etc/shells"))
        return ImageMetadata(
            accounts, self._idle(image), self._stat("/etc") is not None, self._stat("/etc/profile.d") is not None
        )

    def with_home(self, metadata: ImageMetadata, path: str) -> ImageMetadata:
        """Return the metadata with one more home."""
        above = [str(parent) for parent in PurePosixPath(path).parents][-2::-1]
        missing = tuple(parent for parent in above if self._stat(parent) is None)
        stat = self._stat(path) if not missing else None
        real = stat["linkTarget"] or path if stat else path
        target = self._stat(real) if stat else None
        mode = int(target["mode"]) & 0o777 if target and target["mode"] & _GO_DIRECTORY else None
        git_config = self.text(f"{real}/.gitconfig") if mode is not None else ""
        return replace(metadata, homes={**metadata.homes, path: Home(real, mode, missing, git_config)})

    def text(self, path: str) -> str:
        """Return a file's text, links resolved; '' if it does not exist or is implausibly large."""
        stat = self._stat(path)
        if stat is None or stat["size"] > _TEXT_LIMIT:
            return ""
        with self._engine.client(f"Cannot read {path} of the image") as client:
            chunks, _ = client.get_archive(self._id, stat["linkTarget"] or path)
            archive = io.BytesIO(b"".join(chunks))
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
        """Return the engine's stat of a path, with Go's mode bits; None if the path does not exist."""
        with self._engine.client(f"Cannot read {path} of the image") as client:
            url = f"{client.base_url}/v{client.api_version}/containers/{self._id}/archive"
            response = client.head(url, params={"path": path}, timeout=client.timeout)
        header = response.headers.get("X-Docker-Container-Path-Stat", "")
        if response.status_code >= 400 or not header:
            return None
        stat: dict[str, Any] = json.loads(base64.b64decode(header))
        return stat
