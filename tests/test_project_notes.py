"""Notes on a new project: features missing in its first session are listed where the project is added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from git_servers import make_repository
from installed_relay import InstalledRelay

NOTE = "A process cannot use settings of the profile: memory 2 GiB; cpus 1.5."


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[InstalledRelay]:
    """relay without an engine, whose profile sets what no process can have."""
    relay = InstalledRelay(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"})
    relay.config.write_text('profile = "large"\n[profiles.large]\nmemory = "2g"\ncpus = 1.5\n')
    yield relay
    for row in relay.run("project", "list", "--json").rows:
        relay.run("project", "remove", str(row["id"]), "--yes")


def test_adding_a_project_says_what_its_first_session_cannot_have(relay: InstalledRelay) -> None:
    source = make_repository(relay.root / "alpha")
    done = relay.run("project", "add", source, "--runtime", "process", "--not-isolated")
    assert done.code == 0, done.err
    assert f"note: {NOTE}" in done.err.splitlines()
    assert "note:" not in done.out


def test_as_json_it_is_a_field_and_nothing_is_on_stderr(relay: InstalledRelay) -> None:
    source = make_repository(relay.root / "alpha")
    done = relay.run("project", "add", source, "--runtime", "process", "--not-isolated", "--json")
    assert (done.code, done.err) == (0, "")
    notes = done.document["notes"]
    assert isinstance(notes, list)
    assert NOTE in notes
