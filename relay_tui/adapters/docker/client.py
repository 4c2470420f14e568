"""Engine client: API clients and streams. Library errors are raised as RelayError."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from relay_tui.adapters.docker.connection import http_stream, unreachable
from relay_tui.adapters.docker.connection.address import Address, find_address
from relay_tui.domain.errors import EngineError, EngineUnreachableError, NotFoundError, RelayError

if TYPE_CHECKING:
    from docker import APIClient


@dataclass(frozen=True, slots=True)
class Greeting:
    """Headers of the engine's first reply: version and kind."""

    product: str
    version: str
    api: str


class EngineClient:
    """Client of one engine. Thread-safe: each call borrows a connection of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._address: Address | None = None
        self._greeting: Greeting | None = None
        self._idle: list[APIClient] = []
        self._rootless: bool | None = None

    @property
    def address(self) -> Address:
        """Address of the engine. Raises EngineUnreachableError if docker's configuration is invalid."""
        with self._lock:
            if self._address is None:
                self._address = find_address()
            return self._address

    def greet(self, timeout: float = http_stream.GREETING_SECONDS) -> Greeting:
        """Ping the engine, with a timeout in seconds, and return its version. Raises EngineUnreachableError."""
        with (
            self.translated("Cannot ping the engine"),
            http_stream.open_stream(self.address, "GET", "/_ping", timeout=timeout) as response,
        ):
            product, _, rest = response.headers.get("Server", "").partition("/")
            podman = product == "Libpod" or "Libpod-API-Version" in response.headers
            greeting = Greeting(
                product="Podman" if podman else product or "Docker",
                version=rest.split(" ")[0].split("+")[0],
                api=response.headers.get("Api-Version", "1.41"),
            )
        with self._lock:
            self._greeting = greeting
        return greeting

    def _api_version(self) -> str:
        with self._lock:
            greeting = self._greeting
        return (greeting or self.greet()).api

    @contextmanager
    def client(self, title: str) -> Iterator[APIClient]:
        """Borrow an API client. Its errors are raised as RelayError; `title` is the title if the engine refuses."""
        api = self._api_version()
        with self.translated(title):
            client = self._borrow(api)
            try:
                yield client
            except BaseException:
                client.close()
                raise
            with self._lock:
                self._idle.append(client)

    def _borrow(self, api: str) -> APIClient:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            from docker import APIClient

            from relay_tui.adapters.docker.connection.transport import DockerHTTPAdapter
        except ImportError as error:
            fix = f"{sys.executable} -m pip install --force-reinstall docker"
            raise EngineError("The Python package 'docker' is not installed", str(error), fix) from error

        client = APIClient(base_url="unix:///engine", version=api, timeout=int(http_stream.ANSWER_SECONDS))
        client.mount(client.base_url, DockerHTTPAdapter(self.address))
        return client

    def stream(
        self,
        title: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        hijack: bool = False,
    ) -> http_stream.HttpStream:
        """Open a stream on a new connection. Raises the same errors as client()."""
        path = f"/v{self._api_version()}{path}"
        with self.translated(title):
            return http_stream.open_stream(
                self.address, method, path, params=params, body=body, headers=headers, hijack=hijack
            )

    def get_json(self, title: str, path: str, params: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON response of a GET request, without docker-py. Raises the same errors as client()."""
        with self.stream(title, "GET", path, params=params) as response, self.translated(title):
            response.socket.settimeout(http_stream.ANSWER_SECONDS)
            body = b"".join(iter(response.recv, b""))
            try:
                return json.loads(body)
            except ValueError as error:
                raise ConnectionResetError("the connection ended within the response") from error

    def rootless(self) -> bool:
        """Return whether the engine is rootless. The engine is asked at most once."""
        if self._rootless is None:
            if http_stream.socket_owner(self.address) == 0:
                self._rootless = False
            else:
                with self.client("Cannot query the engine") as client:
                    self._rootless = any("name=rootless" in option for option in client.info()["SecurityOptions"] or ())
        return self._rootless

    @contextmanager
    def translated(self, title: str) -> Iterator[None]:
        """Convert errors of the engine's libraries in the block to RelayError."""
        try:
            yield
        except http_stream.HttpStatusError as error:
            raise api_error(error.status, error.message, title) from error
        except OSError as error:  # requests' exceptions are OSErrors too
            raise self._from_library(error, title) from error
        except HTTPException as error:
            raise self.unreachable(error) from error
        except RelayError:
            raise
        except Exception as error:
            if not _is_docker_error(error):
                raise
            raise self._from_library(error, title) from error

    def _from_library(self, error: Exception, title: str) -> RelayError:
        """Return the RelayError for an error of docker-py, requests, urllib3 or the socket."""
        if not _is_docker_error(error):
            return self.unreachable(error)
        from docker.errors import APIError, DockerException

        if isinstance(error, APIError) and error.response is not None:
            return api_error(error.response.status_code, str(error.explanation or error), title)
        if isinstance(error, DockerException) and _cause(error) is None:
            return EngineError(title, str(error))
        return self.unreachable(error)

    def unreachable(self, error: Exception) -> EngineUnreachableError:
        """Forget all cached data of the engine; return the error with the cause and its fix."""
        with self._lock:
            address = self._address
            self._address = self._greeting = self._rootless = None
            self._idle.clear()
        return unreachable.unreachable_error(_cause(error) or error, address)


def api_error(status: int, message: str, title: str) -> RelayError:
    """Return the RelayError for an error response of the engine."""
    message = message.strip() or f"HTTP status {status}"
    if status == 404 and "no such container" in message.lower():
        return NotFoundError("The container is gone", message, "Start the session to create a new one.")
    return EngineError(title, message)


def _is_docker_error(error: Exception) -> bool:
    """Return whether docker-py or requests raised the error. Modules that were not imported did not raise it."""
    if "docker" not in sys.modules:
        return False
    from docker.errors import DockerException
    from urllib3.exceptions import HTTPError

    return isinstance(error, DockerException | HTTPError)


def _cause(error: BaseException | None, depth: int = 0) -> OSError | None:
    """Return the operating system's error that the libraries wrapped; None if there is none."""
    if error is None or depth > 8:
        return None
    if isinstance(error, OSError) and (error.errno is not None or isinstance(error, TimeoutError | ssl.SSLError)):
        return error
    wrapped: list[Any] = [error.__cause__, getattr(error, "reason", None), *error.args, error.__context__]
    for inner in wrapped:
        if isinstance(inner, BaseException) and (found := _cause(inner, depth + 1)):
            return found
    return None
