"""Settings: all that is wrong is named at once, and prod lets no strangers in."""

from pathlib import Path

import pytest

from context_common.settings import SettingsError
from context_gateway.settings import Settings

STRONG = "a secret of at least thirty-two characters"
PROD = {"APP_ENV": "prod", "SECRET_KEY_BASE": STRONG}
LOOPBACK = ("127.0.0.1", "::1", "[::1]", "localhost", "127.9.9.9")
ELSEWHERE = ("0.0.0.0", "::", "10.1.2.3", "example.com")  # noqa: S104 - refused is the point
JWKS = {"JWT_JWKS_URL": "https://id.example/keys", "JWT_ISSUER": "https://id.example", "JWT_AUDIENCE": "context"}


def complaint(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return str(caught.value)


def test_settings_complain_about_everything_at_once() -> None:
    said = complaint({"PORT": "x", "APP_ENV": "moon", "PROMETHEUS_ENABLED": "perhaps"})
    assert all(name in said for name in ("PORT", "APP_ENV", "PROMETHEUS_ENABLED"))


def test_prod_with_a_strong_secret_needs_a_credential() -> None:
    assert Settings.from_env(PROD).auth_required
    assert Settings.from_env(PROD | {"HOST": "0.0.0.0"}).auth_required  # noqa: S104 - allowed is the point
    assert not Settings.from_env({}).auth_required


def test_prod_names_everything_that_would_let_strangers_in() -> None:
    said = complaint({"APP_ENV": "prod", "AUTH_REQUIRED": "false", "CORS_ORIGINS": "https://a.example, *"})
    assert all(name in said for name in ("missing: SECRET_KEY_BASE", "AUTH_REQUIRED=false", "CORS_ORIGINS=*"))


@pytest.mark.parametrize("secret", ["short", "a" * 64, "abcdefg" * 10, "x" * 31])
@pytest.mark.parametrize("app_env", ["dev", "prod"])
def test_a_weak_secret_is_refused_and_not_repeated(secret: str, app_env: str) -> None:
    said = complaint({"APP_ENV": app_env, "SECRET_KEY_BASE": secret})
    assert "SECRET_KEY_BASE is too weak" in said
    assert secret not in said


def test_the_secret_may_come_as_a_file_and_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{STRONG}\n")
    settings = Settings.from_env({"APP_ENV": "prod", "SECRET_KEY_BASE_FILE": str(path)})
    assert settings.jwt.secret == STRONG
    assert STRONG not in repr(settings)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_without_authentication_other_machines_are_not_served(host: str) -> None:
    assert f"HOST={host}" in complaint({"HOST": host})
    assert Settings.from_env({"HOST": host, "AUTH_REQUIRED": "true"}).auth_required


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_is_nobody_elses(host: str) -> None:
    assert Settings.from_env({"HOST": host}).host == host


@pytest.mark.parametrize("url", ["http://id.example/keys", "ftp://id.example/keys", "keys", "https:///keys"])
def test_keys_come_over_a_connection_that_nobody_can_change(url: str) -> None:
    assert "JWT_JWKS_URL" in complaint(JWKS | {"JWT_JWKS_URL": url})


@pytest.mark.parametrize("name", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_keys_of_others_need_an_issuer_and_an_audience(name: str) -> None:
    assert "JWT_ISSUER and JWT_AUDIENCE" in complaint({key: value for key, value in JWKS.items() if key != name})


def test_a_jwks_url_on_this_machine_may_be_plain() -> None:
    assert Settings.from_env(JWKS | {"JWT_JWKS_URL": "http://127.0.0.1:8080/keys"}).jwt.issuer == "https://id.example"
