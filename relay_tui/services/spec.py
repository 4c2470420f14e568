"""From a session and its profile to the container it gets, and that in words."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import MappingProxyType

from relay_tui.config import DEFAULT_PROFILE, Config, Profile
from relay_tui.model import Identity, Project, Session
from relay_tui.services.ports import ContainerSpec

WORKSPACE = "/workspace"


def container_spec(
    session: Session, project: Project, profile: Profile, identity: Identity, data_dir: Path
) -> ContainerSpec:
    """Everything about the session's container, before it exists."""
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
                "RELAY_WORKSPACE_DIR": WORKSPACE,
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
    )


def choose_image(wanted: str, profile: Profile, project: Project, config: Config) -> str:
    """What was asked for, else the profile's, else the project's, else the configured image."""
    return wanted or profile.image or project.default_image or config.image


def loosened(profile: Profile) -> list[str]:
    """In words, where the profile is less strict than the hardened default; [] when nowhere."""
    words = []
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
    loose = loosened(profile)
    rows = [
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


def format_size(size: int) -> str:
    """Bytes in a few characters: '512 MiB', '1.5 GiB'."""
    value, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.3g} {units[0]}" if value < 1000 else f"{value:.0f} {units[0]}"
