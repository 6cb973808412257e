"""How the system is: for people, for orchestrators, for Prometheus."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from context_gateway import VERSION
from context_gateway.answers import answer
from context_gateway.api import checks, router
from context_gateway.openapi import answered
from context_gateway.problems import Refused
from context_gateway.schemas.shapes import Alive, Health, Readiness

LEAST_FREE = 0.05  # share of the disk below which it is not healthy

routes = router("Health")


@routes.get(
    "/health",
    operation_id="get_health",
    summary="How each part is",
    responses=answered(Health, description="It serves") | answered(Health, status=503, description="It does not"),
)
async def get_health(request: Request) -> Response:
    """503 where something is away that there is no doing without; `degraded` where there is."""
    knowledge, embedding, retrieval = await checks(request).serving()
    disk = _disk_has_room()
    well = knowledge and retrieval and disk
    parts = {
        "database": knowledge,  # knowledge serves only while its database answers SELECT 1
        "embedding_service": embedding,
        "retrieval_service": retrieval,
        "disk_space": disk,
    }
    content = {
        "status": "unhealthy" if not well else "healthy" if embedding else "degraded",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "version": VERSION,
        "checks": {name: "healthy" if fine else "unhealthy" for name, fine in parts.items()},
    }
    return answer(content, 200 if well else 503, None if well else {"Retry-After": "2"})


@routes.get(
    "/livez",
    operation_id="get_liveness",
    summary="Whether this process answers, whatever it needs",
    responses=answered(Alive),
)
async def get_liveness() -> Response:
    """Never looks at another service."""
    return answer({"status": "alive"})


@routes.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether requests can be served",
    responses=answered(Readiness, description="They can")
    | answered(Readiness, status=503, description="They cannot now"),
)
async def get_readiness(request: Request) -> Response:
    """Without embeddings questions are answered by words, without knowledge they still are, and without retrieval
    items are written and read: ready, but degraded. Without both nothing is. A process that has just begun waits for
    both, and one that ends is not ready.
    """
    if getattr(request.app.state, "draining", False):
        return answer({"status": "draining", "away": []}, 503, {"Retry-After": "1"})
    knowledge, embedding, retrieval = await checks(request).serving()
    ready = checks(request).suffices(knowledge, retrieval)
    away = [
        name
        for name, serving in (("knowledge", knowledge), ("embedding", embedding), ("retrieval", retrieval))
        if not serving
    ]
    status = "not_ready" if not ready else "degraded" if away else "ready"
    return answer({"status": status, "away": away}, 200 if ready else 503, None if ready else {"Retry-After": "1"})


@routes.get("/metrics", operation_id="get_metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
async def get_metrics(request: Request) -> Response:
    """404 where PROMETHEUS_ENABLED is false."""
    if not request.app.state.settings.prometheus_enabled:
        raise Refused(404, detail="Metrics are turned off.")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _disk_has_room() -> bool:
    usage = shutil.disk_usage(Path.cwd())
    return usage.free >= LEAST_FREE * usage.total
