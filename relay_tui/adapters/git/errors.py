"""Errors for failed git commands: a title and a hint for each known cause in git's output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from relay_tui.adapters.git.process import Outcome
from relay_tui.domain.errors import FileSystemError, GitError, InvalidInputError, RelayError

_SHOWN_LINES = 20
_NOISE = re.compile(r"^(Cloning into |done\.$|Submodule .* registered for path |warning: redirecting to )")
_USERINFO = re.compile(r"\b(https?://)[^/\s'\"]*@|\b([a-z][a-z0-9+.-]*://)[^/\s'\":@]*:[^/\s'\"]*@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Cause:
    """Known cause of a failure: a pattern in git's output, the title and hint, and the error class."""

    pattern: str
    title: str
    hint: str = ""
    raised: type[RelayError] = GitError


_LOGIN_HINT = (
    "Add the user name and an access token to the address, as in https://user:TOKEN@host/path, "
    "or set up a git credential helper on this host."
)
_NEEDS_LOGIN = _Cause(
    r"could not read (Username|Password)|terminal prompts disabled",
    "The server asks for a user name and password",
    _LOGIN_HINT,
)
_WRONG_LOGIN = _Cause(
    r"Authentication failed for|HTTP Basic: Access denied|Invalid username or (password|token)|returned error: 401",
    "Wrong user name or password",
    "Check both. Many servers require an access token instead of the password.",
)

_CAUSES = (
    _Cause(
        r"No space left on device|Disk quota exceeded",
        "The disk is full",
        "Free some space and try again.",
        FileSystemError,
    ),
    _Cause(
        r"Read-only file system",
        "The disk is read-only",
        "Make the file system writable, or choose another directory.",
        FileSystemError,
    ),
    _Cause(
        r"(could not create|cannot mkdir|unable to create|could not open|cannot create|unable to write)"
        r"[^\n]*: Permission denied",
        "Cannot write to the directory",
        "Check its owner and permissions.",
        FileSystemError,
    ),
    _NEEDS_LOGIN,
    _WRONG_LOGIN,
    _Cause(
        r"returned error: 403",
        "The server refuses access to this repository",
        "Check that the account or token may read it.",
    ),
    _Cause(
        r"dubious ownership|unsafe repository",
        "git does not trust this repository, because another user owns it",
        "If you trust it, run: git config --global --add safe.directory PATH",
    ),
    _Cause(
        r"Could not resolve host|unable to look up|Could not resolve hostname|Name or service not known"
        r"|Temporary failure in name resolution",
        "Cannot resolve the host name",
        "Check the spelling of the host, and this machine's network and DNS.",
    ),
    _Cause(
        r"Connection refused|Failed to connect to .*(Couldn't connect|Could not connect)",
        "The server refuses the connection",
        "Check the host and port, and that the server is running.",
    ),
    _Cause(
        r"timed out|Operation too slow|Timeout was reached",
        "The server does not answer",
        "Check the host and port, and any proxy or firewall.",
    ),
    _Cause(
        r"No route to host|Network is unreachable|Couldn't connect to server|unable to connect to",
        "Cannot reach the server",
        "Check the host and port, and this machine's network.",
    ),
    _Cause(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "The server's ssh host key is not known",
        "Connect to the server once with ssh, compare the fingerprint and accept it. Then try again.",
    ),
    _Cause(
        r"Permission denied \([\w,-]*(publickey|password|keyboard-interactive|gssapi)",
        "The server refuses your ssh key",
        "Check with ssh -v, and that ssh-agent has the key: relay cannot ask for a passphrase.",
    ),
    _Cause(
        r"SSL certificate problem|server certificate verification failed|gnutls_handshake|SSL_ERROR|SSL: |certificate",
        "The server's TLS certificate is not trusted",
        "Add its certificate authority to this machine, or set http.sslCAInfo in git's configuration.",
    ),
    _Cause(
        r"transport '[^']*' not allowed",
        "git is not allowed to use this kind of address",
        "relay clones through https, http, ssh, git and file addresses only.",
    ),
    _Cause(
        r"Remote branch .* not found in upstream",
        "There is no such branch",
        "Choose one of the repository's branches.",
    ),
    _Cause(
        r"repository '[^\n]*' not found|does not appear to be a git repository|[Rr]epository not found"
        r"|repository not exported|repository '[^\n]*' does not exist|returned error: 404|not a git repository",
        "There is no git repository at that address",
        "Check the address, and that the account you use may see the repository.",
    ),
    _Cause(
        r"hung up unexpectedly|early EOF|unexpected disconnect|RPC failed|Empty reply from server|Connection reset",
        "The connection was interrupted",
        "Try again. If it happens every time, the server or a proxy may limit size or time.",
    ),
    _Cause(
        r"Could not read from remote repository",
        "Cannot read the remote repository",
        "Check the address, and that you may read the repository.",
    ),
)


def git_error(outcome: Outcome, title: str, secrets: Sequence[str] = ()) -> RelayError:
    """Return the error for a git command that failed, titled `title` if its cause is not a known one.

    The detail is git's output without `secrets`.
    """
    text = "\n".join(outcome.lines)
    # a "remote: " line about a full disk is about the server's disk
    local = "\n".join(line for line in outcome.lines if not line.startswith("remote: "))
    detail = redact("\n".join(relevant_lines(outcome.lines)[-_SHOWN_LINES:]), secrets)
    for cause in _CAUSES:
        if re.search(cause.pattern, local if cause.raised is FileSystemError else text):
            return cause.raised(cause.title, detail, cause.hint)
    if not detail:
        ended = f"was killed by signal {-outcome.code}" if outcome.code < 0 else f"ended with exit code {outcome.code}"
        detail = f"git {ended} without a message."
    return GitError(title, detail)


def branch_exists_error(outcome: Outcome, name: str) -> InvalidInputError | None:
    """Return the error for a new branch that an existing one prevents, None if git failed for another reason."""
    detail = "\n".join(relevant_lines(outcome.lines))
    if re.search(r"already exists|cannot lock ref|cannot create.*refs/heads", detail):
        return InvalidInputError("branch", f"Cannot create the branch {name}: another branch conflicts with it", detail)
    return None


def disk_error(outcome: Outcome) -> FileSystemError | None:
    """Return the error for a command that failed because of this host's disk, None if it failed otherwise."""
    error = git_error(outcome, "")
    return error if isinstance(error, FileSystemError) else None


def wants_login(outcome: Outcome) -> bool:
    """Return whether git failed because the server requires a login."""
    text = "\n".join(outcome.lines)
    return any(re.search(cause.pattern, text) for cause in (_NEEDS_LOGIN, _WRONG_LOGIN))


def relevant_lines(lines: Sequence[str]) -> list[str]:
    """Return git's output without blank lines and routine messages."""
    return [line for line in lines if line.strip() and not _NOISE.match(line)]


def last_lines(outcome: Outcome) -> str:
    """Return the first error line of a failed command without secrets, or its first line, or its exit code."""
    lines = relevant_lines(outcome.lines)
    errors = [line for line in lines if re.match(r"(fatal|error): ", line) and "Retry scheduled" not in line]
    first = next(iter(errors or lines), f"exit code {outcome.code}")
    return redact(re.sub(r"^(fatal|error): ", "", first), ())


def redact(text: str, secrets: Sequence[str]) -> str:
    """Replace the secrets in `text`, and the user and password of each URL."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _USERINFO.sub(lambda match: f"{match[1] or match[2]}***@", text)
