"""Address of the engine: DOCKER_HOST, else the current docker context, else the default socket.

docker-py reads contexts too, but it ignores a broken configuration, and it reads the working directory if there is no
config.json. Both would lead to a different engine than the configured one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from relay_tui.domain.errors import EngineUnreachableError, UnreachableReason

DEFAULT = "unix:///var/run/docker.sock"
THE_DEFAULT = "the default"
"""Origin of the address if neither a variable nor a context sets one."""
_LOCAL_HOSTS = {"", "localhost", "127.0.0.1", "::1"}
_SCHEMES = ("unix", "tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class Tls:
    """Client certificate for the engine, and whether to verify the engine's certificate."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Return a TLS context with these files. Raises OSError (or its subclass ssl.SSLError) if a file is invalid."""
        context = ssl.create_default_context(cafile=self.ca)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert is not None and self.key is not None:
            context.load_cert_chain(self.cert, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """Address of one engine. A unix address has a `path`; all other addresses have a `host` and a `port`."""

    url: str
    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0
    user: str = ""
    tls: Tls | None = None
    origin: str = THE_DEFAULT
    """Source of the address: '$DOCKER_HOST', 'the docker context x', or `THE_DEFAULT`."""

    @property
    def local(self) -> bool:
        """Whether the address is on this machine."""
        return self.scheme == "unix" or (self.scheme == "tcp" and self.host in _LOCAL_HOSTS)


def find_address(environ: Mapping[str, str] = os.environ) -> Address:
    """Return the engine that the docker command uses. Raises EngineUnreachableError for a broken configuration."""
    host = environ.get("DOCKER_HOST", "").strip()
    if host:
        return parse(host, _tls_from_environment(environ), "$DOCKER_HOST")
    config = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")
    variable = environ.get("DOCKER_CONTEXT", "").strip()
    context = variable or _text(_read_json(config / "config.json").get("currentContext"))
    if context in ("", "default"):
        return parse(DEFAULT, None, THE_DEFAULT)
    return _from_context(config, context, from_variable=bool(variable))


def sockets(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Yield every local socket in docker's configuration: the one in use, and those of all contexts."""
    config = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")
    urls = [DEFAULT, environ.get("DOCKER_HOST", "").strip()]
    for file in config.glob("contexts/meta/*/meta.json"):
        with suppress(EngineUnreachableError):
            endpoint = _mapping(_mapping(_read_json(file).get("Endpoints")).get("docker"))
            urls.append(_text(endpoint.get("Host")))
    for url in filter(None, urls):
        with suppress(EngineUnreachableError):
            if path := parse(url, None, "").path:
                yield Path(path)


def parse(url: str, tls: Tls | None, origin: str) -> Address:
    """Parse an address. `origin` names its source in an error message."""
    parts = urlsplit(url if "://" in url else f"tcp://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme == "unix":
        path = f"{parts.netloc}{parts.path}" or "/var/run/docker.sock"
        return Address(url, "unix", path=path if path.startswith("/") else f"/{path}", origin=origin)
    if parts.scheme not in _SCHEMES or not parts.hostname or port == -1:
        raise EngineUnreachableError(
            "Cannot use the engine's address",
            f"{url} (from {origin})",
            "Write it as unix:///path, tcp://host:port or ssh://user@host.",
            silence=UnreachableReason.ASTRAY,
            fix="unset DOCKER_HOST" if origin == "$DOCKER_HOST" else "docker context use default",
        )
    if parts.scheme == "ssh":
        return Address(url, "ssh", host=parts.hostname, port=port or 0, user=parts.username or "", origin=origin)
    if parts.scheme == "https" and tls is None:
        tls = Tls()
    if parts.scheme == "http":
        tls = None
    port = port or (2376 if tls else 2375)
    return Address(url, "tcp", host=parts.hostname, port=port, tls=tls, origin=origin)


def _tls_from_environment(environ: Mapping[str, str]) -> Tls | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    directory = environ.get("DOCKER_CERT_PATH", "")
    if not verify and not directory:
        return None
    return _tls_from_directory(Path(directory or Path.home() / ".docker"), verify=verify)


def _tls_from_directory(directory: Path, *, verify: bool) -> Tls:
    def present(name: str) -> Path | None:
        path = directory / name
        return path if path.is_file() else None

    return Tls(present("ca.pem"), present("cert.pem"), present("key.pem"), verify)


def _from_context(config: Path, name: str, *, from_variable: bool) -> Address:
    key = hashlib.sha256(name.encode()).hexdigest()
    file = config / "contexts/meta" / key / "meta.json"
    if not file.is_file():
        raise EngineUnreachableError(
            f"The docker context {name} is not defined",
            f"no such file: {file}",
            "Choose one with `docker context use`, or set DOCKER_HOST.",
            silence=UnreachableReason.ASTRAY,
            fix="unset DOCKER_CONTEXT" if from_variable else "docker context use default",
        )
    endpoint = _mapping(_mapping(_read_json(file).get("Endpoints")).get("docker"))
    host = _text(endpoint.get("Host")) or DEFAULT
    certificates = config / "contexts/tls" / key / "docker"
    tls = None
    if certificates.is_dir() or host.startswith("https://"):
        tls = _tls_from_directory(certificates, verify=not endpoint.get("SkipTLSVerify", False))
    return parse(host, tls, f"the docker context {name}")


def _read_json(file: Path) -> Mapping[str, object]:
    """Return the JSON object in a file of docker's configuration; {} if the file does not exist."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _config_error(file, str(error)) from error
    if not isinstance(content, dict):
        raise _config_error(file, "not a JSON object")
    return cast("dict[str, object]", content)


def _config_error(file: Path, reason: str) -> EngineUnreachableError:
    return EngineUnreachableError(
        "Cannot read docker's configuration",
        f"{file}: {reason}",
        "Fix the file, or set DOCKER_HOST.",
        silence=UnreachableReason.ASTRAY,
        fix=f"${{EDITOR:-vi}} {shlex.quote(str(file))}",
    )


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
