"""What the gateway serves, by its own OpenAPI document, and the pages that are not in it."""

import asyncio
from typing import Any

from fastapi import FastAPI

from context_gateway import openapi
from context_gateway.app import create_app
from context_gateway.clients import open_clients
from context_gateway.rates import open_limiter
from context_gateway.settings import Settings


async def make_app() -> FastAPI:
    """The gateway, over services that nobody calls."""
    settings = Settings.from_env({})
    async with open_clients(settings) as clients, open_limiter(settings.limits) as limiter:
        return create_app(clients, settings, limiter)


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return openapi.document(asyncio.run(make_app()))


def operations() -> set[str]:
    """Each operation as `GET /api/adr/{id}`."""
    return {f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods}
