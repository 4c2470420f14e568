"""Find an image of the engine that can run the sample project. The demo pulls no image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.container_builder import DATA_DIR, SESSION
from relay_tui.domain.errors import EngineError

_SECONDS = 10
_TEST_COMMAND = ("python3", "-c", "import http.server, unittest")


def runnable_image(candidates: Sequence[str], data_dir: Path) -> str:
    """Return the first image that exists locally and has Python; '' if there is none. Raises EngineUnreachableError.

    The temporary containers have the label of `data_dir`, so that the cleanup of that directory removes them if this
    process is killed.
    """
    engine = EngineClient()
    engine.greet()
    return next((image for image in dict.fromkeys(candidates) if image and _runs(engine, image, data_dir)), "")


def _runs(engine: EngineClient, image: str, data_dir: Path) -> bool:
    """Return whether Python runs in a temporary container of the image."""
    from docker.errors import NotFound

    with engine.client("Cannot test the image") as client:
        try:
            client.inspect_image(image)
        except NotFound:
            return False
        config = {
            "Image": image,
            "Entrypoint": list(_TEST_COMMAND),
            "Cmd": [],
            "Labels": {DATA_DIR: str(data_dir), SESSION: "demo"},
            "NetworkDisabled": True,
            "HostConfig": {"NetworkMode": "none", "CapDrop": ["ALL"], "ReadonlyRootfs": True},
        }
        container_id = client.create_container_from_config(config)["Id"]
    try:
        with engine.client("Cannot run the image") as client:
            client.start(container_id)
            return int(client.wait(container_id, timeout=_SECONDS)["StatusCode"]) == 0
    except EngineError:
        return False
    finally:
        with engine.client("Cannot remove the temporary container") as client:
            client.remove_container(container_id, force=True, v=True)
