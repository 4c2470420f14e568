"""References typed by the user, and the text for a session's container."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from relay_tui.config import Config, Profile
from relay_tui.domain.errors import ConflictError, NotFoundError
from relay_tui.domain.models import Identity, Project, Records, Session
from relay_tui.services.naming import find_project, find_session, slug, suggest_project
from relay_tui.services.sessions.container_spec import choose_image, container_spec, describe, relaxed_hardening
from relay_tui.text.format import format_size

GONE = "2026-11-01T00:00:00Z"


def project(key: str, name: str, **other: str) -> Project:
    return Project(id=key, name=name, source="/r", **other)  # type: ignore[arg-type]


def session(key: str, of: str, name: str, deleted_at: str | None = None) -> Session:
    return Session(
        id=key,
        project_id=of,
        name=name,
        branch=name,
        base_branch="main",
        image="img",
        profile="default",
        work_dir=f"/data/{key}",
        deleted_at=deleted_at,
    )


RECORDS = Records(
    MappingProxyType(
        {p.id: p for p in (project("aaa111", "web"), project("aaa222", "api"), project("old", "web", deleted_at=GONE))}
    ),
    MappingProxyType(
        {
            s.id: s
            for s in (
                session("sss111", "aaa111", "main"),
                session("sss222", "aaa222", "main"),
                session("sss333", "aaa222", "topic"),
                session("sss444", "aaa222", "done", GONE),
            )
        }
    ),
)


def test_projects_are_found_by_name_id_and_unique_prefix() -> None:
    assert [find_project(RECORDS, r).id for r in ("web", "aaa222", "aaa2")] == ["aaa111", "aaa222", "aaa222"]
    with pytest.raises(ConflictError) as several:
        find_project(RECORDS, "aaa")
    assert several.value.detail.splitlines() == ["api (aaa222)", "web (aaa111)"]
    for nothing in ("old", "aa", "", "WEB"):
        with pytest.raises(NotFoundError) as missing:
            find_project(RECORDS, nothing)
        assert "api, web" in missing.value.hint


def test_sessions_are_found_by_name_id_prefix_and_within_their_project() -> None:
    found = {"topic": "sss333", "sss2": "sss222", "web/main": "sss111", "aaa2/main": "sss222", "api/sss333": "sss333"}
    assert {reference: find_session(RECORDS, reference).id for reference in found} == found
    with pytest.raises(ConflictError, match="could be any of 2") as several:
        find_session(RECORDS, "main")
    assert several.value.detail.splitlines() == ["web/main (sss111)", "api/main (sss222)"]
    for nothing in ("done", "sss444", "web/topic", "/main"):
        with pytest.raises(NotFoundError):
            find_session(RECORDS, nothing)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://host/pallets/flask.git", "flask"),
        ("git@host:team/My Tool.git/", "My-Tool"),
        ("/repositories/thing/.git", "thing"),
        ("host:x", "x"),
        ("https://host/", "host"),
        ("/", "project"),
        ("https://host/api.git", "api-2"),
    ],
)
def test_a_project_is_named_after_its_source(source: str, name: str) -> None:
    assert suggest_project(source, RECORDS) == name


@pytest.mark.parametrize("hostile", ["\x1b]0;x\x07", "../..", "-rf", "日本語", "a" * 99, "[@click=app.quit]y", ""])
def test_a_slug_is_always_a_usable_name(hostile: str) -> None:
    from relay_tui.services.naming import check_name

    check_name(slug(hostile, "session"))


# --- the container in words ---


def test_the_container_of_a_session_says_whose_it_is() -> None:
    profile = Profile(name="agent", env=MappingProxyType({"RELAY_SESSION": "spoofed", "CI": "1"}))
    spec = container_spec(RECORDS.sessions["sss333"], RECORDS.projects["aaa222"], profile, Identity(), Path("/data"))
    assert spec.name == "relay-api-topic-s333"
    assert dict(spec.env) == {
        "CI": "1",
        "RELAY_WORKSPACE_DIR": "/workspace",
        "RELAY_SESSION": "topic",
        "RELAY_PROJECT": "api",
        "RELAY_BRANCH": "topic",
    }
    assert (spec.cap_drop, spec.cap_add, spec.no_new_privileges, spec.workspace) == (
        ("ALL",),
        (),
        True,
        Path("/data/sss333"),
    )


def test_the_image_is_the_first_that_anyone_named() -> None:
    config = Config(path=Path("config.toml"), image="configured")
    bare, own = Profile(name="p"), Profile(name="p", image="profile's")
    plain, choosy = project("p1", "x"), project("p1", "x", default_image="project's")
    assert choose_image("asked", own, choosy, config) == "asked"
    assert choose_image("", own, choosy, config) == "profile's"
    assert choose_image("", bare, choosy, config) == "project's"
    assert choose_image("", bare, plain, config) == "configured"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": "image"}, "runs as the image's own user"),
        ({"user": "root"}, "runs as root"),
        ({"capabilities": ("NET_ADMIN", "SYS_PTRACE")}, "capabilities NET_ADMIN, SYS_PTRACE"),
        ({"new_privileges": True}, "may gain privileges"),
        ({"pids": 5000}, "up to 5000 processes"),
        ({"network": "host"}, "network host"),
    ],
)
def test_whatever_loosens_is_said_in_words(change: dict[str, object], words: str) -> None:
    profile = replace(Profile(name="p"), **change)  # type: ignore[arg-type]
    assert relaxed_hardening(profile) == [words]
    spec = container_spec(RECORDS.sessions["sss111"], RECORDS.projects["aaa111"], profile, Identity(), Path("/data"))
    assert dict(describe(spec, profile))["hardening"] == f"relaxed: {words}"


def test_what_is_stricter_than_the_default_is_not_called_loose() -> None:
    profile = Profile(name="p", network="none", pids=10, cpus=0.5, memory=512 << 20, command=("make", "a b"))
    assert relaxed_hardening(profile) == []
    spec = container_spec(RECORDS.sessions["sss111"], RECORDS.projects["aaa111"], profile, Identity(), Path("/data"))
    told = dict(describe(spec, profile))
    assert (told["hardening"], told["network"], told["memory"], told["cpus"], told["command"]) == (
        "full",
        "none: no network",
        "512 MiB",
        "0.5",
        "make 'a b'",
    )


def test_sizes_in_words() -> None:
    assert [format_size(size) for size in (0, 1023, 1024, 3 << 29, 4 << 40, 5000 << 40)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "1.5 GiB",
        "4 TiB",
        "5000 TiB",
    ]
