"""A database's address made complete: whose certificate the server must show."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from context_common.scrub import hide
from context_common.settings import Env, SettingsError, is_loopback

VERIFIED = "verify-full"
MALFORMED = "is malformed; it reads postgresql://user:password@host/name, and in a password %40 is an @ and %25 a %"
# What libpq says where a certificate is of another authority or for another host, or there is none to show.
DISTRUST = (
    "certificate verify failed",
    "does not match host name",
    "server does not support SSL, but SSL was required",
    "could not get server's host name from server certificate",
)

log = structlog.get_logger()


def completion(env: Env) -> Callable[[str], str]:
    """What completes an address by DATABASE_CA_CERT: connections are encrypted, and the server must show a certificate
    of that authority for the host it is addressed by. An sslmode in the address stands.
    Without the setting, as given. What is no address is kept for `complain`.
    """
    authority = env.text("DATABASE_CA_CERT", "")
    if authority and (reason := _unreadable(Path(authority))):
        env.reject(f"DATABASE_CA_CERT: {reason}: {authority}")

    def complete(url: str) -> str:
        try:
            given = parts(url)
        except SettingsError as error:
            env.reject(str(error))
            return url
        if not authority or not url:
            return url
        completed = make_conninfo(url, sslmode=given.get("sslmode") or VERIFIED, sslrootcert=authority)
        hide(completed)
        return completed

    return complete


def parts(url: str) -> dict[str, Any]:
    """What `url` says, by the names that libpq gives its parts.

    Raises:
        SettingsError: It is no address; without the driver's words, which quote the password.
    """
    try:
        return conninfo_to_dict(url)
    except ProgrammingError:
        raise SettingsError(f"a database's address {MALFORMED}") from None


def warn_unverified(name: str, url: str) -> None:
    """Log where other machines could listen to, or stand in for, the server at `url`."""
    given = conninfo_to_dict(url)
    hosts = [str(host) for host in str(given.get("host") or "").split(",")]
    remote = [host for host in hosts if host and not host.startswith(("/", "@")) and not is_loopback(host)]
    if remote and not given.get("sslmode"):
        log.warning(
            "database_not_verified",
            setting=name,
            hosts=remote,
            reason="whoever is on the way can read along; set DATABASE_CA_CERT, or an sslmode in the address",
        )


@contextmanager
def refuse_stranger(url: str) -> Iterator[None]:
    """Raise SettingsError, which says what to look at, where a server could not prove to be the one in `url`: waiting
    makes no difference to that.
    """
    try:
        yield
    except psycopg.OperationalError as error:
        said = str(error)
        if not any(words in said for words in DISTRUST):
            raise
        given = conninfo_to_dict(url)
        raise SettingsError(
            f"the database at {given.get('host')} is not trusted: {said.rpartition('failed: ')[2].strip()}"
            f" (sslmode {given.get('sslmode')}, authorities {given.get('sslrootcert') or 'of the system'})"
        ) from error


def _unreadable(path: Path) -> str:
    """Why no certificate can be read from `path`; empty where one can."""
    try:
        return "" if "-----BEGIN CERTIFICATE-----" in path.read_text() else "holds no PEM certificate"
    except (OSError, UnicodeDecodeError) as error:
        return str(getattr(error, "strerror", None) or "is no text")
