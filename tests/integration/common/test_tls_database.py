"""With DATABASE_CA_CERT the database has to prove who it is: real certificates, real libpq, a real server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from context_common import postgres
from context_common.postgres import ReplicaSettings
from context_common.settings import Env, SettingsError
from context_local.embedded import SOCKET
from tests.support.certificates import Authority
from tests.support.terminator import Terminator

SESSION = postgres.Options("public")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("the database's")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Path:
    """The right authority, another one, and something that is no certificate."""
    folder = tmp_path_factory.mktemp("authorities")
    (folder / "right.crt").write_bytes(authority.pem)
    (folder / "wrong.crt").write_bytes(Authority("somebody else's").pem)
    (folder / "none.crt").write_text("nothing")
    return folder


@pytest.fixture(scope="module")
def address(postgres_url: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a certificate for 127.0.0.1, which lets nobody in without TLS."""
    folder = tmp_path_factory.mktemp("server")
    for name, content in zip(("server.crt", "server.key"), authority.issue("postgres"), strict=True):
        (folder / name).write_bytes(content)
    given = conninfo_to_dict(postgres_url)
    socket = Path(str(given["host"])) / SOCKET
    with Terminator(folder / "server.crt", folder / "server.key", socket).running() as port:
        yield f"postgresql://{given['user']}@127.0.0.1:{port}/{given['dbname']}"


def completed(url: str, authority: Path) -> str:
    env = Env({"DATABASE_CA_CERT": str(authority), "DATABASE_URL": url})
    found = postgres.completion(env)(env.secret("DATABASE_URL"))
    env.complain()
    return found


def encrypted(url: str) -> bool:
    """Whether what is said on a connection to `url`, which works, is encrypted."""
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        return connection.pgconn.ssl_in_use


async def test_the_right_authority_lets_everything_work(address: str, certificates: Path) -> None:
    url = completed(address, certificates / "right.crt")
    assert encrypted(url)
    await postgres.check_session(url, SESSION, strict=False)
    async with postgres.open_pool(url, SESSION, name="test", size=2) as pool:
        await postgres.ping(pool)


@pytest.mark.parametrize(
    ("host", "file", "said"),
    [
        ("127.0.0.1", "wrong.crt", "certificate verify failed"),
        ("localhost", "right.crt", 'does not match host name "localhost"'),
    ],
)
async def test_another_authority_or_host_is_refused_by_its_name(
    address: str, certificates: Path, tmp_path: Path, host: str, file: str, said: str
) -> None:
    url = completed(address.replace("127.0.0.1", host), certificates / file)
    for attempt in (
        postgres.check_session(url, SESSION, strict=False),
        postgres.migrate(url, schema="none", directory=tmp_path),
    ):
        with pytest.raises(SettingsError, match=said) as caught:
            await attempt
        assert f"the database at {host} is not trusted" in str(caught.value)
        assert file in str(caught.value)


def test_an_sslmode_in_the_address_stands(address: str, certificates: Path) -> None:
    assert encrypted(completed(f"{address}?sslmode=require", certificates / "right.crt"))
    with pytest.raises(psycopg.OperationalError, match="closed the connection"):
        encrypted(completed(f"{address}?sslmode=disable", certificates / "right.crt"))
    # verify-ca asks who signed it and not for whom.
    elsewhere = address.replace("127.0.0.1", "localhost")
    assert encrypted(completed(f"{elsewhere}?sslmode=verify-ca", certificates / "right.crt"))


def test_a_service_says_it_and_ends(address: str, certificates: Path) -> None:
    environ = {"DATABASE_URL": address, "DATABASE_CA_CERT": str(certificates / "wrong.crt"), "PATH": ""}
    command = [sys.executable, "-m", "context_knowledge"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("knowledge: the database at 127.0.0.1 is not trusted")
    assert "Traceback" not in done.stderr


def test_every_address_is_completed_and_a_file_that_cannot_be_is_named(certificates: Path, tmp_path: Path) -> None:
    environ = {
        "DATABASE_CA_CERT": str(certificates / "right.crt"),
        "DATABASE_REPLICA_1_URL": "postgresql://one/x",
        "DATABASE_REPLICA_2_URL": "host=two dbname=x",
    }
    env = Env(environ)
    for url in ReplicaSettings.read(env, postgres.completion(env)).urls:
        assert "sslmode=verify-full" in url
        assert f"sslrootcert={certificates / 'right.crt'}" in url
    for path, why in ((tmp_path / "absent", "No such file"), (certificates / "none.crt", "holds no PEM certificate")):
        env = Env({"DATABASE_CA_CERT": str(path)})
        postgres.completion(env)
        with pytest.raises(SettingsError, match=why):
            env.complain()


@pytest.mark.parametrize("url", ["mysql://u:hunter2@127.0.0.1/db", "postgresql://u:hunter2%zz@db/x", "host=db hunter2"])
@pytest.mark.parametrize("file", ["right.crt", ""])
def test_a_malformed_address_is_refused_without_its_password(certificates: Path, url: str, file: str) -> None:
    env = Env({"DATABASE_CA_CERT": str(certificates / file) if file else "", "DATABASE_URL": url})
    postgres.completion(env)(env.secret("DATABASE_URL"))
    with pytest.raises(SettingsError, match="database's address is malformed") as caught:
        env.complain()
    assert "hunter2" not in str(caught.value)


def test_in_production_an_address_elsewhere_that_proves_nothing_is_mentioned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for url in (
        "postgresql://127.0.0.1/x",
        "postgresql:///x?host=/run/postgresql",
        "postgresql://db.example.org/x?sslmode=disable",
    ):
        postgres.warn_unverified("DATABASE_URL", url)
    assert "database_not_verified" not in capsys.readouterr().out
    postgres.warn_unverified("DATABASE_URL", "postgresql://db.example.org/x")
    assert "database_not_verified" in capsys.readouterr().out
