"""The Compose files: what they promise, read without Docker; where it is there, Compose reads them too."""

import json
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from context.v1 import embedding_pb2, knowledge_pb2, retrieval_pb2
from context_common.settings import weakness
from context_embedding.settings import Settings as EmbeddingSettings
from context_gateway.settings import Settings as GatewaySettings
from context_knowledge.settings import Settings as KnowledgeSettings
from context_ops.settings import Settings as OpsSettings
from context_retrieval.settings import Settings as RetrievalSettings
from tests.support.compose import (
    BASE,
    MTLS,
    PROD,
    ROOT,
    SECRETS,
    Reset,
    environment,
    load,
    merged,
    prepare,
    services,
    variables,
)

NAME = "context.test"
PRODUCTION = {"DOMAIN": NAME}
FOUR = ("gateway", "knowledge", "embedding", "retrieval")
ONE_SHOT = {"migrate-knowledge", "migrate-retrieval", "volumes", "cli", "backup"}
MONITORING = {"prometheus", "alertmanager", "grafana"}
OWN: Mapping[str, Callable[[Mapping[str, str]], object]] = {
    "gateway": GatewaySettings.from_env,
    "knowledge": KnowledgeSettings.from_env,
    "embedding": EmbeddingSettings.from_env,
    "retrieval": RetrievalSettings.from_env,
    "migrate-knowledge": KnowledgeSettings.from_env,
    "migrate-retrieval": RetrievalSettings.from_env,
}
# Who may reach whom: the call graph, the stores below it, and who measures and keeps them.
PAIRS = {
    *(frozenset(pair) for pair in combinations(FOUR, 2)),
    *(frozenset({"prometheus", name}) for name in (*MONITORING - {"prometheus"}, *OWN) if "migrate" not in name),
    *(
        frozenset({"db", name})
        for name in ("knowledge", "retrieval", "migrate-knowledge", "migrate-retrieval", "backup")
    ),
    *(frozenset({"redis", name}) for name in ("gateway", "embedding")),
    *map(frozenset, [("nginx", "gateway"), ("cli", "gateway"), ("cli", "nginx"), ("alertmanager", "grafana")]),
}
# Of these nobody calls the other, though they stand on one network with those that both call.
HARMLESS = {
    *map(frozenset, combinations(["knowledge", "retrieval", "migrate-knowledge", "migrate-retrieval", "backup"], 2)),
}


def names(networks: Any) -> set[str]:
    return set(networks or ())


