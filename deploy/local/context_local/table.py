"""The table: every process of the local system, where it listens and what it needs."""

import secrets
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from context_local.embedded import Cluster
from context_local.health import LOOPBACK, answers, free_ports, listens
from context_local.processes import Process

GRPC = ("embedding", "knowledge", "retrieval")
SERVICES = (*GRPC, "gateway")
STORES = ("knowledge", "retrieval")
# Who can sign JWTs is everybody, so that only the gateway has what signs them; the others have SERVICE_SECRET.
NOT_THEIRS = {"SECRET_KEY_BASE": "", "SECRET_KEY_BASE_FILE": ""}


@dataclass(frozen=True)
class Addresses:
    """Where each service listens on this machine, and where its metrics are."""

    gateway: int
    grpc: Mapping[str, int]
    metrics: Mapping[str, int]
    metrics_host: str = LOOPBACK

    @classmethod
    def find(cls, gateway: int) -> "Addresses":
        """Free ports for everything but the gateway."""
        free = free_ports(2 * len(GRPC))
        return cls(gateway, dict(zip(GRPC, free, strict=False)), dict(zip(GRPC, free[len(GRPC) :], strict=True)))

    @property
    def url(self) -> str:
        """Where people and agents ask."""
        return f"http://{LOOPBACK}:{self.gateway}"


def postgres(cluster: Cluster) -> Process:
    """The embedded server."""
    return Process(
        "postgres",
        cluster.command(),
        ready=cluster.answers,
        stop_signal=signal.SIGINT,  # "fast": it does not wait for its clients
        death_signal=signal.SIGINT,
        user=cluster.user,
    )


def services(
    at: Addresses,
    database_url: str,
    *,
    needs: Sequence[str] = (),
    migrate: bool = True,
    login: Callable[[str], str] | None = None,
    gateway_needs: Sequence[str] = (),
) -> list[Process]:
    """The four services, after their migrations unless those ran already; what uses the database waits for `needs`.

    `login`: where a user logs in. With it `database_url` is the owner's, and each store has a login of its own, which
    its migrations make. `gateway_needs`: what must be ready before the gateway listens at all.
    """
    found = {f"{name.upper()}_ADDR": f"{LOOPBACK}:{port}" for name, port in at.grpc.items()}
    # New with every start and in no file: the services of one run know each other by it.
    found |= {"SERVICE_SECRET": secrets.token_urlsafe(32), "SERVICE_SECRET_FILE": ""}
    common = {**found, "DATABASE_URL": database_url, **NOT_THEIRS}

    def own(name: str) -> Mapping[str, str]:
        if login is None or name not in STORES:
            return common
        return {**common, "DATABASE_URL": login(f"{name}_login"), "MIGRATION_DATABASE_URL": database_url}

    def grpc(name: str, needs: Sequence[str] = ()) -> Process:
        listen = {"LISTEN": f"{LOOPBACK}:{at.grpc[name]}", "METRICS_LISTEN": f"{at.metrics_host}:{at.metrics[name]}"}
        return Process(name, _module(name), {**own(name), **listen}, needs, partial(listens, at.grpc[name]))

    steps = {
        name: Process(f"migrate-{name}", (*_module(name), "migrate"), own(name), needs, once=True) for name in STORES
    }
    return [
        *(steps.values() if migrate else ()),
        grpc("embedding"),
        *(grpc(name, [steps[name].name] if migrate else needs) for name in STORES),
        Process(
            "gateway",
            _module("gateway"),
            {**found, "PORT": str(at.gateway)},
            gateway_needs,
            ready=partial(answers, f"{at.url}/readyz"),
        ),
    ]


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"context_{name}")
