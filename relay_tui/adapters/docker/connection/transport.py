"""HTTP adapter for docker-py over relay's own connections: ssh, TLS and timeouts have one implementation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from relay_tui.adapters.docker.connection import http_stream
from relay_tui.adapters.docker.connection.address import Address


class _Connection(HTTPConnection):
    def __init__(self, address: Address) -> None:
        super().__init__("engine")
        self._engine = address

    def connect(self) -> None:
        """Connect. urllib3 sets the request's timeout on the socket afterwards."""
        self.sock = http_stream.connect(self._engine)


class _Pool(HTTPConnectionPool):
    def __init__(self, address: Address) -> None:
        super().__init__("engine")
        self._engine = address

    def _new_conn(self) -> _Connection:
        return _Connection(self._engine)


class DockerHTTPAdapter(HTTPAdapter):
    """Adapter that sends all requests of an HTTP session to one engine."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._pool = _Pool(address)

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:  # noqa: ANN401
        """Return the adapter's only pool."""
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """Return the path only: relay uses no proxy for the engine."""
        del proxies
        return request.path_url

    def close(self) -> None:
        """Close the pool's connections."""
        super().close()
        self._pool.close()
