"""contextctl on the real system: records arrive with their links, and a second import writes nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support import loopback
from tests.support.stack import Stack

PAGES = {
    "0001-own-brokers": "# 1. Run our own brokers\n\nDate: 2019-05-06\n\n## Status\n\n"
    "Superseded by [2. Rent](0002-rent-brokers.md)\n\n## Context\n\nMessages.\n\n## Decision\n\nWe run brokers.\n",
    "0002-rent-brokers": "# 2. Rent the brokers\n\nDate: 2020-06-07\n\n## Status\n\nAccepted\n\n## Context\n\n"
    "Nights on call.\n\n## Decision\n\nThe provider runs the message brokers, as ADR-3 pays for.\n",
    "0003-budget": "# 3. A budget for hosting\n\nDate: 2020-01-02\n\n## Status\n\n✅ Accepted\n\n"
    "Amended by [4](0004-more.md)\n\n## Decision\n\nHosting has a budget.\n",
    "0004-more": "---\nstatus: accepted\ndate: 2021-02-03\n---\n# More budget\n\n## Context and Problem Statement\n\n"
    "Not enough.\n\n## Considered Options\n\n* More\n* Less\n\n## Decision Outcome\n\nMore.\n",
    "template": "# [short title]\n",
}
VERSIONS = ("id", "title", "status", "created_date", "version", "updated_at", "supersedes", "superseded_by")


def contextctl(stack: Stack, namespace: str, *arguments: str) -> tuple[int, str]:
    command = stack.contextctl(*arguments, namespace=namespace)
    return command.wait(180), command.output()


def report(stack: Stack, namespace: str, *arguments: str) -> dict[str, Any]:
    code, output = contextctl(stack, namespace, *arguments, "--json")
    assert code == 0, output
    answer: dict[str, Any] = json.loads(output[output.index("{\n") :])  # after the progress lines
    return answer


def standing(stack: Stack, namespace: str) -> list[dict[str, Any]]:
    items = sorted(stack.all_items("adr", namespace), key=lambda item: item["id"])
    return [{name: item[name] for name in VERSIONS} for item in items]


def related(stack: Stack, namespace: str, item_id: str) -> set[tuple[str, str, str]]:
    headers = {"x-context-namespace": namespace}
    item = loopback.get(f"{stack.url}/api/adr/{item_id}", headers=headers).json()
    return {(near["direction"], near["relationship"], near["id"]) for near in item["related_items"]}


def write(directory: Path) -> Path:
    directory.mkdir(parents=True)
    for name, text in PAGES.items():
        (directory / f"{name}.md").write_text(text)
    return directory


def test_decision_records_arrive_with_links_and_again_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    namespace = "import-adr"
    # Two ids are taken, so that the records' own numbers are not the engine's.
    for number in range(2):
        title = ("--title", f"Before {number}", "--decision", "Stands.")
        assert contextctl(stack, namespace, "add", "adr", *title)[0] == 0
    directory = write(tmp_path / "one" / "site" / "adr")
    first = report(stack, namespace, "import", "adr", str(directory))
    assert (first["created"], len(first["left_out"]), first["failed"]) == (4, 1, [])
    assert first["not_indexed"] == 0
    items = standing(stack, namespace)
    assert [(item["title"], item["status"], item["created_date"]) for item in items[2:]] == [
        ("Run our own brokers", "superseded", "2019-05-06"),
        ("Rent the brokers", "active", "2020-06-07"),
        ("A budget for hosting", "active", "2020-01-02"),
        ("More budget", "active", "2021-02-03"),
    ]
    assert (items[2]["superseded_by"], items[3]["supersedes"]) == ("ADR-004", ["ADR-003"])
    assert related(stack, namespace, "ADR-004") == {
        ("outgoing", "supersedes", "ADR-003"),
        ("outgoing", "references", "ADR-005"),
    }
    assert related(stack, namespace, "ADR-006") == {("outgoing", "related_to", "ADR-005")}

    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "site").rename(tmp_path / "two" / "site")
    again = report(stack, namespace, "import", "adr", str(tmp_path / "two"))
    assert (again["unchanged"], again["created"], again["updated"]) == (4, 0, 0)
    assert (again["links_drawn"], again["links_removed"]) == (0, 0)
    assert standing(stack, namespace) == items


def test_what_was_imported_is_found_when_the_command_ends(stack: Stack, tmp_path: Path) -> None:
    namespace = "import-ask"
    report(stack, namespace, "import", "adr", str(write(tmp_path / "site")))
    answer = report(stack, namespace, "query", "who operates the message brokers?", "--max-tokens", "1000")
    found = [item["title"] for item in answer["key_decisions"]]
    assert "Rent the brokers" in found
    assert "Run our own brokers" not in found


def test_git_history_arrives_once(stack: Stack, tmp_path: Path) -> None:
    namespace = "import-git"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for number in range(3):
        (tmp_path / "a.txt").write_text(str(number))
        subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, "commit", "-q", "-m", f"fix: number {number}"], check=True)
    first = report(stack, namespace, "import", "git", str(tmp_path))
    again = report(stack, namespace, "import", "git", str(tmp_path))
    assert (first["created"], again["created"], again["unchanged"]) == (3, 0, 3)
    items = stack.all_items("snapshot", namespace)
    assert {(item["author"], item["commit_type"], *item["changed_files"]) for item in items} == {
        ("Ada", "bugfix", "a.txt")
    }


def test_what_is_not_there_or_not_valid_has_its_exit_code(stack: Stack) -> None:
    assert contextctl(stack, "import-none", "get", "ADR-404")[0] == 3
    code, output = contextctl(stack, "import-none", "add", "adr", "--title", "No decision")
    assert (code, "decision is required" in output) == (4, True)
    code, output = contextctl(stack, "import-none", "list", "adr", "--from", "yesterday")
    assert (code, "from is no date" in output) == (4, True)
    assert contextctl(stack, "import-none", "health")[0] == 0


def test_a_decision_is_changed_where_nobody_has_changed_it_since(stack: Stack) -> None:
    namespace = "import-set"
    made = report(stack, namespace, "add", "adr", "--title", "Use Postgres", "--decision", "We use it.", "--tag", "db")
    change = ("set", "adr", made["id"], "--status", "rejected", "--version", "1")
    changed = report(stack, namespace, *change)
    assert (changed["status"], changed["version"], changed["tags"]) == ("rejected", 2, ["db"])
    assert contextctl(stack, namespace, *change)[0] == 4
