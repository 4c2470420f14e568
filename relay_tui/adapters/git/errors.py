"""git's complaints, told apart: each known cause gets its own title and what to do next."""

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
    """One known cause: what git says, what we say, and the class it is reported as."""

    pattern: str
    title: str
    hint: str = ""
    raised: type[RelayError] = GitError


_LOGIN_HINT = (
    "Put the user name and an access token into the address, as https://user:TOKEN@host/path, "
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
    "Check them; many servers want an access token in the place of the password.",
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
        "Choose another data directory with --data-dir or $RELAY_DATA_DIR.",
        FileSystemError,
    ),
    _Cause(
        r"(could not create|cannot mkdir|unable to create|could not open|cannot create|unable to write)"
        r"[^\n]*: Permission denied",
        "The data directory cannot be written",
        "Check who owns it, and its permissions.",
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
        "git does not trust this repository, because somebody else owns it",
        "If you trust it, run: git config --global --add safe.directory PATH",
    ),
    _Cause(
        r"Could not resolve host|unable to look up|Could not resolve hostname|Name or service not known"
        r"|Temporary failure in name resolution",
        "The host name cannot be resolved",
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
        "Check the host and port, and any proxy or firewall between.",
    ),
    _Cause(
        r"No route to host|Network is unreachable|Couldn't connect to server|unable to connect to",
        "The server cannot be reached",
        "Check the host and port, and this machine's network.",
    ),
    _Cause(
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "The server's ssh host key is not known",
        "Connect to it once by hand with ssh, compare the fingerprint and accept it. Then try again.",
    ),
    _Cause(
        r"Permission denied \([\w,-]*(publickey|password|keyboard-interactive|gssapi)",
        "The server refuses your ssh key",
        "Check with ssh -v, and that ssh-agent holds the key: relay cannot be asked for a passphrase.",
    ),
    _Cause(
        r"SSL certificate problem|server certificate verification failed|gnutls_handshake|SSL_ERROR|SSL: |certificate",
        "The server's TLS certificate is not trusted",
        "Add its authority to this machine, or set http.sslCAInfo for it in git's configuration.",
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
        "The connection broke off",
        "Try again. If it keeps breaking, the server or a proxy between may limit size or time.",
    ),
    _Cause(
        r"Could not read from remote repository",
        "The remote repository cannot be read",
        "Check the address, and that you may read the repository.",
    ),
)


def git_error(outcome: Outcome, what: str, secrets: Sequence[str] = ()) -> RelayError:
    """The error for a git command that failed. `what` is the title when the cause is not known."""
    text = "\n".join(outcome.lines)
    here = "\n".join(line for line in outcome.lines if not line.startswith("remote: "))  # its disk is not ours
    detail = redact("\n".join(relevant_lines(outcome.lines)[-_SHOWN_LINES:]), secrets)
    for cause in _CAUSES:
        if re.search(cause.pattern, here if cause.raised is FileSystemError else text):
            return cause.raised(cause.title, detail, cause.hint)
    if not detail:
        ended = f"was ended by signal {-outcome.code}" if outcome.code < 0 else f"ended with exit code {outcome.code}"
        detail = f"git {ended} and said nothing."
    return GitError(what, detail)


def branch_in_the_way(outcome: Outcome, name: str) -> InvalidInputError | None:
    """The error for a new branch that git could not make beside the existing ones, if that was the cause."""
    detail = "\n".join(relevant_lines(outcome.lines))
    if re.search(r"already exists|cannot lock ref|cannot create.*refs/heads", detail):
        return InvalidInputError("branch", f"The branch {name} cannot be made: another one is in the way", detail)
    return None


def disk_fault(outcome: Outcome) -> FileSystemError | None:
    """The error for a command that failed because of this host's disk, if it did."""
    fault = git_error(outcome, "")
    return fault if isinstance(fault, FileSystemError) else None


def wants_login(outcome: Outcome) -> bool:
    """Whether git failed because the server asked who is there."""
    text = "\n".join(outcome.lines)
    return any(re.search(cause.pattern, text) for cause in (_NEEDS_LOGIN, _WRONG_LOGIN))


def relevant_lines(lines: Sequence[str]) -> list[str]:
    """What git said, without greetings."""
    return [line for line in lines if line.strip() and not _NOISE.match(line)]


def last_lines(outcome: Outcome) -> str:
    """The one line that says most about a failure, redacted."""
    lines = relevant_lines(outcome.lines)
    telling = [line for line in lines if re.match(r"(fatal|error): ", line) and "Retry scheduled" not in line]
    first = next(iter(telling or lines), f"exit code {outcome.code}")
    return redact(re.sub(r"^(fatal|error): ", "", first), ())


def redact(text: str, secrets: Sequence[str]) -> str:
    """Take the secrets out of `text`, and whatever stands before the @ of an address."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _USERINFO.sub(lambda match: f"{match[1] or match[2]}***@", text)
