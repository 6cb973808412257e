"""What stands between strangers and the system: read by whatever faces them, and held to by APP_ENV=prod."""

from dataclasses import dataclass, field
from typing import Self

from context_common.settings import Env, is_loopback, weakness

ANY_ORIGIN = "*"


@dataclass(frozen=True)
class Protection:
    """Who is let in.

    Args:
        app_env: dev or prod.
        secret_key_base: Signs JWTs of small installations; empty where there is none.
        auth_required: Whether a request needs a credential.
        cors_origins: The origins whose pages may call.
    """

    app_env: str = "dev"
    secret_key_base: str = field(default="", repr=False)
    auth_required: bool = False
    cors_origins: tuple[str, ...] = ()

    @property
    def prod(self) -> bool:
        """Whether it holds more than a developer's own data."""
        return self.app_env == "prod"

    @classmethod
    def read(cls, env: Env, host: str) -> Self:
        """The protection that the environment sets up for a server on `host`; what is wrong is kept for `complain`.

        In prod a strong SECRET_KEY_BASE, authentication and named origins are needed; without authentication only this
        machine may be served, anywhere.
        """
        prod = env.choice("APP_ENV", "dev", "dev", "prod") == "prod"
        found = cls(
            app_env="prod" if prod else "dev",
            secret_key_base=env.secret("SECRET_KEY_BASE", None if prod else ""),
            auth_required=env.flag("AUTH_REQUIRED", prod),
            cors_origins=tuple(env.text("CORS_ORIGINS", "").replace(",", " ").split()),
        )
        weak = weakness(found.secret_key_base) if found.secret_key_base else ""
        if weak:
            env.reject(f"SECRET_KEY_BASE is too weak: {weak}")
        if prod and not found.auth_required:
            env.reject("AUTH_REQUIRED=false would let anybody in, which APP_ENV=prod refuses")
        if prod and ANY_ORIGIN in found.cors_origins:
            env.reject("CORS_ORIGINS=* would let any page call, which APP_ENV=prod refuses")
        if not found.auth_required and not is_loopback(host):
            env.reject(f"HOST={host} would serve other machines without authentication; set AUTH_REQUIRED=true")
        return found
