"""Sets a demo up and takes it down: its throw-away directory, its relay, and what earlier demos left."""

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
"""Where to look for an image with Python that is there already, after the configured ones."""
_USED_ENGINE = "used-engine"
"""A file in a stage whose sessions are containers: to take it down, the engine has to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEnvironment:
    """A demo that can begin."""

    path: Path
    """Its directory, gone afterwards."""
    relay: Relay
    demo: Demo
    choice: Choice
    repository: str
    """What is in the sample repository."""
    swept: int
    """How many killed demos were cleared up first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs the demo's sessions, and why."""

    runtime: str
    image: str
    why: str


@contextmanager
def demo_environment() -> Iterator[DemoEnvironment]:
    """A demo of its own; when the block ends, however it ends, nothing of it is left. Raises RelayError."""
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
    """Containers where the engine has an image that runs the sample: nothing is pulled for a demo. Else processes."""
    own = [profile.image for profile in config.profiles.values()]
    used = stage / _USED_ENGINE
    used.touch()  # before anything is in it
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
    """End what still runs of a stage. Raises RelayError when something may go on."""
    relay = container.build_demo_relay(stage / "data", Config(path=config_file()))
    unseen = clear(relay)
    if DOCKER in unseen and (stage / _USED_ENGINE).exists():
        words = "The engine does not answer."
        raise ConflictError("Its containers cannot be removed", words, "The next demo tries again.")


def _users_config() -> Config:
    """For images, colours and signs; what is wrong with it is not for a demo to say."""
    try:
        return configuration.load(config_file())
    except ConfigError:
        return Config(path=config_file())
