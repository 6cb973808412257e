"""The operations document is kept: its version is the project's and its review is not overdue."""

import json
import re
import shutil
import subprocess
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import commands

ROOT = Path(__file__).parents[3]
BATCHER = ROOT / "services/embedding/context_embedding/batcher.py"
DOCUMENT = (ROOT / "docs/operations.md").read_text()


ANCHORS = [
    re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    for heading in re.findall(
        r"^#+ (.*)$", re.sub(r"^ *```.*?^ *```", "", DOCUMENT, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
]


def stated(name: str) -> str:
    """What the table of versions says under `name`."""
    found = re.search(rf"^\| {name} \| (\S+) \|$", DOCUMENT, re.MULTILINE)
    assert found, f"docs/operations.md does not state: {name}"
    return found[1]


def test_the_document_states_the_version_of_every_package() -> None:
    packages = [*ROOT.glob("services/*/pyproject.toml"), *ROOT.glob("libs/*/pyproject.toml")]
    versions = {tomllib.loads(path.read_text())["project"]["version"] for path in packages}
    assert versions == {stated("Version")}


def test_the_next_review_is_to_come_and_within_a_year_of_the_last_change() -> None:
    changed, review = (date.fromisoformat(stated(name)) for name in ("Last updated", "Next review"))
    assert changed < review <= changed + timedelta(days=366)
    assert datetime.now(UTC).date() <= review, "docs/operations.md is due for a review: read it, then set both dates"


def test_every_command_that_it_names_exists() -> None:
    named = set(re.findall(r"`(?:dc run --rm backup|job|contextctl) ([a-z][a-z-]+(?: [a-z][a-z-]+)?)", DOCUMENT))
    there = {command.removeprefix("contextctl ") for command in commands()}
    there |= {command.partition(" ")[0] for command in there}
    assert len(named) > 15
    assert {name for name in named if name not in there and name.partition(" ")[0] not in there} == set()


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize(("ended", "code"), [({"succeeded": 1}, 0), ({"failed": 1}, 1)])
def test_a_job_of_the_runbooks_takes_options_and_ends_with_what_it_runs(
    ended: dict[str, int], code: int, tmp_path: Path
) -> None:
    defined = re.search(r"^job\(\) \{.*?^\}$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert defined
    made: dict[str, Any] = {"spec": {"template": {"spec": {"containers": [{"name": "backup", "args": ["backup"]}]}}}}
    (tmp_path / "made").write_text(json.dumps(made))
    (tmp_path / "status").write_text(json.dumps({"status": {"active": 1}}))
    (tmp_path / "ended").write_text(json.dumps({"status": ended}))
    cluster = """
        k() { case "$*" in
          "create job ops-"*" --from=cronjob/context-backup --dry-run=client -o json") cat made ;;
          "create -f - -o name") cat >created; echo job.batch/ops-1 ;;
          "get job.batch/ops-1 -o json") cat status; cp ended status ;;
          "logs job.batch/ops-1") echo done ;;
          *) echo "$*" >&2; return 9 ;;
        esac; }
        sleep() { :; }
    """
    script = f"{cluster}\n{defined[0]}\njob backup status --max-age 26h"
    ran = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert (ran.returncode, ran.stdout) == (code, "done\n"), ran.stderr
    [container] = json.loads((tmp_path / "created").read_text())["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["backup", "status", "--max-age", "26h"]


def test_cron_finds_what_it_is_told_to_run() -> None:
    [line] = re.findall(r"^[\d*]+ [\d*]+ \* \* \S+ \w+ (.*)$", DOCUMENT, re.MULTILINE)
    command = next(word for word in line.split() if "=" not in word)
    assert command.startswith("/"), "cron's PATH has /usr/bin and /bin"


def test_refused_embeddings_are_told_apart_by_labels_that_exist() -> None:
    section = DOCUMENT.partition("### ContextEmbeddingRefused\n")[2].partition("\n### ")[0]
    named = set(re.findall(r"`([a-z]+)` (?:during|means)", section))
    assert named == set(re.findall(r'Lane\("(\w+)"', BATCHER.read_text()))


def test_every_target_and_file_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", DOCUMENT)) <= targets
    files = set(re.findall(r"\b((?:deploy/(?!context-)|docs/|tests/)[\w./-]*\w)", DOCUMENT))
    assert len(files) > 5
    made = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}  # where it is installed
    assert {name for name in files if not (ROOT / name).exists()} <= made


def test_every_link_leads_somewhere_and_to_one_place() -> None:
    links = re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", DOCUMENT)
    assert len(links) > 30
    for document, anchor in links:
        if document:
            assert (ROOT / "docs" / document).exists(), document
        elif anchor:
            assert anchor in ANCHORS, anchor
    assert sorted(set(ANCHORS)) == sorted(ANCHORS), "of two equal headings links reach the first"
