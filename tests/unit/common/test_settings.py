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


def test_what_is_right_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    env = Env({"TOKEN_FILE": str(tmp_path / "secret"), "SIZE": "7", "ON": "Yes", "AT": "[::]:80", "EMPTY": ""})
    assert env.secret("TOKEN") == "s3cret"
    assert env.integer("SIZE", 1) == 7
    assert env.flag("ON", default=False)
    assert env.listen("AT", "x:1") == "[::]:80"
    assert env.text("EMPTY", "default") == "default"
    env.complain()
