"""Reads a process's settings from its environment once and complains about everything at once."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from context_common.scrub import hide, scrub

LEAST_SECRET = 32  # characters
LEAST_DIFFERENT = 8  # of them


class SettingsError(Exception):
    """The environment is not one this process can start with."""


class Env:
    """Reads typed values and keeps what is wrong with them until `complain`.

    An empty variable counts as unset. A secret may come as a file: `NAME_FILE=/run/secrets/name`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._wrong: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """A string; without a default it is required."""
        value = self._environ.get(name, "")
        if value:
            return value
        if default is None:
            self._wrong.append(f"missing: {name}")
        return default or ""

    def secret(self, name: str, default: str | None = None) -> str:
        """A string that may also be the content of the file that `NAME_FILE` names, and that is never printed."""
        value = self._read_secret(name, default)
        hide(value)
        return value

    def _read_secret(self, name: str, default: str | None) -> str:
        path = self._environ.get(f"{name}_FILE", "")
        if path and self._environ.get(name):
            self._wrong.append(f"both {name} and {name}_FILE are set")
        elif path:
            try:
                value = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                self._wrong.append(f"{name}_FILE: {getattr(error, 'strerror', None) or 'is no text'}: {path}")
                return ""
            if not value and default is None:
                self._wrong.append(f"{name}_FILE is empty: {path}")
            return value
        elif default is None and not self._environ.get(name):
            self._wrong.append(f"missing: {name} (or {name}_FILE)")
            return ""
        return self.text(name, default)

    def integer(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number from `least` to `most`."""
        return int(self.number(name, default, least=least, most=most, kind=int))

    def number(
        self, name: str, default: float, *, least: float = 0, most: float = 2**31 - 1, kind: type[int | float] = float
    ) -> float:
        """A number from `least` to `most`."""
        value = self._environ.get(name, "")
        if not value:
            return default
        try:
            number = kind(value)
        except ValueError:
            self._wrong.append(f"{name} must be a {'whole ' if kind is int else ''}number, not {value!r}")
            return default
        if not least <= number <= most:
            self._wrong.append(f"{name} must be from {least} to {most}, not {value}")
        return number

    def flag(self, name: str, default: bool) -> bool:
        """true, 1, yes, on or their opposites."""
        value = self.choice(name, "true" if default else "false", *TRUE, *FALSE)
        return value in TRUE

    def choice(self, name: str, default: str, *allowed: str) -> str:
        """One of the words in `allowed`, in any case."""
        value = (self._environ.get(name) or default).lower()
        if value not in allowed:
            self._wrong.append(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
            return default
        return value

    def listen(self, name: str, default: str) -> str:
        """`host:port` to listen on; where the default is empty, so may the value be, which stands for nowhere."""
        value = self.text(name, default)
        if not (value or default):
            return ""
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self._wrong.append(f"{name} must be host:port, not {value!r}")
        return value

    def redis(self, name: str) -> str:
        """The URL of a Redis, which may hold a password; empty where there is none."""
        url = self.secret(name, "")
        parts = split_url(url)
        if url and not (parts and parts.scheme in ("redis", "rediss", "unix")):
            # Without its value, for what is malformed may not look like a password.
            self._wrong.append(f"{name} must be redis://, rediss:// or unix:// with a host and a port that are ones")
        return url

    def reject(self, why: str) -> None:
        """Keep `why` for `complain`: values that are right each by itself, but not together."""
        self._wrong.append(why)

    def complain(self) -> None:
        """Raise SettingsError with everything that was wrong, each once and without secrets, if anything was."""
        if self._wrong:
            raise SettingsError("; ".join(map(scrub, dict.fromkeys(self._wrong))))


def split_url(url: str) -> SplitResult | None:
    """`url` in its parts; None where it cannot be taken apart, or its port is none."""
    try:
        parts = urlsplit(url)
        fits = parts.port != 0
    except ValueError:
        return None
    return parts if fits else None


def weakness(secret: str) -> str:
    """What makes `secret` easy to guess; empty where nothing shows."""
    if len(secret) < LEAST_SECRET:
        return f"it has {len(secret)} characters, and needs {LEAST_SECRET}"
    if len(set(secret)) < LEAST_DIFFERENT:
        return f"it has {len(set(secret))} different characters, and needs {LEAST_DIFFERENT}"
    return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


TRUE = ("true", "1", "yes", "on")
FALSE = ("false", "0", "no", "off")
