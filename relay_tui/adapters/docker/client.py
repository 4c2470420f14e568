"""The engine as the adapter's other modules use it: clients to call it with, streams, errors in relay's words."""

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

    def greet(self, patience: float = http_stream.GREETING_SECONDS) -> Greeting:
        """Ask who it is, and wait that many seconds for an answer. Raises EngineUnreachableError."""
        with (
            self.translated("The engine refused a greeting"),
            http_stream.open_stream(self.address, "GET", "/_ping", patience=patience) as answer,
        ):
            product, _, rest = answer.headers.get("Server", "").partition("/")
            podman = product == "Libpod" or "Libpod-API-Version" in answer.headers
            greeting = Greeting(
                product="Podman" if podman else product or "Docker",
                version=rest.split(" ")[0].split("+")[0],
                api=answer.headers.get("Api-Version", "1.41"),
            )
        with self._lock:
            self._greeting = greeting
        return greeting

    def _api(self) -> str:
        with self._lock:
            greeting = self._greeting
        return (greeting or self.greet()).api

    @contextmanager
    def client(self, doing: str) -> Iterator[APIClient]:
        """Borrow a client. Its errors are raised as RelayError, with the title `doing` if the engine refused."""
        api = self._api()
        with self.translated(doing):
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
            raise EngineError("The Python package for the engine is missing", str(error), fix) from error

        client = APIClient(base_url="unix:///engine", version=api, timeout=int(http_stream.ANSWER_SECONDS))
        client.mount(client.base_url, DockerHTTPAdapter(self.address))
        return client

    def stream(
        self,
        doing: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        hijack: bool = False,
    ) -> http_stream.HttpStream:
        """Open a stream on a connection of its own; errors as with client()."""
        path = f"/v{self._api()}{path}"
        with self.translated(doing):
            return http_stream.open_stream(
                self.address, method, path, params=params, body=body, headers=headers, hijack=hijack
            )

    def get_json(self, doing: str, path: str, params: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """The JSON that a GET answers; errors as with client(). For looking on: it needs none of docker-py."""
        with self.stream(doing, "GET", path, params=params) as answer, self.translated(doing):
            answer.socket.settimeout(http_stream.ANSWER_SECONDS)
            body = b"".join(iter(answer.recv, b""))
            try:
                return json.loads(body)
            except ValueError as error:
                raise ConnectionResetError("the connection ended within the answer") from error

    def rootless(self) -> bool:
        """Return whether the engine is rootless. The engine is asked at most once."""
        if self._rootless is None:
            if http_stream.socket_owner(self.address) == 0:
                self._rootless = False
            else:
                with self.client("The engine refused to describe itself") as client:
                    self._rootless = any("name=rootless" in option for option in client.info()["SecurityOptions"] or ())
        return self._rootless

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Convert errors of the engine's libraries in the block to RelayError."""
        try:
            yield
        except http_stream.HttpStatusError as error:
            raise api_error(error.status, error.words, doing) from error
        except OSError as error:  # requests' exceptions are OSErrors too
            raise self._from_library(error, doing) from error
        except HTTPException as error:
            raise self.unreachable(error) from error
        except RelayError:
            raise
        except Exception as error:
            if not _is_docker_error(error):
                raise
            raise self._from_library(error, doing) from error

    def _from_library(self, error: Exception, doing: str) -> RelayError:
        """The RelayError for one of docker-py's, requests', urllib3's or the socket's."""
        if not _is_docker_error(error):
            return self.unreachable(error)
        from docker.errors import APIError, DockerException

        if isinstance(error, APIError) and error.response is not None:
            return api_error(error.response.status_code, str(error.explanation or error), doing)
        if isinstance(error, DockerException) and _cause(error) is None:
            return EngineError(doing, str(error))
        return self.unreachable(error)

    def unreachable(self, error: Exception) -> EngineUnreachableError:
        """Forget what is known of the engine, and say why it does not answer and what to do about it."""
        with self._lock:
            address = self._address
            self._address = self._greeting = self._rootless = None
            self._idle.clear()
        return unreachable.unreachable_error(_cause(error) or error, address)


def api_error(status: int, words: str, doing: str) -> RelayError:
    """The error for an answer that says no."""
    words = words.strip() or f"HTTP status {status}"
    if status == 404 and "no such container" in words.lower():
        return NotFoundError("The container is gone", words, "Start the session to make a new one.")
    return EngineError(doing, words)


def _is_docker_error(error: Exception) -> bool:
    """Return whether docker-py or requests raised the error. Modules that were not imported did not raise it."""
    if "docker" not in sys.modules:
        return False
    from docker.errors import DockerException
    from urllib3.exceptions import HTTPError

    return isinstance(error, DockerException | HTTPError)


def _cause(error: BaseException | None, depth: int = 0) -> OSError | None:
    """The operating system's error beneath the libraries' wrappings."""
    if error is None or depth > 8:
        return None
    if isinstance(error, OSError) and (error.errno is not None or isinstance(error, TimeoutError | ssl.SSLError)):
        return error
    wrapped: list[Any] = [error.__cause__, getattr(error, "reason", None), *error.args, error.__context__]
    for inner in wrapped:
        if isinstance(inner, BaseException) and (found := _cause(inner, depth + 1)):
            return found
    return None
