"""Create a container from its specification. The container is not started."""

from __future__ import annotations

import io
import logging
import re
import secrets
import tarfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay_tui.adapters.docker import images, users
from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.image_metadata import ContainerFiles, Home, ImageMetadata, ImageMetadataCache
from relay_tui.adapters.docker.images import Image
from relay_tui.adapters.docker.users import ContainerUser
from relay_tui.domain import models
from relay_tui.domain.errors import EngineError, NotFoundError
from relay_tui.ports import ContainerSpec
from relay_tui.ports.task import TaskContext

log = logging.getLogger(__name__)

DATA_DIR, PROJECT, SESSION = "relay.data-dir", "relay.project", "relay.session"
IDLE, USER = "relay.idle", "relay.user"
WORKSPACE = "/workspace"
_REMOVAL_SECONDS = 60.0
_NOT_CREATED = "Cannot create the container"
_BAD_HOST_CHARACTERS = re.compile(r"[^A-Za-z0-9-]+")
_UTF8 = re.compile(r"utf-?8$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContainerBuilder:
    """Builder of the containers of one data directory."""

    engine: EngineClient
    data_dir: Path
    cache: ImageMetadataCache

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """Implement Runtime.create()."""
        image = images.ensure_image(self.engine, spec.image, task)
        task.raise_if_cancelled()
        labels = {DATA_DIR: str(self.data_dir), **spec.labels}
        self._remove_previous(labels)
        task.report("Creating container")
        metadata, user = self._prepare(spec, image, labels)
        if not spec.command and not metadata.idle:
            raise EngineError(
                "Cannot keep the container running",
                f"{spec.image} has neither a shell nor the program sleep.",
                "Set a command in the profile.",
            )
        config = _config(spec, image, metadata, user, labels)
        if spec.user == "host":
            config["User"] = f"{user.uid}:{user.gid}"
        elif spec.user != "image":
            config["User"] = spec.user
        container_id = self._create(spec.name, config)
        try:
            task.raise_if_cancelled()
            with self.engine.client(_NOT_CREATED) as client:
                client.put_archive(container_id, "/", _files(spec, image, metadata, user))
        except BaseException:
            self.remove(container_id)
            raise
        return container_id

    def remove(self, container_id: str) -> None:
        """Remove a container, running or not. If another removal of it is in progress, wait for that one."""
        from docker.errors import APIError, NotFound

        title = "Cannot remove the container"
        with self.engine.client(title) as client:
            try:
                client.remove_container(container_id, v=True, force=True)
                return
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409 or "already in progress" not in str(error.explanation):
                    raise
        params = {"condition": "removed"}
        path = f"/containers/{container_id}/wait"
        with suppress(NotFoundError), self.engine.stream(title, "POST", path, params=params) as response:
            response.socket.settimeout(_REMOVAL_SECONDS)
            with self.engine.translated(title):
                response.recv()

    def _remove_previous(self, labels: Mapping[str, str]) -> None:
        """Remove containers of the same session, such as those of an interrupted start."""
        if SESSION not in labels:
            return
        wanted = [f"{key}={labels[key]}" for key in (DATA_DIR, SESSION)]
        with self.engine.client(_NOT_CREATED) as client:
            previous = [found["Id"] for found in client.containers(all=True, filters={"label": wanted})]
        for container_id in previous:
            self.remove(container_id)

    def _prepare(
        self, spec: ContainerSpec, image: Image, labels: Mapping[str, str]
    ) -> tuple[ImageMetadata, ContainerUser]:
        """Return the image's metadata and the container's user.

        Metadata that is not cached is read through a temporary container that is never started.
        """
        metadata = self.cache.get(image)
        if metadata is not None:
            user = self._resolve_user(spec, image, metadata)
            if user.home in metadata.homes:
                return metadata, user
        scratch = self._create(
            spec.name, {"Image": image.id, "Entrypoint": ["/relay"], "Labels": dict(labels), "NetworkDisabled": True}
        )
        try:
            reader = ContainerFiles(self.engine, scratch)
            metadata = metadata or reader.metadata(image)
            user = self._resolve_user(spec, image, metadata)
            metadata = reader.with_home(metadata, user.home)
        finally:
            self.remove(scratch)
        self.cache.put(image, metadata)
        return metadata, user

    def _resolve_user(self, spec: ContainerSpec, image: Image, metadata: ImageMetadata) -> ContainerUser:
        user_spec, image_home = spec.user, ""
        if spec.user == "host":
            uid, gid = users.host_uid_gid(rootless=self.engine.rootless())
            user_spec = f"{uid}:{gid}"
        elif spec.user == "image":
            user_spec, image_home = image.user, image.env.get("HOME", "")
        home = spec.env.get("HOME", "")
        return users.resolve(
            user_spec,
            metadata.accounts,
            home=home if home.startswith("/") else "",
            image_home=image_home,
            identity=spec.identity,
        )

    def _create(self, name: str, config: Mapping[str, Any]) -> str:
        """Create the container under `name`; under `name` with a suffix if another container has that name."""
        from docker.errors import APIError

        for attempt in (name, *(f"{name}-{secrets.token_hex(2)}" for _ in range(3))):
            with self.engine.client(_NOT_CREATED) as client:
                try:
                    created = client.create_container_from_config(dict(config), attempt)
                except APIError as error:
                    if error.status_code != 409 or "already in use" not in str(error.explanation):
                        raise
                    continue
            for warning in created.get("Warnings") or ():
                log.warning("container %s: %s", attempt, warning)
            return str(created["Id"])
        raise EngineError(_NOT_CREATED, f"Containers named {name} already exist.", "Choose another session name.")


def _config(
    spec: ContainerSpec, image: Image, metadata: ImageMetadata, user: ContainerUser, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the body of the engine's create request, without the user."""
    env = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name}
    if not _UTF8.search(image.env.get("LANG", "")):
        env["LANG"] = "C.UTF-8"
    host: dict[str, Any] = {
        "Init": True,
        "CapDrop": list(spec.cap_drop),
        "CapAdd": list(spec.cap_add),
        "SecurityOpt": ["no-new-privileges"] if spec.no_new_privileges else [],
        "PidsLimit": spec.pids_limit,
        "NetworkMode": spec.network,
        "Mounts": [{"Type": "bind", "Source": str(spec.workspace), "Target": WORKSPACE}],
    }
    if spec.cpus is not None:
        host["NanoCpus"] = round(spec.cpus * 1e9)
    if spec.memory is not None:
        host |= {"Memory": spec.memory, "MemorySwap": spec.memory}
    return {
        "Image": spec.image,
        "Hostname": _BAD_HOST_CHARACTERS.sub("-", spec.name)[:63].strip("-") or "relay",
        "Entrypoint": list(spec.command or metadata.idle),
        "Cmd": [],
        "Tty": spec.tty and bool(spec.command),
        "OpenStdin": True,
        "WorkingDir": WORKSPACE,
        "Env": [f"{name}={value}" for name, value in {**env, **spec.env}.items()],
        "Labels": {**labels, USER: f"{user.uid}:{user.gid}", IDLE: "" if spec.command else "yes"},
        "HostConfig": host,
    }


def _files(spec: ContainerSpec, image: Image, metadata: ImageMetadata, user: ContainerUser) -> bytes:
    """Return a tar archive with the user's account, home and git identity for the container."""
    home = metadata.homes[user.home]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        if not metadata.has_etc and (user.passwd is not None or user.group is not None):
            _directory(tar, "/etc", 0o755)
        if user.passwd is not None:
            _file(tar, "/etc/passwd", user.passwd, 0, 0)
        if user.group is not None:
            _file(tar, "/etc/group", user.group, 0, 0)
        path = spec.env.get("PATH") or image.env.get("PATH")
        if metadata.has_profile_d and path:
            _file(tar, "/etc/profile.d/zz-relay-path.sh", users.profile_script(path), 0, 0)
        for directory in home.missing:
            _directory(tar, directory, 0o755)
        if _is_private(home):
            _directory(tar, home.path, 0o700 if home.mode is None else home.mode, user.uid, user.gid)
        git_config = models.git_config(spec.identity, home.git_config)
        _file(tar, f"{home.path}/.gitconfig", git_config, user.uid, user.gid)
    return buffer.getvalue()


def _is_private(home: Home) -> bool:
    """Return whether the home belongs to the user alone. A shared directory such as /tmp keeps its owner."""
    return home.mode is None or home.path == "/root" or home.path.startswith(("/root/", "/home/"))


def _directory(tar: tarfile.TarFile, path: str, mode: int, uid: int = 0, gid: int = 0) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode, entry.uid, entry.gid, entry.mtime = tarfile.DIRTYPE, mode, uid, gid, int(time.time())
    tar.addfile(entry)


def _file(tar: tarfile.TarFile, path: str, text: str, uid: int, gid: int) -> None:
    data = text.encode(errors="surrogateescape")
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode, entry.uid, entry.gid, entry.size, entry.mtime = 0o644, uid, gid, len(data), int(time.time())
    tar.addfile(entry, io.BytesIO(data))
