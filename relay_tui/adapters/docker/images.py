"""Images of the engine: validate a name, read the configuration, pull a missing image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.domain.errors import EngineError
from relay_tui.ports.task import TaskContext

_WORD = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_WORD}(?:/{_WORD})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>[\w+.-]+:[0-9a-fA-F]{{32,}}))?",
    re.ASCII,
)
_DOWNLOAD_SHARE = 0.8
_HINTS = (
    (
        r"no such host|dial tcp|timeout|timed out|connection refused|unreachable|tls|x509|EOF|server gave HTTP",
        "Check that the engine's machine reaches the registry, then retry.",
    ),
    (
        r"unauthorized|authentication required|no basic auth|incorrect username",
        "Log in with `docker login`, then retry.",
    ),
    (
        r"denied|does not exist|docker login",
        "Check the image's name; for a private one log in with `docker login`, then retry.",
    ),
    (r"not found|manifest unknown|no matching manifest", "Check the image's name and tag, then retry."),
    (r"no space left", "Free space on the engine's disk (docker system prune), then retry."),
)


@dataclass(frozen=True, slots=True)
class Image:
    """Image in the engine."""

    id: str
    user: str
    env: Mapping[str, str]


def ensure_image(engine: EngineClient, reference: str, task: TaskContext) -> Image:
    """Return the image; pull it if it is missing. Raises EngineError; CancelledError if the task is cancelled."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise EngineError(
            f"{reference!r} is not an image name", "", "Write it as name:tag, or registry/name:tag, in lower case."
        )
    image = _find(engine, reference)
    if image is None:
        _pull(engine, reference, match["name"], match["digest"] or match["tag"] or "latest", task)
        image = _find(engine, reference)
    if image is None:
        raise EngineError(f"Cannot pull the image {reference}", "The engine ended the pull without an error message.")
    return image


def _find(engine: EngineClient, reference: str) -> Image | None:
    from docker.errors import ImageNotFound, NotFound

    with engine.client(f"Cannot use the image {reference}") as client:
        try:
            found = client.inspect_image(reference)
        except (ImageNotFound, NotFound):
            return None
    config = found.get("Config") or {}
    pairs = (entry.partition("=") for entry in config.get("Env") or ())
    return Image(found["Id"], config.get("User") or "", {name: value for name, _, value in pairs})


def _pull(engine: EngineClient, reference: str, name: str, tag: str, task: TaskContext) -> None:
    title = f"Cannot pull the image {reference}"
    task.raise_if_cancelled()
    task.report("Pulling image", None, reference)
    progress = PullProgress()
    try:
        with (
            engine.stream(
                title,
                "POST",
                "/images/create",
                params={"fromImage": name, "tag": tag},
                headers=_credentials(engine, title, name),
            ) as response,
            task.on_cancel(response.close),
            engine.translated(title),
        ):
            for event in response.messages():
                if "error" in event:
                    raise EngineError(title, str(event["error"]).strip())
                if progress.update(event):
                    task.report("Pulling image", progress.fraction, progress.detail)
    except EngineError as error:
        task.raise_if_cancelled()
        if type(error) is not EngineError or error.hint:
            raise
        raise EngineError(title, error.detail, _hint(error.detail)) from error
    task.raise_if_cancelled()


def _credentials(engine: EngineClient, title: str, name: str) -> dict[str, str]:
    """Return the header with the credentials that `docker login` saved for the image's registry."""
    from docker import auth

    with engine.client(title) as client:
        client.reload_config()  # the user may have logged in since the client was created
        registry, _ = auth.resolve_repository_name(name)
        header = auth.get_config_header(client, registry)
    if header is None:
        return {}
    return {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else str(header)}


def _hint(message: str) -> str:
    found = (hint for pattern, hint in _HINTS if re.search(pattern, message, re.IGNORECASE))
    return next(found, "Check the image's name, then retry.")


@dataclass(slots=True)
class _Layer:
    received: int = 0
    size: int = 0
    share: float = 0.0
    done: bool = False
    was_present: bool = False


@dataclass(slots=True)
class PullProgress:
    """Progress of a pull, from the engine's messages about single layers. Its fraction never decreases."""

    layers: dict[str, _Layer] = field(default_factory=dict)
    fraction: float | None = None

    def update(self, event: Mapping[str, object]) -> bool:
        """Apply one message. Return whether it was about a layer."""
        status, key = str(event.get("status", "")), str(event.get("id", ""))
        if not key or status.startswith("Pulling from"):
            return False
        layer = self.layers.setdefault(key, _Layer())
        detail = event.get("progressDetail")
        numbers = detail if isinstance(detail, dict) else {}
        current, total = int(numbers.get("current") or 0), int(numbers.get("total") or 0)
        if status == "Downloading" and total > 0:
            layer.received, layer.size = current, total
            layer.share = _DOWNLOAD_SHARE * min(1.0, current / total)
        elif status in ("Verifying Checksum", "Download complete"):
            layer.received, layer.share = layer.size, max(layer.share, _DOWNLOAD_SHARE)
        elif status == "Extracting" and total > 0:
            layer.share = _DOWNLOAD_SHARE + (1 - _DOWNLOAD_SHARE) * min(1.0, current / total)
        elif status in ("Pull complete", "Already exists"):
            layer.received, layer.share, layer.done = layer.size, 1.0, True
            layer.was_present = status == "Already exists"
        shares = [layer.share for layer in self.layers.values() if not layer.was_present]
        if shares:
            self.fraction = max(self.fraction or 0.0, sum(shares) / len(shares))
        return True

    @property
    def detail(self) -> str:
        """Text with the numbers of complete layers and downloaded bytes."""
        done = sum(layer.done for layer in self.layers.values())
        text = f"{done} of {len(self.layers)} layers"
        size = sum(layer.size for layer in self.layers.values())
        if size:
            text += f", {_megabytes(sum(layer.received for layer in self.layers.values()))} of {_megabytes(size)}"
        return text


def _megabytes(count: int) -> str:
    megabytes = count / 1e6
    return f"{megabytes:.1f} MB" if megabytes < 10 else f"{megabytes:.0f} MB"
