"""What the environment says of logs, metrics, traces and error reports, the same for every service."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Self
from urllib.parse import unquote, urlsplit

from context_common.logs import LEVELS
from context_common.scrub import hide
from context_common.settings import Env

SAMPLERS = ("always_on", "always_off", "traceidratio")
SECRET_HEADERS = ("auth", "key", "token", "secret", "cookie")  # in the name of one that is never printed
ENVIRONMENTS = {"prod": "production", "dev": "development"}


@dataclass(frozen=True)
class Traces:
    """Where spans go, and how many of them.

    Args:
        endpoint: Of an OTLP receiver that speaks gRPC; `http://` is in the clear.
        headers: Sent with every batch; may hold a token.
        service: As whom they are sent; empty: as whom the process is called.
        timeout: Seconds that one batch may take, attempts included.
        sampler: As OTEL_TRACES_SAMPLER calls it.
        ratio: The share of traces that it keeps, where it goes by one.
    """

    endpoint: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    service: str = ""
    timeout: float = 10.0
    sampler: str = "parentbased_always_on"
    ratio: float = 1.0


@dataclass(frozen=True)
class Telemetry:
    """What one process tells of itself, and to whom.

    Args:
        service: Its name.
        environment: `production` or `development`, as error reports have it.
        version: Of what is installed.
        revision: The commit it was made from; empty where nobody said.
        log_level: The least level that is logged.
        log_requests: Whether every request has a line.
        log_queries: Whether the text of questions is logged, without its secrets.
        metrics_listen: `host:port` of the metrics; empty: nowhere.
        sentry_dsn: Where errors are reported; empty: nowhere.
        traces: Where spans go; None: nowhere.
    """

    service: str
    environment: str = "development"
    version: str = ""
    revision: str = ""
    log_level: str = "info"
    log_requests: bool = True
    log_queries: bool = False
    metrics_listen: str = ""
    sentry_dsn: str = field(default="", repr=False)
    traces: Traces | None = None

    @classmethod
    def read(cls, env: Env, service: str) -> Self:
        """The telemetry that the environment asks for; what is wrong is kept for `env.complain`."""
        return cls(
            service=service,
            environment=ENVIRONMENTS[env.choice("APP_ENV", "dev", *ENVIRONMENTS)],
            version=version("context-common"),
            revision=env.text("REVISION", ""),
            log_level=env.choice("LOG_LEVEL", "info", *LEVELS),
            log_requests=env.flag("LOG_REQUESTS", True),
            log_queries=env.flag("LOG_QUERIES", False),
            metrics_listen=env.listen("METRICS_LISTEN", ""),
            sentry_dsn=_dsn(env),
            traces=_traces(env),
        )

    def resource(self) -> dict[str, str]:
        """Whom spans are from, in OpenTelemetry's words."""
        return {
            "service.name": (self.traces and self.traces.service) or f"context-{self.service}",
            "service.namespace": "context",
            "service.version": self.version,
            "deployment.environment.name": self.environment,
        }


def _dsn(env: Env) -> str:
    dsn = env.secret("SENTRY_DSN", "")
    if dsn and not (dsn.startswith(("https://", "http://")) and "@" in dsn and dsn.rpartition("/")[2].isdecimal()):
        env.reject("SENTRY_DSN must be https://<key>@<host>/<project>")
        return ""
    hide(urlsplit(dsn).username or "")
    return dsn


def _traces(env: Env) -> Traces | None:
    """Reads the names of OpenTelemetry's specification."""
    endpoint = env.text("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    headers = env.secret("OTEL_EXPORTER_OTLP_HEADERS", "")
    traces = Traces(
        endpoint=endpoint,
        headers=tuple(_headers(env, headers)),
        service=env.text("OTEL_SERVICE_NAME", ""),
        timeout=env.number("OTEL_EXPORTER_OTLP_TIMEOUT", 10.0, least=0.1, most=60),
        sampler=env.choice(
            "OTEL_TRACES_SAMPLER", "parentbased_always_on", *SAMPLERS, *(f"parentbased_{name}" for name in SAMPLERS)
        ),
        ratio=env.number("OTEL_TRACES_SAMPLER_ARG", 1.0, most=1),
    )
    env.choice("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "grpc")
    disabled = env.flag("OTEL_SDK_DISABLED", False)
    if not endpoint or disabled:
        return None
    if not endpoint.startswith(("http://", "https://")):
        env.reject(f"OTEL_EXPORTER_OTLP_ENDPOINT must be http://host:port or https://…, not {endpoint!r}")
    return traces


def _headers(env: Env, text: str) -> list[tuple[str, str]]:
    """`name=value,name=value`, percent-encoded."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            env.reject("OTEL_EXPORTER_OTLP_HEADERS must be name=value,name=value")
            break
        found.append((name.strip().lower(), unquote(value.strip())))
        if any(word in name.lower() for word in SECRET_HEADERS):
            hide(found[-1][1])
    return found
