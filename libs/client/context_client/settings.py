"""Where the context engine is, and as whom to ask it."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:4000"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client needs to know. An empty namespace is the server's default one.

    Raises:
        ValueError: The url is not an http(s) address.
    """

    url: str = DEFAULT_URL
    token: str = ""
    namespace: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the url must be http(s)://host[:port], not {self.url!r}")
        if not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("the token holds characters that no token has")
        if not (self.namespace.isascii() and self.namespace.isprintable()):
            raise ValueError(f"{self.namespace!r} is no namespace")

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, url: str = "", namespace: str = "") -> "Settings":
        """`CONTEXT_URL`, `CONTEXT_TOKEN` and `CONTEXT_NAMESPACE`, but for what is given here."""
        return cls(
            url=url or environ.get("CONTEXT_URL") or DEFAULT_URL,
            token=environ.get("CONTEXT_TOKEN", "").strip(),
            namespace=namespace or environ.get("CONTEXT_NAMESPACE", ""),
        )
