"""From a session and its profile to the container it gets, and that in words."""

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


def workspace(session: Session) -> str:
    """Where the session's programs find its clone: mounted in a container, as it lies for a process."""
    return session.work_dir if session.runtime == "process" else WORKSPACE


def container_spec(
    session: Session, project: Project, profile: Profile, identity: Identity, data_dir: Path
) -> ContainerSpec:
    """Everything about the session's container, before it exists."""
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
    """What was asked for, else the profile's, else the project's, else the configured image."""
    return wanted or profile.image or project.default_image or config.image


def unenforced_limits(profile: Profile) -> list[str]:
    """In words, what the profile sets and a process cannot have; [] when nothing."""
    words = []
    if profile.image:
        words.append(f"image {profile.image}")
    if profile.user != "host":
        words.append(f"user {profile.user}")
    words += limits(profile)
    if profile.network not in {"bridge", "none"}:
        words.append(f"network {profile.network}")
    if profile.capabilities:
        words.append(f"capabilities {', '.join(profile.capabilities)}")
    if profile.new_privileges:
        words.append("new privileges")
    return words


def limits(profile: Profile) -> list[str]:
    """In words, the limits that the profile sets; [] when none. They hold for containers alone."""
    words = []
    if profile.memory is not None:
        words.append(f"memory {format_size(profile.memory)}")
    if profile.cpus is not None:
        words.append(f"cpus {profile.cpus:g}")
    if profile.pids != DEFAULT_PROFILE.pids:
        words.append(f"pids {profile.pids}")
    return words


def runs_on(session: Session) -> str:
    """A session's image, or that it is a process, and whether that is isolated, in few words."""
    if session.runtime != "process":
        return session.image
    return "process" if session.isolated else "process, not isolated"


def spec_notes(runtime: str, isolated: bool, profile: Profile, image: str = "") -> tuple[str, ...]:
    """What a session is told to do without, to be kept with it; `image` is one that the profile does not name."""
    if runtime != "process":
        if profile.readable:
            return (f"A container cannot have what the profile sets: readable {', '.join(profile.readable)}.",)
        return ()
    notes = [] if isolated else ["It is not isolated: its command can read and write whatever you can."]
    missing = unenforced_limits(profile)
    if not isolated and profile.network == "none":
        missing.append("network none")
    if missing:
        notes.append(f"A process cannot have what the profile sets: {'; '.join(missing)}.")
    if image and image != profile.image:
        notes.append(f"A process has no image: {image} is not used.")
    return tuple(notes)


def relaxed_hardening(profile: Profile, runtime: str = "") -> list[str]:
    """In words, where the profile is less strict than the hardened default; [] when nowhere.

    Of a session only what counts for its runtime.
    """
    words = [f"may read {path}" for path in profile.readable] if runtime != "docker" else []
    if runtime == "process":
        return words
    if profile.user == "image":
        words.append("runs as the image's own user")
    elif profile.user != "host":
        words.append(f"runs as {profile.user}")
    if profile.capabilities:
        words.append(f"capabilities {', '.join(profile.capabilities)}")
    if profile.new_privileges:
        words.append("may gain privileges")
    if profile.pids > DEFAULT_PROFILE.pids:
        words.append(f"up to {profile.pids} processes")
    if profile.network not in {"bridge", "none"}:
        words.append(f"network {profile.network}")
    return words


def describe(spec: ContainerSpec, profile: Profile) -> list[tuple[str, str]]:
    """The effective container in label and value, for the form and for Info."""
    if spec.runtime == "process":
        return _describe_process(spec, profile)
    loose = relaxed_hardening(profile, spec.runtime)
    rows = [
        ("runtime", "container"),
        ("image", spec.image),
        ("profile", profile.name),
        ("command", shlex.join(spec.command) if spec.command else "none: stays alive, idle"),
        ("terminal", ("yes" if spec.tty else "no") if spec.command else ""),
        ("user", {"host": "yours (host uid:gid)", "image": "the image's own"}.get(spec.user, spec.user)),
        ("workspace", f"{WORKSPACE}: its own clone"),
        ("network", "none: cut off" if spec.network == "none" else spec.network),
        ("memory", format_size(spec.memory) if spec.memory else "no limit"),
        ("cpus", f"{spec.cpus:g}" if spec.cpus else "all"),
        ("processes", f"{spec.pids_limit} at most"),
        ("capabilities", ", ".join(spec.cap_add) or "none"),
        ("privileges", "cannot be gained" if spec.no_new_privileges else "CAN be gained"),
        ("env", " ".join(f"{key}={shlex.quote(value)}" for key, value in sorted(profile.env.items()))),
        ("hardening", "LOOSENED: " + "; ".join(loose) if loose else "full"),
    ]
    return [(label, value) for label, value in rows if value]


def _describe_process(spec: ContainerSpec, profile: Profile) -> list[tuple[str, str]]:
    network = "this machine's, its own services included"
    if spec.network == "none":
        network = "none: cut off" if spec.isolated else "this machine's: it cannot be cut off without a sandbox"
    seen = "everything you can read and write"
    if spec.isolated:
        seen = "this machine read-only, without homes, data dir, /run and /tmp"
    rows = [
        ("runtime", "process in a sandbox" if spec.isolated else "process, NOT ISOLATED"),
        ("profile", profile.name),
        ("command", shlex.join(spec.command) if spec.command else "none: stays alive, idle"),
        ("terminal", ("yes" if spec.tty else "no") if spec.command else ""),
        ("user", "yours"),
        ("workspace", f"{spec.workspace}: its own clone"),
        ("sees", seen),
        ("LOOSENED", "; ".join(relaxed_hardening(profile, spec.runtime)) if spec.isolated else ""),
        ("network", network),
        ("limits", "none hold for a process: memory, CPUs, number of processes"),
        ("does not hold", "; ".join(unenforced_limits(profile))),
        ("env", " ".join(f"{key}={shlex.quote(value)}" for key, value in sorted(profile.env.items()))),
    ]
    return [(label, value) for label, value in rows if value]
