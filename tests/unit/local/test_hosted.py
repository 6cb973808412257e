"""The container of all four services: what it reads and which processes it runs."""

from urllib.parse import urlsplit

import pytest

from context_common.settings import SettingsError
from context_local.hosted.container import rows
from context_local.hosted.settings import Settings

SECRET = "9f2c71b04de8a6351c7e08d2f4b96a5e"
ENVIRON = {
    "APP_ENV": "prod",
    "SECRET_KEY_BASE": SECRET,
    "DATABASE_URL": "postgres://owner:p%40ss@db.internal:5433/context?sslmode=require",
}


def test_each_store_logs_in_as_itself_where_the_owner_may_and_keeps_its_password() -> None:
    settings, again = Settings.from_env(ENVIRON), Settings.from_env(ENVIRON)
    address = urlsplit(settings.login("knowledge_login"))
    assert (address.hostname, address.port, address.path, address.query) == (
        "db.internal",
        5433,
        "/context",
        "sslmode=require",
    )
    assert address.username == "knowledge_login"
    assert settings.login("knowledge_login") == again.login("knowledge_login")
    passwords = {urlsplit(settings.login(user)).password for user in ("knowledge_login", "retrieval_login")}
    assert len(passwords) == 2
    assert SECRET not in settings.login("knowledge_login")


def test_a_secret_of_their_own_keeps_the_passwords_when_the_other_one_changes() -> None:
    changed = {**ENVIRON, "SECRET_KEY_BASE": SECRET[::-1]}
    before = Settings.from_env(ENVIRON).login("x")
    assert Settings.from_env(changed).login("x") != before
    assert Settings.from_env({**changed, "DATABASE_LOGIN_SECRET": SECRET}).login("x") == before


def test_the_gateway_comes_last_and_goes_first_and_only_it_drains() -> None:
    found = {row.name: row for row in rows(Settings.from_env({**ENVIRON, "DRAIN": "5", "PORT": "8080"}))}
    assert list(found)[-1] == "gateway"
    assert set(found["gateway"].needs) == {"knowledge", "embedding", "retrieval"}
    assert {name: float(row.environment["DRAIN"]) for name, row in found.items() if not row.once} == {
        "knowledge": 0,
        "embedding": 0,
        "retrieval": 0,
        "gateway": 5,
    }
    assert found["gateway"].environment["PORT"] == "8080"


def test_only_the_gateway_can_be_reached_and_metrics_where_they_are_asked_for() -> None:
    everywhere = ".".join("0000")
    found = rows(Settings.from_env({**ENVIRON, "METRICS_LISTEN": f"{everywhere}:9100"}))
    services = [row.environment for row in found if row.name in ("knowledge", "embedding", "retrieval")]
    assert [environ["LISTEN"].rpartition(":")[0] for environ in services] == ["127.0.0.1"] * 3
    assert {environ["METRICS_LISTEN"] for environ in services} == {
        f"{everywhere}:{port}" for port in (9101, 9102, 9103)
    }


def test_what_signs_tokens_is_the_gateways_alone_and_the_owner_the_migrations() -> None:
    found = {row.name: row for row in rows(Settings.from_env(ENVIRON))}
    for name in ("knowledge", "retrieval"):
        assert found[name].environment["SECRET_KEY_BASE"] == ""
        assert found[name].environment["DATABASE_URL"].startswith(f"postgres://{name}_login:")
    assert found["migrate-knowledge"].environment["MIGRATION_DATABASE_URL"] == ENVIRON["DATABASE_URL"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"DATABASE_URL": "host=db user=owner"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://owner:hunter2[@db/x"}, "DATABASE_URL"),
        ({"SECRET_KEY_BASE": ""}, "SECRET_KEY_BASE"),
        ({"SECRET_KEY_BASE": "short"}, "SECRET_KEY_BASE"),
    ],
)
def test_refuses_what_it_cannot_run_with(changed: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings.from_env({**ENVIRON, **changed})
