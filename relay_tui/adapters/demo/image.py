"""Find an image of the engine that can run the sample project. The demo pulls no image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relay_tui.adapters.docker.client import EngineClient
from relay_tui.adapters.docker.container_builder import DATA_DIR, SESSION
from relay_tui.domain.errors import EngineError

_SECONDS = 10
_PROOF = ("python3", "-c", "import http.server, unittest")


def runnable_image(candidates: Sequence[str], data_dir: Path) -> str:
    """The first of the images that is there and has Python; '' if none does. Raises EngineUnreachableError.

    What tries them carries the label of `data_dir`, so that it goes with it should this process be killed.
    """
    engine = EngineClient()
    engine.greet()
    return next((image for image in dict.fromkeys(candidates) if image and _runs(engine, image, data_dir)), "")


def _runs(engine: EngineClient, image: str, data_dir: Path) -> bool:
    """Return whether Python runs in a temporary container of the image."""
    from docker.errors import NotFound

    with engine.client("The engine cannot try the image") as client:
        try:
            client.inspect_image(image)
        except NotFound:
            return False
        config = {
            "Image": image,
            "Entrypoint": list(_PROOF),
            "Cmd": [],
            "Labels": {DATA_DIR: str(data_dir), SESSION: "demo"},
            "NetworkDisabled": True,
            "HostConfig": {"NetworkMode": "none", "CapDrop": ["ALL"], "ReadonlyRootfs": True},
        }
        made = client.create_container_from_config(config)["Id"]
    try:
        with engine.client("The image does not run") as client:
            client.start(made)
            return int(client.wait(made, timeout=_SECONDS)["StatusCode"]) == 0
    except EngineError:
        return False
    finally:
        with engine.client("The throw-away container cannot be removed") as client:
            client.remove_container(made, force=True, v=True)
