"""Settings complain about everything at once, and take secrets from files."""

from pathlib import Path

import pytest

from context_common.settings import Env, SettingsError


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    env = Env(
        {
            "POOL_SIZE": "many",
            "LISTEN": "nowhere",
            "LOG_LEVEL": "loud",
            "TOKEN_FILE": str(tmp_path / "absent"),
            "KEY": "a",
            "KEY_FILE": "b",
            "DRAIN": "-1",
        }
    )
    env.text("NAME")
    env.secret("DATABASE_URL")
    env.integer("POOL_SIZE", 50)
    env.listen("LISTEN", "127.0.0.1:1")
    env.choice("LOG_LEVEL", "info", "info", "debug")
    env.secret("TOKEN")
    env.secret("KEY")
    env.number("DRAIN", 0.5)
    with pytest.raises(SettingsError) as caught:
        env.complain()
    for name in ("NAME", "DATABASE_URL_FILE", "POOL_SIZE", "LISTEN", "LOG_LEVEL", "TOKEN_FILE", "KEY_FILE", "DRAIN"):
        assert name in str(caught.value)


@pytest.mark.parametrize(("content", "said"), [(b" \n", "NAME_FILE is empty"), (b"\xff", "NAME_FILE: is no text")])
def test_a_file_without_the_secret_that_is_required_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    env = Env({"NAME_FILE": str(tmp_path / "secret")})
    env.secret("NAME")
    with pytest.raises(SettingsError, match=said):
        env.complain()


def test_an_optional_secret_may_come_as_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    env = Env({"NAME_FILE": str(tmp_path / "secret")})
    assert env.secret("NAME", "") == ""
    env.complain()


def test_what_is_said_to_be_wrong_shows_no_secret() -> None:
    env = Env({"PASSWORD": "hunter2hunter2"})
    env.reject(f"{env.secret('PASSWORD')} does not fit, and neither does postgresql://u:other-one@db/x")
    with pytest.raises(SettingsError) as caught:
        env.complain()
    assert "hunter2" not in str(caught.value)
    assert "other-one" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://:hunter2@cache", "redis://:hunter2/hunter2@cache:6379/0", "redis://:hunter2@cache:0", "redis://[:hunter2"],
)
def test_a_redis_that_is_none_is_named_without_its_password(url: str) -> None:
    env = Env({"REDIS_URL": url})
    env.redis("REDIS_URL")
    with pytest.raises(SettingsError, match="REDIS_URL must be redis://") as caught:
        env.complain()
    assert "hunter2" not in str(caught.value)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    env = Env({"TOKEN_FILE": str(tmp_path / "secret"), "SIZE": "7", "ON": "Yes", "AT": "[::]:80", "EMPTY": ""})
    assert env.secret("TOKEN") == "s3cret"
    assert env.integer("SIZE", 1) == 7
    assert env.flag("ON", default=False)
    assert env.listen("AT", "x:1") == "[::]:80"
    assert env.text("EMPTY", "default") == "default"
    assert env.redis("EMPTY") == ""
    env.complain()
