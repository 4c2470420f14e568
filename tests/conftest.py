"""Shared fixtures: the engine, and a runtime whose containers are removed after the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import docker
import engine_images
import pytest
from installed_relay import PROGRAM, InstalledRelay, clear_engine
from terminal_screen import TerminalScreen

from relay_tui.adapters.docker import DockerRuntime
from relay_tui.domain.errors import EngineUnreachableError

Open = Callable[..., TerminalScreen]


def missing(what: str) -> None:
    """Skip the test for want of something; where everything has to be there, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure on machines that must have everything installed."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file of tests."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be: {reason}"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> docker.DockerClient:
    """A client of the engine that relay would use, with the images of engine_images in it."""
    scratch = tmp_path_factory.mktemp("ping")
    try:
        DockerRuntime(scratch, scratch).ping()
    except EngineUnreachableError as error:
        missing(f"no container engine answers: {error.detail}")
    if not engine_images.BUSYBOX.exists():
        missing(f"no {engine_images.BUSYBOX} (Debian's busybox-static) to make images of")
    client = docker.from_env(timeout=120)
    engine_images.build(client)
    return client


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for relay's cache of image details, shared by all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def containers(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Path]:
    """A data dir whose containers, and those of directories below the test's, are removed at the end."""
    yield tmp_path / "data"
    for container in engine.containers.list(all=True, filters={"label": "relay.data-dir"}, ignore_removed=True):
        if container.labels["relay.data-dir"].startswith(str(tmp_path)):
            container.remove(force=True, v=True)


@pytest.fixture
def runtime(containers: Path, engine_cache: Path) -> DockerRuntime:
    """A runtime for the test's own data dir."""
    return DockerRuntime(containers, engine_cache)


@pytest.fixture
def relay(tmp_path: Path) -> InstalledRelay:
    """The installed relay over an empty data dir."""
    relay = InstalledRelay(tmp_path / "relay")
    relay.root.mkdir()
    return relay


@pytest.fixture
def client(engine: docker.DockerClient, relay: InstalledRelay) -> Iterator[docker.DockerClient]:
    """The engine, left as it was found."""
    yield engine
    clear_engine(engine, relay.root)


@pytest.fixture
def open_screen(relay: InstalledRelay, tmp_path: Path) -> Iterator[Open]:
    """Opens relay's screen on a terminal; more of the environment by name."""
    if shutil.which("tmux") is None:
        missing("no tmux")
    opened: list[TerminalScreen] = []

    def open_one(*arguments: str, width: int = 140, height: int = 36, **env: str) -> TerminalScreen:
        place = tmp_path / f"terminal-{len(opened)}"
        command: list[str | Path] = [PROGRAM, *arguments]
        screen = TerminalScreen(place, command, width=width, height=height, env=relay.env | env)
        opened.append(screen)
        return screen

    yield open_one
    for screen in opened:
        screen.close()
