"""Paths that the sandbox of a process session hides, and a check that a visible path exposes none of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from relay_tui.paths import config_file, default_data_dir, demo_home, log_file

ROOTS = ("/home", "/root", "/run", "/tmp", "/var/tmp", "/mnt", "/media")
"""Hidden completely. Paths below them can be made visible."""
CLOSED = ("/run", "/proc", "/sys", "/dev")
"""Nothing below these can be made visible: sockets, processes, devices."""
SECRETS_OF_ROOT = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/krb5.keytab")
DIRECTORIES_OF_ROOT = (
    "/var/lib/docker",
    "/var/lib/containerd",
    "/etc/ssl/private",
    "/var/spool",
    "/var/backups",
    "/boot",
)
# fmt: off
_SECRETS_OF_HOME = (
    ".ssh", ".aws", ".config/gh", ".netrc", ".gnupg", ".docker", ".kube", ".azure", ".git-credentials",
    ".config/git/credentials", ".config/gcloud", ".config/glab-cli", ".config/hub", ".config/rclone", ".config/op",
    ".config/sops", ".password-store", ".vault-token", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".terraform.d",
    ".local/share/keyrings", ".local/share/kwalletd", ".mozilla", ".thunderbird", ".config/google-chrome",
    ".config/chromium", ".config/BraveSoftware", ".bash_history", ".zsh_history", ".python_history",
)
# fmt: on
_SYSTEM_PATHS = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/nix", "/gnu")
"""Programs need these. Service accounts may have their home there, or `/` as their home."""
_MASKED_FILES = (".cargo/credentials", ".cargo/credentials.toml")
"""Secrets inside tool directories. The directories can be visible without these files."""
_DIRECTORY_VARIABLES = (
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
)
_PATH_VARIABLES = (
    "GNUPGHOME",
    "DOCKER_CONFIG",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "KUBECONFIG",
    "NETRC",
)
_FILE_VARIABLES = ("SSH_AUTH_SOCK", "GOOGLE_APPLICATION_CREDENTIALS", "GIT_ASKPASS", "RELAY_CONFIG")


def homes() -> Iterator[Path]:
    """Yield the user's home and the directories that the desktop's variables name, without system paths."""
    named = [Path(value) for name in _DIRECTORY_VARIABLES if (value := os.environ.get(name, "")).startswith("/")]
    yield from (home for home in (own_home(), *named) if not is_system_path(home))


def is_system_path(path: Path) -> bool:
    """Return whether hiding `path` would hide the system: `/`, or a directory of programs or devices."""
    real = _real(path)
    return any(Path(place).is_relative_to(real) or _real(Path(place)) == real for place in _SYSTEM_PATHS)


def secrets_of_homes() -> Iterator[Path]:
    """Yield known secrets in homes. They are hidden one by one if a home cannot be hidden."""
    for home in {own_home(), Path.home()}:
        yield from (home / name for name in _SECRETS_OF_HOME)


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links, or an unreadable link
        return path


def own_home() -> Path:
    """Return the home in the account database. A uid without an entry uses $HOME."""
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(os.environ.get("HOME") or "/nonexistent")


def named_secrets() -> Iterator[Path]:
    """Yield the secrets that environment variables name, with links resolved."""
    for variable in _PATH_VARIABLES:
        for name in os.environ.get(variable, "").split(":"):
            if name.startswith("/"):
                yield Path(name).resolve()
    for variable in _FILE_VARIABLES:
        if (name := os.environ.get(variable, "")).startswith("/"):
            yield Path(name).resolve()


def expand_home(shown: str) -> Path:
    """Expand `~` in a path of a profile."""
    return Path(shown).expanduser()


def exposes_hidden(shown: str, data_dir: Path | None = None) -> str:
    """Return the hidden path that making `shown` visible would expose, or ''. Links are followed."""
    lexical = Path(os.path.normpath(expand_home(shown)))
    if exposed := _exposed_path(lexical, data_dir):
        return exposed
    try:
        return _exposed_path(lexical.resolve(), data_dir)
    except (OSError, RuntimeError):  # a loop of links, or an unreadable link: its target is unknown
        return str(lexical)


def _exposed_path(path: Path, data_dir: Path | None) -> str:
    closed = next((place for place in CLOSED if path.is_relative_to(place)), "")
    outer = next((place for place in ROOTS if Path(place).is_relative_to(path)), "")
    if closed or outer:
        return closed or outer
    for home in homes():
        if home.is_relative_to(path) or home.resolve().is_relative_to(path):
            return str(home)
    for secret in _secrets(data_dir):
        if any(path.is_relative_to(one) or one.is_relative_to(path) for one in {secret, secret.resolve()}):
            return str(secret)
    return ""


def _secrets(data_dir: Path | None) -> Iterator[Path]:
    yield from secrets_of_homes()
    yield from named_secrets()
    yield from (data_dir or default_data_dir(), demo_home(), log_file(), config_file())
    yield from map(Path, (*SECRETS_OF_ROOT, *DIRECTORIES_OF_ROOT))


def files_to_mask(path: Path) -> list[Path]:
    """Return the secret files within a visible path. The sandbox shows them as empty files."""
    paths = [home / name for home in {own_home(), Path.home()} for name in _MASKED_FILES]
    if cargo := os.environ.get("CARGO_HOME", ""):
        paths += [Path(cargo) / Path(name).name for name in _MASKED_FILES]
    real = path.resolve()
    return sorted({file for file in paths if file.is_file() and file.resolve().is_relative_to(real)})
