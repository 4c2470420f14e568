"""What a session's sandbox hides of this machine, and whether a path that it is to show would open any of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from relay_tui.paths import config_file, default_data_dir, demo_home, log_file

ROOTS = ("/home", "/root", "/run", "/tmp", "/var/tmp", "/mnt", "/media")
"""Hidden as a whole; what lies in one can be shown again."""
CLOSED = ("/run", "/proc", "/sys", "/dev")
"""Nothing of these can be shown: sockets, processes, devices."""
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
_OF_HOME = (
    ".ssh", ".aws", ".config/gh", ".netrc", ".gnupg", ".docker", ".kube", ".azure", ".git-credentials",
    ".config/git/credentials", ".config/gcloud", ".config/glab-cli", ".config/hub", ".config/rclone", ".config/op",
    ".config/sops", ".password-store", ".vault-token", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".terraform.d",
    ".local/share/keyrings", ".local/share/kwalletd", ".mozilla", ".thunderbird", ".config/google-chrome",
    ".config/chromium", ".config/BraveSoftware", ".bash_history", ".zsh_history", ".python_history",
)
# fmt: on
_VITAL = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/nix", "/gnu")
"""Nothing runs without them. Accounts of services may have their home there, or have `/` for one."""
_MASKED = (".cargo/credentials", ".cargo/credentials.toml")
"""Secrets among tools: the tools can be shown without them."""
_DIRECTORIES = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
_PLACES = ("GNUPGHOME", "DOCKER_CONFIG", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "KUBECONFIG", "NETRC")
_FILES = ("SSH_AUTH_SOCK", "GOOGLE_APPLICATION_CREDENTIALS", "GIT_ASKPASS", "RELAY_CONFIG")


def homes() -> Iterator[Path]:
    """Our own home, wherever it is, and whatever the variables of the desktop call so; but for vital ones."""
    named = [Path(value) for name in _DIRECTORIES if (value := os.environ.get(name, "")).startswith("/")]
    yield from (home for home in (own_home(), *named) if not is_system_path(home))


def is_system_path(path: Path) -> bool:
    """Whether the system itself would be hidden with it: `/`, a directory of programs or devices."""
    real = _real(path)
    return any(Path(place).is_relative_to(real) or _real(Path(place)) == real for place in _VITAL)


def secrets_of_homes() -> Iterator[Path]:
    """What is known to hold secrets in a home, to be hidden by itself where the home cannot be."""
    for home in {own_home(), Path.home()}:
        yield from (home / name for name in _OF_HOME)


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links, or one that may not be read
        return path


def own_home() -> Path:
    """As the machine's accounts have it; a uid may have no entry there."""
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path(os.environ.get("HOME") or "/nonexistent")


def named_secrets() -> Iterator[Path]:
    """Files and directories with secrets that variables of our environment name, with links followed."""
    for variable in _PLACES:
        for name in os.environ.get(variable, "").split(":"):
            if name.startswith("/"):
                yield Path(name).resolve()
    for variable in _FILES:
        if (name := os.environ.get(variable, "")).startswith("/"):
            yield Path(name).resolve()


def expanded(shown: str) -> Path:
    """A path as it is written in a profile: `~` is our home."""
    return Path(shown).expanduser()


def exposes_hidden(shown: str, data_dir: Path | None = None) -> str:
    """What of that which is hidden could be read if `shown` were; '' if nothing. Links are followed."""
    lexical = Path(os.path.normpath(expanded(shown)))
    if opened := _opened(lexical, data_dir):
        return opened
    try:
        return _opened(lexical.resolve(), data_dir)
    except (OSError, RuntimeError):  # a loop of links, or one that may not be read: nobody knows where it leads
        return str(lexical)


def _opened(path: Path, data_dir: Path | None) -> str:
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
    """Files with secrets within a path that may be shown: they are shown empty."""
    places = [home / name for home in {own_home(), Path.home()} for name in _MASKED]
    if cargo := os.environ.get("CARGO_HOME", ""):
        places += [Path(cargo) / Path(name).name for name in _MASKED]
    real = path.resolve()
    return sorted({place for place in places if place.is_file() and place.resolve().is_relative_to(real)})
