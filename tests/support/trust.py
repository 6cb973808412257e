"""The trust between services under test: real tokens, and callers who may do what a test is not about."""

from context_common.caller import ADMIN, EVERY, SERVICE, Caller
from context_common.process import Process
from context_common.telemetry import Telemetry
from context_common.token import derive_key
from context_common.trust import Trust

SECRET = "the-secret-of-the-tests-0123456789"
EVERYWHERE = frozenset({EVERY})


def trust(service: str) -> Trust:
    """What makes a process `service` to the others."""
    return Trust(service, derive_key(SECRET))


def process(service: str, listen: str = "") -> Process:
    """A process as `service` that tells nothing of itself."""
    return Process(trust(service), Telemetry(service), listen)


def admin(namespace: str = "web", principal: str = "ada", request_id: str = "request-1") -> Caller:
    """Somebody who may do everything, by way of the gateway."""
    return Caller(namespace, principal, request_id, "", frozenset({ADMIN}), EVERYWHERE, EVERYWHERE)


def service(name: str, namespace: str = "web") -> Caller:
    """A service on its own behalf."""
    return Caller(namespace, f"service:{name}", "request-1", scopes=frozenset({SERVICE}))
