"""From a container's specification to a container that only waits to be started."""

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
_NOT_CREATED = "The container cannot be created"
_BAD_HOST_CHARACTERS = re.compile(r"[^A-Za-z0-9-]+")
_UTF8 = re.compile(r"utf-?8$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContainerBuilder:
    """Creates containers for one data dir."""

    engine: EngineClient
    data_dir: Path
    cache: ImageMetadataCache

    def create(self, spec: ContainerSpec, task: TaskContext) -> str:
        """Fulfil Runtime.create()."""
        image = images.ensure_image(self.engine, spec.image, task)
        task.raise_if_cancelled()
        labels = {DATA_DIR: str(self.data_dir), **spec.labels}
        self._remove_earlier(labels)
        task.report("Creating container")
        facts, person = self._know(spec, image, labels)
        if not spec.command and not facts.idle:
            raise EngineError(
                "The image has neither a shell nor sleep",
                f"Nothing in {spec.image} can keep the container alive.",
                "Give the profile a command.",
            )
        config = _config(spec, image, facts, person, labels)
        if spec.user == "host":
            config["User"] = f"{person.uid}:{person.gid}"
        elif spec.user != "image":
            config["User"] = spec.user
        container_id = self._create(spec.name, config)
        try:
            task.raise_if_cancelled()
            with self.engine.client(_NOT_CREATED) as client:
                client.put_archive(container_id, "/", _files(spec, image, facts, person))
        except BaseException:
            self.remove(container_id)
            raise
        return container_id

    def remove(self, container_id: str) -> None:
        """Remove a container, running or not; if somebody is at that already, until they have done it."""
        from docker.errors import APIError, NotFound

        title = "The container cannot be removed"
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
        with suppress(NotFoundError), self.engine.stream(title, "POST", path, params=params) as answer:
            answer.socket.settimeout(_REMOVAL_SECONDS)
            with self.engine.translated(title):
                answer.recv()

    def _remove_earlier(self, labels: Mapping[str, str]) -> None:
        if SESSION not in labels:
            return
        wanted = [f"{key}={labels[key]}" for key in (DATA_DIR, SESSION)]
        with self.engine.client(_NOT_CREATED) as client:
            earlier = [found["Id"] for found in client.containers(all=True, filters={"label": wanted})]
        for container_id in earlier:
            self.remove(container_id)

    def _know(
        self, spec: ContainerSpec, image: Image, labels: Mapping[str, str]
    ) -> tuple[ImageMetadata, ContainerUser]:
        """The image's facts and who will run; what is not known yet is read through a container that never runs."""
        facts = self.cache.get(image)
        if facts is not None:
            person = self._person(spec, image, facts)
            if person.home in facts.homes:
                return facts, person
        scratch = self._create(
            spec.name, {"Image": image.id, "Entrypoint": ["/relay"], "Labels": dict(labels), "NetworkDisabled": True}
        )
        try:
            reader = ContainerFiles(self.engine, scratch)
            facts = facts or reader.facts(image)
            person = self._person(spec, image, facts)
            facts = reader.with_home(facts, person.home)
        finally:
            self.remove(scratch)
        self.cache.put(image, facts)
        return facts, person

    def _person(self, spec: ContainerSpec, image: Image, facts: ImageMetadata) -> ContainerUser:
        wanted, image_home = spec.user, ""
        if spec.user == "host":
            uid, gid = users.host_uid_gid(rootless=self.engine.rootless())
            wanted = f"{uid}:{gid}"
        elif spec.user == "image":
            wanted, image_home = image.user, image.env.get("HOME", "")
        home = spec.env.get("HOME", "")
        return users.resolve(
            wanted,
            facts.accounts,
            home=home if home.startswith("/") else "",
            image_home=image_home,
            identity=spec.identity,
        )

    def _create(self, name: str, config: Mapping[str, Any]) -> str:
        """Create it under `name`, or under one like it when a stranger has that name."""
        from docker.errors import APIError

        for attempt in (name, *(f"{name}-{secrets.token_hex(2)}" for _ in range(3))):
            with self.engine.client(_NOT_CREATED) as client:
                try:
                    answer = client.create_container_from_config(dict(config), attempt)
                except APIError as error:
                    if error.status_code != 409 or "already in use" not in str(error.explanation):
                        raise
                    continue
            for warning in answer.get("Warnings") or ():
                log.warning("container %s: %s", attempt, warning)
            return str(answer["Id"])
        raise EngineError(_NOT_CREATED, f"Containers named {name} exist already.", "Choose another session name.")


def _config(
    spec: ContainerSpec, image: Image, facts: ImageMetadata, person: ContainerUser, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The body of the engine's create call, but for the user."""
    env = {"HOME": person.home, "USER": person.name, "LOGNAME": person.name}
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
        "Entrypoint": list(spec.command or facts.idle),
        "Cmd": [],
        "Tty": spec.tty and bool(spec.command),
        "OpenStdin": True,
        "WorkingDir": WORKSPACE,
        "Env": [f"{name}={value}" for name, value in {**env, **spec.env}.items()],
        "Labels": {**labels, USER: f"{person.uid}:{person.gid}", IDLE: "" if spec.command else "yes"},
        "HostConfig": host,
    }


def _files(spec: ContainerSpec, image: Image, facts: ImageMetadata, person: ContainerUser) -> bytes:
    """The tar that gives the person a name, a home and a git identity in the container."""
    home = facts.homes[person.home]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        if not facts.has_etc and (person.passwd is not None or person.group is not None):
            _directory(tar, "/etc", 0o755)
        if person.passwd is not None:
            _file(tar, "/etc/passwd", person.passwd, 0, 0)
        if person.group is not None:
            _file(tar, "/etc/group", person.group, 0, 0)
        path = spec.env.get("PATH") or image.env.get("PATH")
        if facts.has_profile_d and path:
            _file(tar, "/etc/profile.d/zz-relay-path.sh", users.profile_script(path), 0, 0)
        for directory in home.missing:
            _directory(tar, directory, 0o755)
        if _belongs(home):
            _directory(tar, home.path, 0o700 if home.mode is None else home.mode, person.uid, person.gid)
        git_config = models.git_config(spec.identity, home.git_config)
        _file(tar, f"{home.path}/.gitconfig", git_config, person.uid, person.gid)
    return buffer.getvalue()


def _belongs(home: Home) -> bool:
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
