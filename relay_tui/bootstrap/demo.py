"""Set up a demo and remove it afterwards: temporary directory, relay, and remains of killed demos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay_tui import config as configuration
from relay_tui.adapters.demo import DemoDirectories, make_repository, runnable_image
from relay_tui.bootstrap import container, log_file
from relay_tui.config import DEFAULT_IMAGE, Config
from relay_tui.domain.errors import ConfigError, ConflictError, EngineError, EngineUnreachableError
from relay_tui.paths import config_file, demo_home
from relay_tui.services.demo import Demo, clear, configured
from relay_tui.services.relay import Relay
from relay_tui.services.runtime_router import DOCKER, PROCESS

_IMAGES = (DEFAULT_IMAGE, "python:3-slim", "python:3.13-slim", "python:3.12-slim", "python:3.11-slim", "python:3")
"""Images with Python to try after the configured ones. Nothing is pulled."""
_USED_ENGINE = "used-engine"
"""A file in a demo directory whose sessions are containers: its removal needs the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEnvironment:
    """A demo that is ready to start."""

    path: Path
    """The demo's directory, deleted afterwards."""
    relay: Relay
    demo: Demo
    choice: Choice
    repository: str
    """Description of the sample repository."""
    swept: int
    """Number of killed demos that were removed first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Runtime and image of the demo's sessions, and the reason."""

    runtime: str
    image: str
    why: str


@contextmanager
def demo_environment() -> Iterator[DemoEnvironment]:
    """Set up a demo for the block, and delete it completely afterwards. Raises RelayError."""
    stages = DemoDirectories(demo_home(), tear_down)
    swept = stages.remove_stale()
    config = _users_config()
    with stages.open() as stage:
        log_file.log_to_file(path=stage / "relay.log")
        repository = make_repository(stage / "tidewatch.git")
        choice = choose(config, stage)
        relay = container.build_demo_relay(stage / "data", configured(config, choice.runtime, choice.image))
        demo = Demo(relay, str(stage / "tidewatch.git"))
        try:
            yield DemoEnvironment(path=stage, relay=relay, demo=demo, choice=choice, repository=repository, swept=swept)
        finally:
            relay.close()


def choose(config: Config, stage: Path) -> Choice:
    """Choose containers if the engine has an image that can run the sample, else processes."""
    own = [profile.image for profile in config.profiles.values()]
    used = stage / _USED_ENGINE
    used.touch()  # before any container exists
    try:
        image = runnable_image([*own, config.image, *_IMAGES], stage / "data")
        why = f"the engine has {image}" if image else "the engine has no image with Python"
    except EngineUnreachableError as error:
        image, why = "", error.why or f"no container engine answers ({error.detail or error.title})"
        why = why[:1].lower() + why[1:]
    except EngineError as error:
        image, why = "", error.title
    if image:
        return Choice(DOCKER, image, why)
    used.unlink()
    return Choice(PROCESS, "", why)


def tear_down(stage: Path) -> None:
    """Remove the containers of a demo directory. Raises RelayError if some may still be running."""
    relay = container.build_demo_relay(stage / "data", Config(path=config_file()))
    unreachable = clear(relay)
    if DOCKER in unreachable and (stage / _USED_ENGINE).exists():
        detail = "The engine does not answer."
        raise ConflictError("Cannot remove the demo's containers", detail, "The next demo retries.")


def _users_config() -> Config:
    """Return the user's configuration for images, colours and glyphs; the defaults if it is invalid."""
    try:
        return configuration.load(config_file())
    except ConfigError:
        return Config(path=config_file())
