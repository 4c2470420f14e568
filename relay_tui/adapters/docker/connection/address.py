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
"""The origin of an address that nothing names."""
_HERE = {"", "localhost", "127.0.0.1", "::1"}
_SCHEMES = ("unix", "tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class Tls:
    """Client certificate for the engine, and whether to verify the engine's certificate."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """A TLS context with these files. Raises OSError (ssl.SSLError among them) when one cannot be used."""
        context = ssl.create_default_context(cafile=self.ca)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert is not None and self.key is not None:
            context.load_cert_chain(self.cert, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """One engine's address. `path` is the socket of a unix address, `host` and `port` belong to the others."""

    url: str
    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0
    user: str = ""
    tls: Tls | None = None
    origin: str = THE_DEFAULT
    """What named it: '$DOCKER_HOST', 'the docker context x', or nothing."""

    @property
    def local(self) -> bool:
        """Whether the address is on this machine."""
        return self.scheme == "unix" or (self.scheme == "tcp" and self.host in _HERE)


def find_address(environ: Mapping[str, str] = os.environ) -> Address:
    """The engine that the docker command would talk to. Raises EngineUnreachableError when that is not clear."""
    host = environ.get("DOCKER_HOST", "").strip()
    if host:
        return parse(host, _tls_from(environ), "$DOCKER_HOST")
    config = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")
    variable = environ.get("DOCKER_CONTEXT", "").strip()
    context = variable or _text(_read(config / "config.json").get("currentContext"))
    if context in ("", "default"):
        return parse(DEFAULT, None, THE_DEFAULT)
    return _from_context(config, context, from_variable=bool(variable))


def sockets(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Every socket of this machine that docker's configuration leads to: the one in use, and those of all contexts."""
    config = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")
    urls = [DEFAULT, environ.get("DOCKER_HOST", "").strip()]
    for file in config.glob("contexts/meta/*/meta.json"):
        with suppress(EngineUnreachableError):
            endpoint = _mapping(_mapping(_read(file).get("Endpoints")).get("docker"))
            urls.append(_text(endpoint.get("Host")))
    for url in filter(None, urls):
        with suppress(EngineUnreachableError):
            if path := parse(url, None, "").path:
                yield Path(path)


def parse(url: str, tls: Tls | None, origin: str) -> Address:
    """Take an address apart; `origin` says in an error where it was written."""
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
            "The engine's address cannot be used",
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


def _tls_from(environ: Mapping[str, str]) -> Tls | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    directory = environ.get("DOCKER_CERT_PATH", "")
    if not verify and not directory:
        return None
    return _tls_in(Path(directory or Path.home() / ".docker"), verify=verify)


def _tls_in(directory: Path, *, verify: bool) -> Tls:
    def present(name: str) -> Path | None:
        path = directory / name
        return path if path.is_file() else None

    return Tls(present("ca.pem"), present("cert.pem"), present("key.pem"), verify)


def _from_context(config: Path, name: str, *, from_variable: bool) -> Address:
    key = hashlib.sha256(name.encode()).hexdigest()
    file = config / "contexts/meta" / key / "meta.json"
    if not file.is_file():
        raise EngineUnreachableError(
            f"There is no docker context named {name}",
            f"no such file: {file}",
            "Choose one with `docker context use`, or set DOCKER_HOST.",
            silence=UnreachableReason.ASTRAY,
            fix="unset DOCKER_CONTEXT" if from_variable else "docker context use default",
        )
    endpoint = _mapping(_mapping(_read(file).get("Endpoints")).get("docker"))
    host = _text(endpoint.get("Host")) or DEFAULT
    certificates = config / "contexts/tls" / key / "docker"
    tls = None
    if certificates.is_dir() or host.startswith("https://"):
        tls = _tls_in(certificates, verify=not endpoint.get("SkipTLSVerify", False))
    return parse(host, tls, f"the docker context {name}")


def _read(file: Path) -> Mapping[str, object]:
    """A JSON object from a file of docker's configuration; {} when there is no such file."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(file, str(error)) from error
    if not isinstance(content, dict):
        raise _unreadable(file, "not a JSON object")
    return cast("dict[str, object]", content)


def _unreadable(file: Path, why: str) -> EngineUnreachableError:
    return EngineUnreachableError(
        "docker's configuration cannot be read",
        f"{file}: {why}",
        "Fix the file, or set DOCKER_HOST.",
        silence=UnreachableReason.ASTRAY,
        fix=f"${{EDITOR:-vi}} {shlex.quote(str(file))}",
    )


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
