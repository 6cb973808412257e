"""What every image's recipe keeps to, and the files that platforms read; nothing is built here."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SERVICES = ("gateway", "knowledge", "embedding", "retrieval")
RECIPES = {
    **{f"context-{name}": ROOT / "services" / name / "Dockerfile" for name in SERVICES},
    "context-cli": ROOT / "deploy" / "ops" / "Dockerfile",
    "context-engine": ROOT / "deploy" / "paas" / "Dockerfile",
}
LOCKS = [
    *(ROOT / "services" / name / "requirements.lock" for name in SERVICES),
    ROOT / "services" / "embedding" / "export.lock",
    ROOT / "deploy" / "ops" / "requirements.lock",
    ROOT / "deploy" / "images" / "build.lock",
]
LABELS = ("title", "description", "version", "revision", "source", "licenses")


def instructions(image: str) -> list[tuple[str, str]]:
    """The instructions of an image's recipe and what follows each, continued lines joined, comments left out."""
    lines = [line for line in RECIPES[image].read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def runtime(image: str) -> dict[str, str]:
    """The last stage's instructions; of those given more than once all, joined."""
    found: dict[str, str] = {}
    for word, rest in instructions(image):
        if word == "FROM":
            found = {}
        found[word] = f"{found[word]}\n{rest}" if word in found else rest
    return found


def fly() -> dict[str, Any]:
    return tomllib.loads((ROOT / "fly.toml").read_text())


def render() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text())
    return loaded


def test_every_service_and_nothing_else_has_a_recipe() -> None:
    found = {path for path in ROOT.glob("*/*/Dockerfile*") if ".venv" not in path.parts}
    assert found == set(RECIPES.values())
    assert {path.parent.name for path in ROOT.glob("services/*/pyproject.toml")} == set(SERVICES)


@pytest.mark.parametrize("image", RECIPES)
def test_a_recipe_passes_the_linter(image: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), RECIPES[image]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("image", RECIPES)
def test_what_runs_is_no_root_and_starts_without_a_shell(image: str) -> None:
    last = runtime(image)
    assert last["USER"] == "10001:10001"
    assert last["ENTRYPOINT"].startswith("[")
    assert last["WORKDIR"] == "/app"
    assert "RUN" not in last  # whatever needs a tool happens in a stage that is left behind


@pytest.mark.parametrize("image", RECIPES)
def test_nothing_comes_from_the_net_but_by_lock(image: str) -> None:
    words = [word for word, _ in instructions(image)]
    assert "ADD" not in words
    assert not re.search(r"https?://|curl|wget|apt-get", RECIPES[image].read_text())
    installs = [rest for word, rest in instructions(image) if word == "RUN"]
    assert any("environment.sh dependencies" in rest for rest in installs)
    assert all("environment.sh" in rest or "context_embedding.export" in rest for rest in installs)


@pytest.mark.parametrize("image", RECIPES)
def test_base_and_index_can_be_chosen(image: str) -> None:
    stages = [rest for word, rest in instructions(image) if word == "FROM"]
    assert stages[-1] == "${BASE_IMAGE}"
    assert {stage.split(" AS ")[0] for stage in stages} <= {"${BASE_IMAGE}", "${MODEL}", "scratch"}
    arguments = {rest.partition("=")[0] for word, rest in instructions(image) if word == "ARG"}
    assert {"BASE_IMAGE", "PIP_INDEX_URL", "VERSION", "REVISION", "SOURCE"} <= arguments


@pytest.mark.parametrize("image", RECIPES)
def test_an_image_says_what_it_is_and_how_it_is(image: str) -> None:
    last = runtime(image)
    assert all(f"org.opencontainers.image.{name}=" in last["LABEL"] for name in LABELS)
    assert f'title="{image}"' in last["LABEL"]
    probes = "context_common.probe" in last["HEALTHCHECK"]
    assert probes == (image != "context-cli")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_names_versions_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^(--|-e )", text, re.MULTILINE)
    entries = re.split(r"(?m)^(?=\w)", text)[1:]
    assert entries
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries if not entry.startswith("#"))


def test_the_scripts_of_the_build_are_known_to_the_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored  # all stays out but what is named
    for image in RECIPES:
        for word, rest in instructions(image):
            if word == "COPY" and "--from" not in rest and "$" not in rest:
                for source in rest.split()[:-1]:
                    assert any(source.startswith(line[1:].removesuffix("s")) for line in ignored if line[:1] == "!")


def test_fly_runs_the_engine_as_the_platform_wants_it() -> None:
    config = fly()
    assert config["app"] == "context-engineering"
    assert config["primary_region"] == "sjc"
    assert ROOT / config["build"]["dockerfile"] == RECIPES["context-engine"]
    assert config["env"]["PORT"] == "4000"
    assert config["env"]["APP_ENV"] == "prod"
    [service] = config["services"]
    assert (service["internal_port"], service["protocol"]) == (4000, "tcp")
    assert [(port["port"], port["handlers"]) for port in service["ports"]] == [(80, ["http"]), (443, ["tls", "http"])]
    assert service["tcp_checks"] == [{"grace_period": "30s", "interval": "15s", "timeout": "2s"}]
    assert [check["path"] for check in service["http_checks"]] == ["/readyz"]  # it takes out of service, restarts none
    assert "mounts" not in config  # a volume belongs to one machine; skills are in the image
    assert "skills" in RECIPES["context-engine"].read_text()


def test_render_runs_the_engine_as_the_platform_wants_it() -> None:
    config = render()
    [service], [database] = config["services"], config["databases"]
    assert (service["type"], service["runtime"], service["numInstances"]) == ("web", "docker", 3)
    assert ROOT / service["dockerfilePath"] == RECIPES["context-engine"]
    assert service["healthCheckPath"] == "/livez"  # it restarts, which cures no database
    variables = {variable["key"]: variable for variable in service["envVars"]}
    assert variables["DATABASE_URL"]["fromDatabase"] == {"name": database["name"], "property": "connectionString"}
    assert variables["SECRET_KEY_BASE"]["generateValue"] is True
    assert (variables["APP_ENV"]["value"], variables["PORT"]["value"]) == ("prod", "4000")
    assert (database["name"], database["databaseName"]) == ("context-engineering-db", "context_engineering")
    assert int(database["postgresMajorVersion"]) >= 17


def test_no_platform_file_holds_a_secret() -> None:
    secret = re.compile(r"(SECRET|PASSWORD|TOKEN|_KEY|_DSN)")
    assert not [name for name in fly()["env"] if secret.search(name)]
    assert not [v["key"] for v in render()["services"][0]["envVars"] if secret.search(v["key"]) and "value" in v]


def test_several_containers_leave_room_in_a_small_database() -> None:
    pools = [int(fly()["env"]["POOL_SIZE"])]
    pools += [int(v["value"]) for v in render()["services"][0]["envVars"] if v["key"] == "POOL_SIZE"]
    assert len(pools) == 2
    assert all(3 * 2 * pool < 97 for pool in pools)  # three containers, two stores, what 100 leave to users
