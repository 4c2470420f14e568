"""Container specification of a session, and its description as text."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from relay_tui.config import DEFAULT_PROFILE, Config, Profile
from relay_tui.text.format import format_size

if TYPE_CHECKING:
    from relay_tui.domain.models import Identity, Project, Session
    from relay_tui.ports import ContainerSpec


WORKSPACE = "/workspace"

HARDENING, NOT_ENFORCED = "hardening", "not enforced"
"""Labels of describe() that the screen can highlight."""


def workspace(session: Session) -> str:
    """Return the clone's path for the session's programs: a mount in a container, the real path for a process."""
    return session.work_dir if session.runtime == "process" else WORKSPACE


def container_spec(
    session: Session, project: Project, profile: Profile, identity: Identity, data_dir: Path
) -> ContainerSpec:
    """Return the specification from which the runtime creates the session's container."""
    from relay_tui.ports import ContainerSpec

    return ContainerSpec(
        name=f"relay-{project.name}-{session.name}-{session.id[-4:]}".lower(),
        image=session.image,
        command=profile.command,
        tty=profile.tty,
        workspace=Path(session.work_dir),
        user=profile.user,
        identity=identity,
        env=MappingProxyType(
            dict(profile.env)
            | {
                "RELAY_WORKSPACE_DIR": workspace(session),
                "RELAY_SESSION": session.name,
                "RELAY_PROJECT": project.name,
                "RELAY_BRANCH": session.branch,
            }
        ),
        labels=MappingProxyType(
            {
                "relay.data-dir": str(data_dir),
                "relay.project": project.id,
                "relay.session": session.id,
                "relay.name": f"{project.name}/{session.name}",
            }
        ),
        cap_add=profile.capabilities,
        no_new_privileges=not profile.new_privileges,
        pids_limit=profile.pids,
        cpus=profile.cpus,
        memory=profile.memory,
        network=profile.network,
        runtime=session.runtime,
        isolated=session.isolated,
        readable=profile.readable,
    )


def choose_image(wanted: str, profile: Profile, project: Project, config: Config) -> str:
    """Return the requested image, else the profile's, else the project's, else the configured one."""
    return wanted or profile.image or project.default_image or config.image


def unenforced_limits(profile: Profile) -> list[str]:
    """Return the profile's settings that a process cannot have, as text."""
    settings = []
    if profile.image:
        settings.append(f"image {profile.image}")
    if profile.user != "host":
        settings.append(f"user {profile.user}")
    settings += limits(profile)
    if profile.network not in {"bridge", "none"}:
        settings.append(f"network {profile.network}")
    if profile.capabilities:
        settings.append(f"capabilities {', '.join(profile.capabilities)}")
    if profile.new_privileges:
        settings.append("new privileges")
    return settings


def limits(profile: Profile) -> list[str]:
    """Return the limits that the profile sets, as text. They are enforced only for containers."""
    settings = []
    if profile.memory is not None:
        settings.append(f"memory {format_size(profile.memory)}")
    if profile.cpus is not None:
        settings.append(f"cpus {profile.cpus:g}")
    if profile.pids != DEFAULT_PROFILE.pids:
        settings.append(f"pids {profile.pids}")
    return settings


def runs_on(session: Session) -> str:
    """Return the session's image, or 'process', or 'process, not isolated'."""
    if session.runtime != "process":
        return session.image
    return "process" if session.isolated else "process, not isolated"


def spec_notes(runtime: str, isolated: bool, profile: Profile, image: str = "") -> tuple[str, ...]:
    """Return the notes of a new session about settings that are not used.

    `image` is a requested image or the project's.
    """
    if runtime != "process":
        if profile.readable:
            return (f"A container cannot use a setting of the profile: readable {', '.join(profile.readable)}.",)
        return ()
    notes = [] if isolated else ["The session is not isolated: its command can read and write everything that you can."]
    missing = unenforced_limits(profile)
    if not isolated and profile.network == "none":
        missing.append("network none")
    if missing:
        notes.append(f"A process cannot use settings of the profile: {'; '.join(missing)}.")
    if image and image != profile.image:
        notes.append(f"A process has no image: {image} is not used.")
    return tuple(notes)


