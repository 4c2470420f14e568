"""What is around relay: the confinement of its git, the terminal before it."""

from __future__ import annotations

from relay_tui.services.doctor.findings import Finding, absent, ok, warning
from relay_tui.terminal import Terminal

_LEAST = (80, 24)


def confinement(words: str) -> Finding:
    """What stands around the host's git while it looks at what a session wrote."""
    if words.startswith("none"):
        found = "Nothing: git on the host looks at clones behind relay's own checks alone"
        return warning("confinement", found, "sudo apt-get install bubblewrap")
    return ok("confinement", f"git on the host looks at clones within {words}")


def terminal(seen: Terminal) -> Finding:
    """The size and the colours of the terminal."""
    if not seen.columns:
        return absent("terminal", "None here: relay's screen needs one")
    words = {0: "no colours", 1 << 24: "true colour"}.get(seen.colours, f"{seen.colours} colours")
    found = f"{seen.columns}x{seen.lines}, {words}, TERM={seen.name or '(not set)'}"
    if seen.columns < _LEAST[0] or seen.lines < _LEAST[1]:
        return warning("terminal", f"{found}: small, relay folds its panes", "Widen it to 80x24 or more")
    if seen.colours == 0:
        mend = "export TERM=xterm-256color" if seen.name in {"", "dumb"} else "unset NO_COLOR"
        return warning("terminal", f"{found}: states show as signs and words only", mend)
    return ok("terminal", found)


def locale(seen: Terminal) -> Finding:
    """Whether the terminal is said to read UTF-8."""
    named = seen.locale or "no $LANG"
    if seen.utf8:
        return ok("locale", f"UTF-8 ({named})")
    variable = seen.locale.partition("=")[0] or "LANG"  # the one that counts: it overrides the others
    return warning("locale", f"Not UTF-8 ({named}): relay draws in ASCII", f"export {variable}=C.UTF-8")
