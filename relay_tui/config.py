"""Read config.toml: defaults and profiles. An unknown key is an error."""

from __future__ import annotations

import difflib
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from relay_tui.domain.errors import ConfigError, InvalidInputError

DEFAULT_IMAGE = "buildpack-deps:bookworm-scm"

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_PATH = re.compile(r"(~/|/)[^\0-\x1f]*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Named settings for a session's container. Omitted settings keep the hardened default."""

    name: str
    image: str = ""
    """'' means the project's image, else the configured one."""
    command: tuple[str, ...] = ()
    """Main process; () keeps the container idle. A string in the file runs in `sh -c`."""
    tty: bool = True
    """Whether the command gets a terminal."""
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    user: str = "host"
    """'host' (relay's uid:gid), 'image' (the image's user), or a name, uid or uid:gid."""
    cpus: float | None = None
    memory: int | None = None
    """Bytes. The file has a number or a size like '4g'."""
    pids: int = 4096
    network: str = "bridge"
    capabilities: tuple[str, ...] = ()
    """Capabilities to add. The default is none."""
    runtime: str = ""
    """'docker', 'process' or 'auto'; '' means the project's, else the configured one."""
    readable: tuple[str, ...] = ()
    """Paths like '~/.cargo' that a process may read although its sandbox hides the home."""
    new_privileges: bool = False
    """Whether programs in the container may gain privileges (setuid, sudo)."""


DEFAULT_PROFILE = Profile(name="default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Complete configuration. `path` is the file's path, even if the file does not exist."""

    path: Path
    image: str = DEFAULT_IMAGE
    profile: str = DEFAULT_PROFILE.name
    runtime: str = "auto"
    """Runtime of sessions: 'docker' (the engine), 'process', or 'auto': the engine if it answers, else a process."""
    glyphs: str = "auto"
    """'unicode', 'ascii', or 'auto' (by the locale)."""
    theme: str = ""
    trash_days: float = 7.0
    """Days that the trash keeps removed clones."""
    trash_share: float = 0.1
    """Share of the disk that the trash may use before relay asks for a purge."""
    log_lines: int = 100_000
    """Maximum lines of a log on the screen."""
    log_bytes: int = 64 << 20
    """Maximum bytes of a log on the screen. The file has a number or a size like '64m'."""
    keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Changed keys of the screen's actions, by the action's name."""
    profiles: Mapping[str, Profile] = field(default_factory=lambda: MappingProxyType({"default": DEFAULT_PROFILE}))

    def find_profile(self, name: str) -> Profile:
        """Return the profile `name`; '' is the configured default. Raises InvalidInputError, field 'profile'."""
        found = self.profiles.get(name or self.profile)
        if found is None:
            known = ", ".join(sorted(self.profiles))
            raise InvalidInputError(
                "profile", f"There is no profile '{name or self.profile}'", hint=f"Known: {known}. See {self.path}."
            )
        return found


def load(path: Path) -> Config:
    """Read `path`. A missing file means all defaults. Raises ConfigError, naming file and key."""
    try:
        text = _read(path)
    except FileNotFoundError:
        return Config(path=path)
    except OSError as error:
        why = error.strerror or str(error)
        hint = f"ls -l {shlex.quote(str(path))} shows the owner; $RELAY_CONFIG names another file."
        raise ConfigError(f"Cannot read {path}", f"{why[:1].lower()}{why[1:]}", hint) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _broken(path, line, "it is not UTF-8 text") from error
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        column = f"column {place[2]}: " if place and place[2] else ""
        raise _broken(path, line, column + re.sub(r" \(at .*\)$", "", str(error))) from error
    return _ConfigParser(path, text).config(document)


def _read(path: Path) -> str:
    """Return the text of a file. Raises OSError for a pipe, which would block."""
    if stat.S_ISFIFO(path.stat().st_mode):
        raise OSError("it is a pipe, not a file")
    return path.read_text(encoding="utf-8")


def _broken(path: Path, line: int, why: str) -> ConfigError:
    return ConfigError(f"{path}, line {line}, is not TOML", why, "Fix the file, or move it away.")


class _ConfigParser:
    """Check a parsed document key by key. Every error names the file, the line and the key."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def config(self, document: Mapping[str, object]) -> Config:
        self._known(document, "", set(Config.__dataclass_fields__) - {"path"})
        tables = document.get("profiles", {})
        if not isinstance(tables, dict):
            raise self._error("profiles", "must be tables, like [profiles.node]")
        profiles = {"default": DEFAULT_PROFILE}
        for name, table in tables.items():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", name):
                raise self._error(f"profiles.{name}", "is not a usable name (letters, digits, '.', '_', '-')")
            if not isinstance(table, dict):
                raise self._error(f"profiles.{name}", "must be a table")
            profiles[name] = self._profile(name, table)
        glyphs = self._text(document, "", "glyphs", "auto")
        if glyphs not in {"auto", "unicode", "ascii"}:
            raise self._error("glyphs", "must be 'auto', 'unicode' or 'ascii'")
        chosen = self._text(document, "", "profile", "default")
        if chosen not in profiles:
            raise self._error("profile", f"names '{chosen}', but there is no [profiles.{chosen}]")
        return Config(
            path=self._path,
            image=self._text(document, "", "image", DEFAULT_IMAGE),
            profile=chosen,
            runtime=self._runtime(document, "", "auto"),
            glyphs=glyphs,
            theme=self._text(document, "", "theme", ""),
            trash_days=self._number(document, "trash_days", 7.0, 0, 3650),
            trash_share=self._number(document, "trash_share", 0.1, 0, 1),
            log_lines=self._count(document, "", "log_lines", 100_000, 100),
            log_bytes=self._size(document, "log_bytes", 64 << 20, 1 << 20),
            keys=self._keys(document.get("keys", {})),
            profiles=MappingProxyType(profiles),
        )

    def _keys(self, table: object) -> Mapping[str, str]:
        """Read the table of keys. The screen checks the action names."""
        if not isinstance(table, dict):
            raise self._error("keys", "must be a table, [keys]")
        return MappingProxyType({name: self._text(table, "keys.", name, "") for name in table})

    def _profile(self, name: str, table: Mapping[str, object]) -> Profile:
        where = f"profiles.{name}."
        self._known(table, where, set(Profile.__dataclass_fields__) - {"name"})
        return Profile(
            name=name,
            image=self._text(table, where, "image", ""),
            command=self._command(table, where),
            tty=self._flag(table, where, "tty", True),
            env=self._env(table, where),
            user=self._text(table, where, "user", "host") or "host",
            cpus=self._cpus(table, where),
            memory=self._memory(table, where),
            pids=self._count(table, where, "pids", 4096, 1),
            network=self._text(table, where, "network", "bridge") or "bridge",
            capabilities=self._capabilities(table, where),
            runtime=self._runtime(table, where, ""),
            readable=self._readable(table, where),
            new_privileges=self._flag(table, where, "new_privileges", False),
        )

    def _error(self, key: str, why: str, detail: str = "", hint: str = "") -> ConfigError:
        number = _line_of(self._lines, key)
        if not detail and number and ".env" not in key:  # the value of a variable may be a secret
            detail = f"The line is: {self._lines[number - 1].strip()}"
        place = f"{self._path}, line {number}" if number else str(self._path)
        return ConfigError(f"{place}: {key} {why}", detail, hint or "Fix the file; see the README for all keys.")

    def _known(self, table: Mapping[str, object], where: str, known: set[str]) -> None:
        for key in table:
            if key not in known:
                like = difflib.get_close_matches(key, known, 1)
                hint = f"Change it to {like[0]}, or remove it." if like else "Remove it."
                raise self._error(where + key, "is not a known key", f"Known: {', '.join(sorted(known))}", hint)

    def _text(self, table: Mapping[str, object], where: str, key: str, default: str) -> str:
        value = table.get(key, default)
        if not isinstance(value, str) or any(ord(character) < 32 for character in value):
            raise self._error(where + key, "must be a string on one line")
        return value

    def _runtime(self, table: Mapping[str, object], where: str, default: str) -> str:
        value = self._text(table, where, "runtime", default)
        if value not in {"auto", "docker", "process", default}:
            raise self._error(where + "runtime", "must be 'auto', 'docker' or 'process'")
        return value

    def _number(self, table: Mapping[str, object], key: str, default: float, least: float, most: float) -> float:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self._error(key, f"must be a number from {least:g} to {most:g}")
        return float(value)

    def _flag(self, table: Mapping[str, object], where: str, key: str, default: bool) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            raise self._error(where + key, "must be true or false")
        return value

    def _command(self, table: Mapping[str, object], where: str) -> tuple[str, ...]:
        value = table.get("command", [])
        if isinstance(value, str):
            return ("/bin/sh", "-c", value) if value.strip() else ()
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return tuple(value)
        raise self._error(where + "command", "must be a string (for sh -c) or a list of strings")

    def _env(self, table: Mapping[str, object], where: str) -> Mapping[str, str]:
        value = table.get("env", {})
        if not isinstance(value, dict):
            raise self._error(where + "env", 'must be a table, like { CI = "1" }')
        result: dict[str, str] = {}
        for key, item in value.items():
            if not key or "=" in key or "\0" in key:
                raise self._error(f"{where}env.{key}", "is not a usable variable name")
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                raise self._error(f"{where}env.{key}", "must be a string or a number")
            result[key] = str(item)
        return MappingProxyType(result)

    def _cpus(self, table: Mapping[str, object], where: str) -> float | None:
        value = table.get("cpus")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 4096:
            raise self._error(where + "cpus", "must be a number of CPUs, 0.01 or more")
        return float(value)

    def _memory(self, table: Mapping[str, object], where: str) -> int | None:
        return None if table.get("memory") is None else self._size(table, "memory", 0, 6 << 20, where)

    def _size(self, table: Mapping[str, object], key: str, default: int, least: int, where: str = "") -> int:
        value = table.get(key, default)
        size = parse_size(value) if isinstance(value, str) else value
        if isinstance(size, bool) or not isinstance(size, int) or size < least:
            raise self._error(where + key, f"must be a size like '4g' or '512m', {least >> 20}m or more")
        return size

    def _count(self, table: Mapping[str, object], where: str, key: str, default: int, least: int) -> int:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self._error(where + key, f"must be a whole number, {least} or more")
        return value

    def _capabilities(self, table: Mapping[str, object], where: str) -> tuple[str, ...]:
        value = table.get("capabilities", [])
        if not isinstance(value, list) or not all(isinstance(n, str) and re.fullmatch(r"[A-Z_]+", n) for n in value):
            raise self._error(where + "capabilities", 'must be a list of names, like ["NET_BIND_SERVICE"]')
        return tuple(value)

    def _readable(self, table: Mapping[str, object], where: str) -> tuple[str, ...]:
        value = table.get("readable", [])
        if not isinstance(value, list) or not all(isinstance(path, str) and _PATH.fullmatch(path) for path in value):
            raise self._error(where + "readable", 'must be a list of paths that begin with ~/ or /, like ["~/.cargo"]')
        if value:
            from relay_tui.sandbox_policy import exposes_hidden

            for path in value:
                if exposed := exposes_hidden(path):
                    raise self._error(where + "readable", f"would expose {exposed} to sessions, by '{path}'")
        return tuple(value)


def parse_size(text: str) -> int | None:
    """Return the bytes of a size like '512m', '4 GiB' or '1.5g' (powers of 1024); None if it is not a size."""
    match = _SIZE.fullmatch(text.strip())
    return int(float(match[1]) * _UNITS[match[2].lower()]) if match else None


def _line_of(lines: Sequence[str], key: str) -> int:
    """Return the number of the line that sets a key like 'profiles.node.cpus', or of its table; 0 if not found."""
    table, best = "", 0
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].strip()
        name = words.partition("=")[0]
        if words.startswith("["):
            table = found = _bare(words.strip("[] "))
        elif "=" in words:
            found = f"{table}.{_bare(name)}".removeprefix(".")
        else:
            continue
        if found == key:
            return number
        if key.startswith(f"{found}."):
            best = number
    return best


def _bare(name: str) -> str:
    """Return a dotted key without quotes and spaces."""
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