def prod() -> dict[str, dict[str, Any]]:
    return services(BASE, PROD, environ=PRODUCTION)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the script makes."""
    folder = tmp_path_factory.mktemp("compose")
    prepare(folder, NAME)
    return folder


@pytest.mark.parametrize("path", [BASE, PROD, MTLS], ids=lambda path: path.name)
def test_the_files_follow_the_schema(path: Path, tmp_path: Path) -> None:
    plain = json.dumps(load(path), default=lambda value: [] if isinstance(value, Reset) else str(value))
    (tmp_path / "compose.json").write_text(plain)
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    ran = subprocess.run([*command, tmp_path / "compose.json"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "version" not in load(path)


@pytest.mark.skipif(not shutil.which("docker"), reason="Docker is not installed")
@pytest.mark.parametrize("paths", [[BASE], [BASE, PROD], [BASE, PROD, MTLS]], ids=len)
def test_compose_reads_them_as_we_do(paths: list[Path]) -> None:
    files = [part for path in paths for part in ("-f", str(path))]
    command = ["docker", "compose", *files, "--profile", "*", "config", "--format", "json", "--no-path-resolution"]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **PRODUCTION}
    ran = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    if "unknown" in ran.stderr:
        pytest.skip(f"this Docker has no Compose: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    theirs = json.loads(ran.stdout)["services"]
    ours = services(*paths, environ=PRODUCTION)
    assert theirs.keys() == ours.keys()
    for name, service in ours.items():
        assert theirs[name]["image"] == service["image"]
        assert (theirs[name].get("environment") or {}).items() >= {
            key: str(value) for key, value in service.get("environment", {}).items()
        }.items()
        assert [str(port["published"]) for port in theirs[name].get("ports", ())] == [
            port.split(":")[-2] for port in service.get("ports", ())
        ]


def test_production_wants_to_be_told_its_name() -> None:
    with pytest.raises(KeyError, match=r"DOMAIN: .*prepare\.sh"):
        services(BASE, PROD)
    assert services(BASE)


def test_the_project_has_a_name() -> None:
    assert load(BASE)["name"] == "context-engine"


def test_everything_that_runs_on_is_looked_after() -> None:
    for name, service in prod().items():
        check = service.get("healthcheck", {})
        if name in ONE_SHOT:
            assert service["restart"] == "no", name
        else:
            assert service["restart"] == "unless-stopped", name
            assert check["test"], name
            assert service["deploy"]["resources"]["limits"]["memory"], name
            assert service["logging"]["options"]["max-size"], name


def test_no_container_may_more_than_it_must() -> None:
    for name, service in prod().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        if name not in ("db", "volumes"):
            assert "cap_add" not in service, name


def test_each_starts_when_what_it_needs_is_there() -> None:
    for name, service in prod().items():
        for needed, how in service.get("depends_on", {}).items():
            finished = needed in ONE_SHOT
            optional = needed == "redis" or name in MONITORING
            expected = "completed_successfully" if finished else "started" if optional else "healthy"
            assert how == {"condition": f"service_{expected}"}, (name, needed)
    assert prod()["nginx"]["depends_on"].keys() == {"gateway"}


def test_health_checks_ask_for_services_that_exist() -> None:
    served = {name for module in (knowledge_pb2, embedding_pb2, retrieval_pb2) for name in _full_names(module)}
    for name in ("knowledge", "embedding", "retrieval"):
        assert prod()[name]["healthcheck"]["test"][-1] in served
    assert prod()["gateway"]["healthcheck"]["test"][-2:] == ["--http", "/readyz"]


def _full_names(module: Any) -> list[str]:
    return [service.full_name for service in module.DESCRIPTOR.services_by_name.values()]


def test_in_production_nginx_alone_is_reached_from_outside() -> None:
    published = {name: service["ports"] for name, service in prod().items() if service.get("ports")}
    assert published.pop("nginx") == ["80:80", "443:443"]
    assert published.keys() == MONITORING
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_base_is_for_this_machine() -> None:
    for name, service in services(BASE).items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
    assert services(BASE)["gateway"]["ports"] == ["127.0.0.1:4000:4000"]


def test_who_shares_a_network_may_call_each_other() -> None:
    found = prod()
    together = {
        frozenset(pair)
        for pair in combinations(found, 2)
        if names(found[pair[0]].get("networks")) & names(found[pair[1]].get("networks"))
    }
    assert together - HARMLESS == PAIRS - HARMLESS
    networks = merged(BASE, PROD, environ=PRODUCTION)["networks"]
    assert {name for name, network in networks.items() if network and network.get("internal")} == {"data", "cache"}


def test_the_gateway_believes_nginx_network_and_no_other() -> None:
    whole = merged(BASE, PROD, environ=PRODUCTION)
    subnet = whole["networks"]["edge"]["ipam"]["config"][0]["subnet"]
    assert whole["services"]["gateway"]["environment"]["TRUSTED_PROXIES"] == subnet
    assert "TRUSTED_PROXIES" not in services(BASE)["gateway"]["environment"]


def test_limits_and_replicas_are_the_ones_asked_for() -> None:
    found = prod()
    assert found["gateway"]["deploy"]["replicas"] == "3"
    limits = {name: service["deploy"]["resources"]["limits"] for name, service in found.items() if "deploy" in service}
    assert {limits[name]["cpus"] for name in FOUR} == {"2"}
    assert sum(_mebibytes(limits[name]["memory"]) for name in FOUR) == 4096
    assert limits["db"] == {"cpus": "4", "memory": "8G"}


def _mebibytes(text: str) -> int:
    return int(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


def test_the_database_is_the_one_asked_for_and_its_data_stay() -> None:
    db = prod()["db"]
    assert db["image"] == "pgvector/pgvector:pg17"
    assert db["environment"]["POSTGRES_DB"] == "context_engineering"
    assert db["environment"]["POSTGRES_PASSWORD_FILE"] == f"{SECRETS}/db_password"
    [data, first] = db["volumes"]
    assert data == "pg_data:/var/lib/postgresql/data"
    source, target, mode = first.split(":")
    assert (Path(target).parent, mode) == (Path("/docker-entrypoint-initdb.d"), "ro")
    assert "CREATE EXTENSION IF NOT EXISTS pg_stat_statements;" in (ROOT / source).read_text()
    assert "pg_data" in load(BASE)["volumes"]
    assert "shared_preload_libraries=pg_stat_statements" in db["command"]


def test_redis_forgets_what_was_used_least() -> None:
    command = prod()["redis"]["command"][-1]
    assert re.search(r"--maxmemory \d+mb --maxmemory-policy allkeys-lru", command)
    assert "--save ''" in command.replace('"', "'")


def test_all_pools_together_fit_into_the_database() -> None:
    found = prod()
    pools = sum(
        int(found[name]["deploy"]["replicas"]) * int(found[name]["environment"]["POOL_SIZE"])
        for name in ("knowledge", "retrieval")
    )
    most = next(part for part in found["db"]["command"] if part.startswith("max_connections="))
    assert pools + 20 <= int(most.removeprefix("max_connections="))


def test_skills_and_configuration_are_mounted_to_be_read() -> None:
    found = prod()
    assert found["gateway"]["volumes"] == ["./skills:/app/skills:ro"]
    for name in ("nginx", *MONITORING):
        for volume in found[name]["volumes"]:
            if volume.startswith("."):
                assert volume.endswith(":ro"), volume
                source = volume.split(":")[0]
                assert (ROOT / source).exists() or source == "./deploy/compose/acme", source
    targets = {secret["target"] for secret in found["nginx"]["secrets"]}
    assert targets == {"/etc/nginx/ssl/fullchain.pem", "/etc/nginx/ssl/privkey.pem"}


def test_no_secret_stands_in_a_variable() -> None:
    for name, service in services(BASE, PROD, MTLS, environ=PRODUCTION).items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|DATABASE_URL|REDIS_URL|DSN|API_KEY", variable):
                assert variable.endswith("_FILE"), (name, variable)
                given = {secret if isinstance(secret, str) else secret["target"] for secret in service["secrets"]}
                assert str(value).removeprefix(f"{SECRETS}/") in given, (name, variable)


def test_images_are_of_this_version_and_none_is_any() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "libs/common/pyproject.toml").read_text(), re.MULTILINE)
    assert version
    for name, service in prod().items():
        image, _, tag = service["image"].rpartition(":")
        assert image, name
        assert tag not in ("", "latest"), name
        if image.startswith("context-"):
            assert tag == version[1], name
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).exists(), name


def test_every_variable_of_the_files_is_in_the_example() -> None:
    example = (ROOT / "deploy/compose/env.example").read_text()
    listed = set(re.findall(r"(?m)^#?([A-Z0-9_]+)=", example)) - {"COMPOSE_FILE"}
    assert listed == {name for path in (BASE, PROD, MTLS) for name in variables(path)}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("paths", [[BASE], [BASE, PROD]], ids=["base", "prod"])
def test_each_process_accepts_what_its_container_tells_it(name: str, paths: list[Path], made: Path) -> None:
    service = services(*paths, environ=PRODUCTION)[name]
    environ = environment(service, made / "secrets")
    OWN[name](environ)
    documented = (ROOT / "docs" / "settings.md").read_text()
    for variable in environ:
        assert f"`{variable}`" in documented or f"`{variable.removesuffix('_FILE')}`" in documented, variable


def test_production_asks_everybody_who_they_are(made: Path) -> None:
    settings = GatewaySettings.from_env(environment(prod()["gateway"], made / "secrets"))
    assert settings.auth_required
    assert settings.public_url == f"https://{NAME}"
    assert settings.limits.allowed_hosts == (NAME, "gateway")
    assert settings.limits.rates


def test_the_container_of_backups_may_do_upkeep_too(made: Path) -> None:
    settings = OpsSettings.from_env(environment(prod()["backup"], made / "secrets"))
    assert "//postgres:" in settings.owner()


def test_the_script_makes_what_the_files_want_and_only_once(made: Path) -> None:
    secrets = made / "secrets"
    wanted = {Path(secret["file"]).name for secret in merged(BASE)["secrets"].values()}
    assert {path.name for path in secrets.iterdir()} == wanted
    assert stat.S_IMODE(secrets.stat().st_mode) == stat.S_IMODE((made / "ssl").stat().st_mode) == 0o700
    for path in secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    for name in ("service_secret", "secret_key_base", "db_password", "redis_password", "grafana_password"):
        assert not weakness((secrets / name).read_text().strip())
    password = (secrets / "db_password").read_text().strip()
    assert f"//postgres:{password}@db:5432/context_engineering?" in (secrets / "owner_database_url").read_text()
    before = {path: path.read_text() for path in made.rglob("*") if path.is_file()}
    prepare(made, "other.test")
    assert {path: path.read_text() for path in made.rglob("*") if path.is_file()} == before
    assert (made / "env").read_text() == f"DOMAIN={NAME}\n"


def test_what_the_script_makes_stays_out_of_repository_and_images() -> None:
    made = [
        "deploy/compose/secrets/db_password",
        "deploy/compose/ssl/privkey.pem",
        "deploy/compose/settings.env",
        ".env",
    ]
    ran = subprocess.run(["git", "check-ignore", *made], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == made
    assert "!deploy/compose" not in (ROOT / ".dockerignore").read_text().split()


def test_a_certificate_without_its_key_is_not_taken(made: Path, tmp_path: Path) -> None:
    prepare(tmp_path, "other.test")
    before = (made / "ssl" / "fullchain.pem").read_text()
    ran = subprocess.run(
        [ROOT / "deploy/compose/certificate.sh", tmp_path / "ssl/fullchain.pem", made / "ssl/privkey.pem"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "SSL_DIR": str(made / "ssl")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "not the certificate's" in ran.stderr
    assert (made / "ssl" / "fullchain.pem").read_text() == before


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("./var/{}", "var/{}"),
        ("var/{}   # on another disk", "var/{}"),
        ('"{root}/elsewhere/of ours/{}"', "elsewhere/of ours/{}"),
        ("'var/{}'\r", "var/{}"),
        ("", "deploy/compose/{}"),
    ],
)
def test_scripts_write_where_compose_reads(given: str, folder: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(ROOT / "deploy/compose", root / "deploy/compose", ignore=shutil.ignore_patterns("secrets", "ssl"))
    folders = {"SECRETS_DIR": "secrets", "SSL_DIR": "ssl", "ACME_DIR": "acme"}
    lines = [f"#{name}=/nowhere\n{name}={given.format(part, root=root)}\n" for name, part in folders.items()]
    (root / ".env").write_text(f"DOMAIN={NAME}\n{''.join(lines)}")
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\necho "$PWD $*" >{tmp_path}/asked\n')
    docker.chmod(0o755)
    environ = {"PATH": f"{docker.parent}:/usr/bin:/bin"}

    def run(script: str, *arguments: str | Path) -> None:
        command = [root / "deploy/compose" / script, *arguments]
        subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, check=True)

    run("prepare.sh", NAME)
    secrets, served, challenges = (root / folder.format(part) for part in folders.values())
    assert (secrets / "db_password").read_text()
    assert challenges.is_dir()
    prepare(tmp_path / "renewed", NAME)
    new = [tmp_path / "renewed/ssl" / name for name in ("fullchain.pem", "privkey.pem")]
    run("certificate.sh", *new)
    assert [(served / path.name).read_text() for path in new] == [path.read_text() for path in new]
    assert (tmp_path / "asked").read_text().startswith(f"{root} compose ")
    run("mtls.sh")
    assert (secrets / "tls/gateway.crt").read_text()


def test_certificates_inside_are_good_for_each_other_and_renewed_in_place(tmp_path: Path) -> None:
    def make() -> None:
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "SECRETS_DIR": str(tmp_path)}
        subprocess.run([ROOT / "deploy/compose/mtls.sh"], env=environ, capture_output=True, check=True)

    make()
    made = {path.name: (path.stat().st_ino, path.read_bytes()) for path in (tmp_path / "tls").iterdir()}
    wanted = {Path(secret["file"]).name for secret in merged(BASE, PROD, MTLS, environ=PRODUCTION)["secrets"].values()}
    assert {f"{name}.{part}" for name in FOUR for part in ("crt", "key")} | {"ca.crt"} <= wanted & made.keys()
    make()
    for name, (inode, content) in made.items():
        path = tmp_path / "tls" / name
        assert path.stat().st_ino == inode, name  # a container sees no other
        renewed = name.endswith((".crt", ".key")) and name.split(".")[0] in FOUR
        assert (path.read_bytes() != content) is renewed or name == "ca.srl", name
    for server in FOUR:
        assert _shakes_hands(tmp_path / "tls", server, "gateway", server)
        assert not _shakes_hands(tmp_path / "tls", server, "gateway", "other")


def _shakes_hands(folder: Path, server: str, client: str, called: str) -> bool:
    """Whether `client` and `server` trust each other, where the client asks for `called`."""
    contexts = []
    for purpose, name in ((ssl.Purpose.CLIENT_AUTH, server), (ssl.Purpose.SERVER_AUTH, client)):
        context = ssl.create_default_context(purpose, cafile=folder / "ca.crt")
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        context.verify_mode = ssl.CERT_REQUIRED
        contexts.append(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = contexts[0].wrap_bio(to_server, to_client, server_side=True)
    theirs = contexts[1].wrap_bio(to_client, to_server, server_hostname=called)
    for _ in range(4):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True
