"""Settings, ports, the lock, the log tail, the table and the embedded Postgres of the local stack."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from context_common.settings import SettingsError
from context_local import demo, health, lock, migrations, table
from context_local.embedded import LONGEST_SOCKET, SOCKET, as_user, prepare
from context_local.settings import Settings
from context_local.tail import Tail


def test_settings_have_defaults() -> None:
    settings = Settings.from_env({})
    assert (settings.port, settings.data_dir, settings.database_url) == (4000, Path.cwd() / ".data", "")


def test_settings_complain_about_everything_at_once() -> None:
    with pytest.raises(SettingsError, match=r"PORT must be .*; CONTEXT_DEMO must be"):
        Settings.from_env({"PORT": "http", "CONTEXT_DEMO": "perhaps"})


def test_a_port_is_given_to_one_of_those_who_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = health.free_ports(3)
    monkeypatch.setattr(health, "PORTS", given)
    assert health.free_ports(1) == []


def test_free_ports_are_different_and_free() -> None:
    ports = health.free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        health.check_free(port)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert health.listens(port)
        with pytest.raises(health.PortTakenError, match=f"port {port} cannot be used"):
            health.check_free(port)
    assert not health.listens(port)


def test_nothing_answers_where_nobody_listens() -> None:
    [port] = health.free_ports(1)
    assert not health.answers(f"http://127.0.0.1:{port}/readyz")


def test_a_second_stack_in_a_directory_is_told_of_the_first(tmp_path: Path) -> None:
    with lock.hold(tmp_path), pytest.raises(lock.InUseError, match=f"process {os.getpid()}"), lock.hold(tmp_path):
        pass
    with lock.hold(tmp_path):
        pass


def test_a_lock_goes_with_its_holder(tmp_path: Path) -> None:
    hold = (
        f"import os, pathlib; from context_local import lock; lock.hold(pathlib.Path({str(tmp_path)!r})).__enter__(); "
    )
    subprocess.run([sys.executable, "-c", hold + "os.kill(os.getpid(), 9)"], check=False)
    with lock.hold(tmp_path):
        pass


def test_tail_tells_errors_once_and_nothing_else(tmp_path: Path) -> None:
    told: list[str] = []
    tail = Tail(tmp_path, told.append)
    log = tmp_path / "knowledge.log"
    failed = json.dumps({"level": "error", "message": "call_failed", "exception": "Traceback\nValueError: no"})
    log.write_text(json.dumps({"level": "info", "message": "ready"}) + "\nnot JSON\n" + failed + "\n" + failed + "\n")
    tail.look()
    tail.look()
    assert told == ["knowledge: call_failed ValueError: no"]
    with log.open("a") as file:
        file.write('{"level": "error", "mess')
    tail.look()
    assert len(told) == 1
    with log.open("a") as file:
        file.write('age": "half_a_line"}\n')
    tail.look()
    assert told[1:] == ["knowledge: half_a_line"]


def test_tail_follows_a_file_that_began_anew(tmp_path: Path) -> None:
    told: list[str] = []
    tail = Tail(tmp_path, told.append)
    log = tmp_path / "gateway.log"
    log.write_text("x" * 500 + "\n")
    tail.look()
    log.write_text('{"level": "error", "message": "again"}\n')
    tail.look()
    assert told == ["gateway: again"]


def test_each_service_hears_where_the_others_are() -> None:
    at = table.Addresses.find(4000)
    rows = {row.name: row for row in table.services(at, "postgresql:///x", needs=["postgres"])}
    gateway = rows["gateway"].environment
    assert gateway["PORT"] == "4000"
    for name in table.GRPC:
        assert rows[name].environment["LISTEN"] == gateway[f"{name.upper()}_ADDR"]
    assert len({*at.grpc.values(), *at.metrics.values()}) == 6
    for name in table.STORES:
        assert rows[f"migrate-{name}"].needs == ["postgres"]
        assert rows[name].needs == [f"migrate-{name}"]


def test_only_the_gateway_has_what_signs_tokens() -> None:
    rows = {row.name: row.environment for row in table.services(table.Addresses.find(4000), "x")}
    assert {name for name, environ in rows.items() if environ.get("SECRET_KEY_BASE") != ""} == {"gateway"}
    assert len({environ["SERVICE_SECRET"] for environ in rows.values()}) == 1


def test_each_store_logs_in_by_itself_and_only_its_migrations_as_the_owner() -> None:
    at = table.Addresses.find(4000)
    rows = {row.name: row.environment for row in table.services(at, "owner", login=lambda user: f"login:{user}")}
    for name in table.STORES:
        for row in (name, f"migrate-{name}"):
            assert rows[row]["DATABASE_URL"] == f"login:{name}_login"
            assert rows[row]["MIGRATION_DATABASE_URL"] == "owner"


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that Postgres' own user may pass through, as it may not through pytest's."""
    with tempfile.TemporaryDirectory(prefix="context-test-") as path:
        yield Path(path)


def test_migrations_that_ran_are_not_waited_for() -> None:
    rows = {row.name: row for row in table.services(table.Addresses.find(4000), "x", needs=["postgres"], migrate=False)}
    assert rows.keys() == set(table.SERVICES)
    assert [rows[name].needs for name in table.STORES] == [["postgres"], ["postgres"]]


def test_a_database_without_the_newest_migration_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "services" / "knowledge" / "context_knowledge" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_items.sql").write_text("SELECT 1")
    monkeypatch.setattr(migrations, "PROJECT", tmp_path)
    assert not migrations.current(tmp_path)
    migrations.remember(tmp_path)
    assert migrations.current(tmp_path)
    (folder / "0002_more.sql").write_text("SELECT 2")
    assert not migrations.current(tmp_path)


def test_a_socket_whose_path_would_be_too_long_goes_elsewhere(scratch: Path) -> None:
    data = scratch / ("deep" * 30)
    cluster = prepare(data, sync=False)
    assert len(os.fsencode(cluster.socket)) <= LONGEST_SOCKET
    assert cluster.socket.name == SOCKET
    assert (data / "PG_VERSION").exists()
    cluster.socket_dir.rmdir()


def test_what_an_interrupted_first_start_left_is_begun_anew(scratch: Path) -> None:
    data = scratch / "postgres"
    (data / "base").mkdir(parents=True)
    (data / "postgresql.conf").touch()
    prepare(data, sync=False)
    assert (data / "PG_VERSION").read_text().strip() >= "18"


def test_the_server_answers_only_once_it_takes_connections(scratch: Path) -> None:
    cluster = prepare(scratch / "postgres", sync=False)
    for end in (signal.SIGKILL, signal.SIGQUIT):  # after the first it listens and recovers
        server = subprocess.Popen(cluster.command(fsync="off"), **as_user(cluster.user), stderr=subprocess.DEVNULL)
        try:
            while not cluster.answers():
                assert server.poll() is None
                time.sleep(0.02)  # each look is a connection, which it takes after all those before
            psycopg.connect(cluster.url).close()
        finally:
            server.send_signal(end)
            server.wait(30)
    assert not cluster.answers()


def test_an_answer_is_described_by_its_first_items() -> None:
    item = {"id": "ADR-005", "title": "The feed", "date": "2026-11-23", "content": "It is a set. " * 60}
    bundle = {"key_decisions": [item] * 3, "known_issues": [], "recent_changes": [], "tokens_used": 900}
    text = demo.describe(bundle)
    assert "ADR-005 The feed (2026-11-23)" in text
    assert "and 1 more" in text
    assert "nothing is recorded" in demo.describe({**bundle, "key_decisions": []})
