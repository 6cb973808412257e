"""What every service's process is told: who it is, where it listens, how it ends, and what it tells of itself."""

from dataclasses import dataclass
from typing import Self

from context_common.settings import Env
from context_common.telemetry import Telemetry
from context_common.trust import Trust


@dataclass(frozen=True)
class Process:
    """One process.

    Args:
        trust: Which service it is, and how it knows who calls.
        telemetry: What it tells of itself, and to whom.
        listen: `host:port` of its gRPC server; empty where it has none.
        prod: Whether it holds more than a developer's own data.
        drain: Seconds between "not serving" and closing.
        connection_age: Seconds after which its gRPC server has a client connect anew.
    """

    trust: Trust
    telemetry: Telemetry
    listen: str = ""
    prod: bool = False
    drain: float = 0.0
    connection_age: float = 60.0

    @classmethod
    def read(cls, env: Env, service: str, listen: str = "") -> Self:
        """What the environment says of `service`, which listens on `listen` by default."""
        address = env.listen("LISTEN", listen) if listen else ""
        return cls(
            trust=Trust.read(env, service, address),
            telemetry=Telemetry.read(env, service),
            listen=address,
            prod=env.choice("APP_ENV", "dev", "dev", "prod") == "prod",
            drain=env.number("DRAIN", 0.0, most=300),
            connection_age=env.number("CONNECTION_AGE", 60.0, least=1, most=86_400),
        )
