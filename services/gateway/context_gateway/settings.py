"""What the gateway reads from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from context_common.process import Process
from context_common.protection import Protection
from context_common.settings import Env, is_loopback, split_url
from context_gateway.limits import Limits
from context_gateway.tokens import JwtSettings


@dataclass(frozen=True)
class Settings:
    """One gateway process."""

    knowledge_addr: str
    embedding_addr: str
    retrieval_addr: str
    process: Process
    host: str = "127.0.0.1"
    port: int = 4000
    prometheus_enabled: bool = True
    cors_origins: tuple[str, ...] = ()
    auth_required: bool = False
    jwt: JwtSettings = field(default_factory=JwtSettings)
    public_url: str = ""  # the origin under which callers reach it, without a slash at its end
    public_certificate: Path | None = None  # the certificate that the proxy before us shows
    skills_path: Path = Path("/app/skills")
    request_timeout: float = 30.0  # seconds in which a request is answered; bulk streams take as long as they take
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Something is missing or malformed, or strangers would be let in. It names everything.
        """
        read = Env(environ)
        host = read.text("HOST", "127.0.0.1")
        protection = Protection.read(read, host)
        public_url = read_public_url(read, prod=protection.prod)
        settings = cls(
            knowledge_addr=read.text("KNOWLEDGE_ADDR", "127.0.0.1:50051"),
            embedding_addr=read.text("EMBEDDING_ADDR", "127.0.0.1:50052"),
            retrieval_addr=read.text("RETRIEVAL_ADDR", "127.0.0.1:50053"),
            process=Process.read(read, "gateway"),
            host=host,
            port=read.integer("PORT", 4000, most=65535),
            prometheus_enabled=read.flag("PROMETHEUS_ENABLED", True),
            cors_origins=protection.cors_origins,
            auth_required=protection.auth_required,
            jwt=read_jwt(read, protection.secret_key_base),
            public_url=public_url,
            public_certificate=Path(shown) if (shown := read.text("PUBLIC_CERT_FILE", "")) else None,
            skills_path=Path(read.text("SKILLS_PATH", "/app/skills")),
            request_timeout=read.number("REQUEST_TIMEOUT", 30.0, least=0.1, most=600),
            limits=Limits.read(read, prod=protection.prod, host=host, public=urlsplit(public_url).hostname or ""),
        )
        read.complain()
        return settings


def read_public_url(read: Env, *, prod: bool) -> str:
    """The origin under which callers reach the gateway: https, in dev http too; empty where nobody says."""
    text = read.text("PUBLIC_URL", "").rstrip("/")
    url = split_url(text)
    whole = url and f"{url.scheme}://{url.netloc}" == text and url.hostname and not url.username
    secure = url and url.scheme in (("https",) if prod else ("https", "http"))
    if text and not (whole and secure):
        read.reject(f"PUBLIC_URL must be https://name or https://name:port, not {text!r}")
        return ""
    return text


def read_jwt(read: Env, secret: str) -> JwtSettings:
    """How JWTs are verified; with a URL the secret signs none."""
    settings = JwtSettings(
        secret=secret,
        jwks_url=read.text("JWT_JWKS_URL", ""),
        issuer=read.text("JWT_ISSUER", ""),
        audience=read.text("JWT_AUDIENCE", ""),
    )
    if settings.jwks_url:
        url = urlsplit(settings.jwks_url)
        secure = url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or ""))
        if not secure or not url.hostname:
            read.reject(f"JWT_JWKS_URL must be https://…, not {settings.jwks_url!r}")
        if not settings.issuer or not settings.audience:
            read.reject("JWT_JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE, or anybody's tokens of that issuer would do")
    return settings
