"""Puts the gateway together: routes, the middleware around them, and the documents about them."""

import asyncio
from functools import cache

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from context_gateway import VERSION, openapi, problems
from context_gateway.admission import Admission
from context_gateway.answers import answer
from context_gateway.api import admin, audit, bulk, context, embeddings, feedback, graph, health, keys, review, skills
from context_gateway.api.items import item_routes
from context_gateway.bodies import JsonRoute
from context_gateway.clients import Clients
from context_gateway.health import Health
from context_gateway.identity import Gate
from context_gateway.middleware import RequestMiddleware
from context_gateway.pages import docs
from context_gateway.rates import Limiter
from context_gateway.schemas.items import KINDS
from context_gateway.settings import Settings
from context_gateway.skills import Skills
from context_gateway.web import HEADERS, HSTS

LIMITS = ("RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
EXPOSED = ("ETag", "Location", "Preference-Applied", "Retry-After", "X-Request-Id", *LIMITS)
TAKEN = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "Prefer",
    "X-Context-Namespace",
    "X-Request-Id",
)


def create_app(clients: Clients, settings: Settings, limiter: Limiter) -> FastAPI:
    """The gateway over `clients`. It owns nothing: who opened the clients and the limiter closes them."""
    app = FastAPI(
        title=openapi.TITLE,
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.clients, app.state.settings, app.state.health = clients, settings, Health(clients)
    app.state.gate = Gate(settings, clients, limiter.suspects)
    app.router.route_class = JsonRoute
    app.state.skills = Skills(settings.skills_path)
    modules = (context, feedback, health, bulk, graph, embeddings, skills, admin, keys, audit, review)
    routers = [module.routes for module in modules]
    routers += [item_routes(kind) for kind in KINDS.values()]
    # Taken over one by one: routers that are included are searched one after the other, at twice the cost of a request.
    app.router.routes.extend(route for router in routers for route in router.routes)
    _add_pages(app)
    _add_handlers(app)
    app.state.gate.table.cover(app.routes)
    app.add_middleware(Admission, settings=settings, gate=app.state.gate, limiter=limiter)
    # Around admission: a preflight shows no credential, and a page may read why it was refused.
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=TAKEN,
            expose_headers=EXPOSED,
        )
    said = HEADERS | HSTS if settings.process.prod else HEADERS
    logged = settings.process.telemetry.log_requests
    app.add_middleware(RequestMiddleware, limits=settings.limits, said=said, logged=logged)
    return app


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return RedirectResponse("/docs")

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi_document() -> Response:
        return answer(await asyncio.to_thread(openapi.document, app))

    @cache
    def page() -> str:
        return docs.render(openapi.document(app), "" if app.state.settings.auth_required else docs.DEVELOPMENT)

    @app.get("/docs", include_in_schema=False)
    async def docs_page() -> Response:
        headers = {"Content-Security-Policy": docs.CSP, "Cache-Control": "no-cache"}
        return HTMLResponse(await asyncio.to_thread(page), headers=headers)


def _add_handlers(app: FastAPI) -> None:
    """What the framework refuses by itself becomes a problem too."""

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: Exception) -> Response:
        return problems.respond(error, request.state.request_id)
