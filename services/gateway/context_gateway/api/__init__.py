"""The routes, one module per resource."""

import re
from typing import cast

from fastapi import APIRouter
from starlette.requests import Request

from context_gateway.bodies import JsonRoute
from context_gateway.clients import Clients
from context_gateway.health import Health
from context_gateway.identity import Gate, Identity
from context_gateway.problems import Refused
from context_gateway.rates import Charge

BUDGET = 30.0  # seconds of one call where the request itself has no deadline
IDEMPOTENCY_KEY = "Idempotency-Key"
KEY = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")


def router(tag: str) -> APIRouter:
    """A router whose operations stand under `tag` in the OpenAPI document."""
    return APIRouter(tags=[tag], route_class=JsonRoute)


def clients(request: Request) -> Clients:
    """The services behind the gateway."""
    return cast("Clients", request.app.state.clients)


def gate(request: Request) -> Gate:
    """What let the request in."""
    return cast("Gate", request.app.state.gate)


def charge(request: Request) -> Charge:
    """Counts further items of the request against its caller's rate for bulk work."""
    return cast("Charge", request.state.charge)


def checks(request: Request) -> Health:
    """How the services are."""
    return cast("Health", request.app.state.health)


def identity(request: Request) -> Identity:
    """Who sent the request."""
    return cast("Identity", request.state.identity)


def idempotency_key(request: Request) -> str:
    """What its caller gave the request, so that it may be sent again; empty where there is no such header.

    Raises:
        Refused: 400, the header stands there twice, or is none of 1 to 200 printable ASCII characters.
    """
    given = request.headers.getlist(IDEMPOTENCY_KEY)
    if not given:
        return ""
    if len(given) > 1 or not KEY.fullmatch(given[0]):
        raise Refused(400, {IDEMPOTENCY_KEY: ["must be 1 to 200 printable ASCII characters"]})
    return given[0]
