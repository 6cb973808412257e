"""The address under which callers reach the gateway: what may be one, and what follows from it."""

import pytest

from context_common.settings import SettingsError
from context_gateway.limits import LOOPBACK
from context_gateway.settings import Settings

PROD = {"APP_ENV": "prod", "SECRET_KEY_BASE": "0123456789abcdef0123456789abcdef"}
PUBLIC = {"PUBLIC_URL": "https://context.example.org:8443/"}


def hosts(environ: dict[str, str]) -> tuple[str, ...]:
    return Settings.from_env(environ).limits.allowed_hosts


def test_its_host_is_the_one_that_is_answered_in_prod() -> None:
    assert Settings.from_env(PROD | PUBLIC).public_url == "https://context.example.org:8443"
    assert hosts(PROD | PUBLIC) == ("context.example.org",)
    assert hosts(PROD | PUBLIC | {"ALLOWED_HOSTS": "one.example.org, two.example.org"}) == (
        "one.example.org",
        "two.example.org",
    )
    assert hosts(PROD) == ()


def test_in_dev_it_is_answered_beside_this_machine() -> None:
    assert hosts({"PUBLIC_URL": "http://box.example.org"}) == (*LOOPBACK, "127.0.0.1", "box.example.org")


@pytest.mark.parametrize(
    "url",
    [
        "context.example.org",
        "https://",
        "https://a.example/path",
        "https://user:secret@a.example",
        "https://a.example:0",
        "https://a.example:x",
        "https://a.example?x",
        "ftp://a.example",
    ],
)
def test_what_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="PUBLIC_URL"):
        Settings.from_env({"PUBLIC_URL": url})


def test_prod_is_reached_by_tls() -> None:
    with pytest.raises(SettingsError, match="PUBLIC_URL"):
        Settings.from_env(PROD | {"PUBLIC_URL": "http://context.example.org"})
