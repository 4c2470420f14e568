"""Parser for repository addresses. It refuses every address that git must never get."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from relay_tui.domain.errors import InvalidInputError
from relay_tui.ports import CloneSource

_SCHEMES = ("https", "http", "ssh", "git", "file")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HELPER = re.compile(r"^[A-Za-z0-9][\w+.-]*::")
_URL = re.compile(r"^([A-Za-z][\w+.-]*)://")
_SCP = re.compile(r"^(?:\[[^\]/]*\]|[^/\[:]+|[^/\[:]+@\[[^\]/]*\]):")
_SCP_PASSWORD = re.compile(r"^[^/:@]*:[^/@]*@[^/:@]+[:/]")
_SECRET_KEY = re.compile(r"token|secret|passw|pwd|auth|key|credential|signature|^sig$", re.IGNORECASE)
_KINDS = "Give an https, ssh, git or file URL, git@host:path, or the path of a local repository."


def parse_source(text: str) -> CloneSource:
    """Split secrets off and make local paths absolute.

    Raises InvalidInputError, field 'source', without a secret in its text.
    """
    text = text.strip()
    if not text:
        raise _source_error("A repository is needed", _KINDS)
    if text.startswith("-"):
        raise _source_error("A repository cannot begin with '-'", "For a local path of that name, write ./ before it.")
    if _CONTROL.search(text):
        raise _source_error("A repository cannot contain line breaks or control characters", "Remove them.")
    if _HELPER.match(text):
        raise _source_error(f"relay does not clone through the remote helper '{text.partition('::')[0]}'", _KINDS)
    if match := _URL.match(text):
        return _from_url(match[1].lower(), text[match.end() :])
    if _SCP.match(text) and not _exists(Path(text)):
        return _from_scp(text)
    return CloneSource(url=str(_local(text)))


def is_local(url: str) -> bool:
    """Return whether a parsed URL is on this host: an absolute path or a file URL."""
    return url.startswith(("/", "file://"))


def _source_error(title: str, hint: str) -> InvalidInputError:
    return InvalidInputError("source", title, hint=hint)


def _from_url(scheme: str, rest: str) -> CloneSource:
    if scheme not in _SCHEMES:
        raise _source_error(f"relay cannot clone from {scheme}:// addresses", _KINDS)
    if scheme == "file":
        return _from_file_url(rest)
    parts = _split(scheme, rest)
    userinfo, _, host = parts.netloc.rpartition("@")
    if host.startswith("-"):
        raise _source_error("A host name cannot begin with '-'", _KINDS)
    username, _, password = (unquote(part) for part in userinfo.partition(":"))
    if _CONTROL.search(username + password):
        raise _source_error("A user name or password cannot contain control characters", "Check what follows each '%'.")
    if scheme == "ssh":
        user = userinfo.partition(":")[0]
        return CloneSource(url=parts._replace(netloc=f"{user}@{host}" if user else host).geturl(), password=password)
    bare = parts._replace(netloc=host).geturl()
    if scheme == "git":  # the protocol has no users
        return CloneSource(url=bare)
    return CloneSource(url=bare, username=username, password=password)


def _split(scheme: str, rest: str) -> SplitResult:
    """Split a URL. Raises InvalidInputError without a host and a valid port, or with a secret in the query.

    A secret in the query cannot be separated from the address. It would be stored, shown and sent with it.
    """
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise _source_error(
            f"This {scheme} address has no valid host or port",
            "Percent-encode special characters in a user name or password: '/' as %2F, '@' as %40, '#' as %23.",
        )
    if any(_SECRET_KEY.search(key) for key, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise _source_error(
            "This address has a secret after its '?'",
            "Write the token before the host instead: https://user:TOKEN@host/path.",
        )
    return parts


def _from_file_url(rest: str) -> CloneSource:
    if not rest.startswith("/"):
        raise _source_error(
            "A file URL needs an absolute path", "Write it with three slashes: file:///path/to/repository."
        )
    path = Path(unquote(rest))
    if not _exists(path):
        raise _source_error(f"There is nothing at {path}", "Check the path.")
    return CloneSource(url=f"file://{rest}")


def _from_scp(text: str) -> CloneSource:
    if _SCP_PASSWORD.match(text):
        raise _source_error(
            "An address like user@host:path cannot have a password",
            "Use an ssh key, or an https:// URL.",
        )
    host = text.rpartition("@")[2] if "@" in text.partition(":")[0] else text
    if host.startswith("-"):
        raise _source_error("A host name cannot begin with '-'", _KINDS)
    return CloneSource(url=text)


def _local(text: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise _source_error(
            f"There is no home directory for {text.partition('/')[0]}", "Write the path in full."
        ) from error
    path = path.resolve() if ".." in path.parts else path.absolute()
    if not _exists(path):
        hint = "Check the path."
        if re.match(r"^[\w-]+(\.[\w-]+)+/", text):
            hint = f"For a repository on a server, give the whole URL: https://{text}"
        raise _source_error(f"There is nothing at {path}", hint)
    return path


def _exists(path: Path) -> bool:
    """Return whether the path exists, also if relay may not look at it: git reports that with the reason."""
    try:
        return path.exists()
    except PermissionError:
        return True
    except OSError:
        return False