def relaxed_hardening(profile: Profile, runtime: str = "") -> list[str]:
    """Return the settings that are less strict than the hardened default, as text.

    With `runtime`, only the settings that have an effect on that runtime.
    """
    settings = [f"may read {path}" for path in profile.readable] if runtime != "docker" else []
    if runtime == "process":
        return settings
    if profile.user == "image":
        settings.append("runs as the image's own user")
    elif profile.user != "host":
        settings.append(f"runs as {profile.user}")
    if profile.capabilities:
        settings.append(f"capabilities {', '.join(profile.capabilities)}")
    if profile.new_privileges:
        settings.append("may gain privileges")
    if profile.pids > DEFAULT_PROFILE.pids:
        settings.append(f"up to {profile.pids} processes")
    if profile.network not in {"bridge", "none"}:
        settings.append(f"network {profile.network}")
    return settings


def describe(spec: ContainerSpec, profile: Profile) -> list[tuple[str, str]]:
    """Return label and value of each property of the container, for the form and the Info tab."""
    if spec.runtime == "process":
        return _describe_process(spec, profile)
    relaxed = relaxed_hardening(profile, spec.runtime)
    rows = [
        ("runtime", "container"),
        ("image", spec.image),
        ("profile", profile.name),
        ("command", shlex.join(spec.command) if spec.command else "none: stays alive, idle"),
        ("terminal", ("yes" if spec.tty else "no") if spec.command else ""),
        ("user", {"host": "yours (host uid:gid)", "image": "the image's own"}.get(spec.user, spec.user)),
        ("workspace", f"{WORKSPACE}: the session's clone"),
        ("network", "none: no network" if spec.network == "none" else spec.network),
        ("memory", format_size(spec.memory) if spec.memory else "no limit"),
        ("cpus", f"{spec.cpus:g}" if spec.cpus else "all"),
        ("processes", f"at most {spec.pids_limit}"),
        ("capabilities", ", ".join(spec.cap_add) or "none"),
        ("privileges", "cannot be gained" if spec.no_new_privileges else "CAN be gained"),
        ("env", " ".join(f"{key}={shlex.quote(value)}" for key, value in sorted(profile.env.items()))),
        (HARDENING, f"relaxed: {'; '.join(relaxed)}" if relaxed else "full"),
    ]
    return [(label, value) for label, value in rows if value]


def _describe_process(spec: ContainerSpec, profile: Profile) -> list[tuple[str, str]]:
    relaxed = relaxed_hardening(profile, spec.runtime)
    network = "this machine's, including its local services"
    if spec.network == "none":
        network = "none: no network" if spec.isolated else "this machine's: it cannot be disabled without a sandbox"
    access = "everything that you can read and write"
    if spec.isolated:
        access = "this machine read-only, without homes, data directory, /run and /tmp"
    rows = [
        ("runtime", "process in a sandbox" if spec.isolated else "process, NOT ISOLATED"),
        ("profile", profile.name),
        ("command", shlex.join(spec.command) if spec.command else "none: stays alive, idle"),
        ("terminal", ("yes" if spec.tty else "no") if spec.command else ""),
        ("user", "yours"),
        ("workspace", f"{spec.workspace}: the session's clone"),
        ("access", access),
        (HARDENING, f"relaxed: {'; '.join(relaxed)}" if relaxed and spec.isolated else ""),
        ("network", network),
        ("limits", "none for a process: memory, CPUs and number of processes are unlimited"),
        (NOT_ENFORCED, "; ".join(unenforced_limits(profile))),
        ("env", " ".join(f"{key}={shlex.quote(value)}" for key, value in sorted(profile.env.items()))),
    ]
    return [(label, value) for label, value in rows if value]
