"""contextctl: results on stdout, messages on stderr, exit codes that mean something."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from context_client import __main__
from context_client.cli.app import Session, app
from tests.unit.client.far_end import Engine, answering, losing, problem, refusing

assert __main__.COMMANDS  # importing it makes the commands known

ADR = ("add", "adr", "--title", "Use Postgres", "--decision", "We use it.")
BUNDLE = {
    "query_id": "q1",
    "key_decisions": [
        {"id": "ADR-001", "type": "adr", "title": "Use Postgres", "status": "active", "date": "2020-01-02",
         "content": "We use it.", "replaces": ["ADR-000"], "why": {"semantic": 0.5, "via": None}},
    ],
    "known_issues": [],
    "recent_changes": [],
    "total_items": 1,
    "tokens_used": 1234,
    "omitted": [{"id": "ADR-002", "reason": "over_budget", "tokens": 9}],
    "degraded": True,
}  # fmt: skip


def run(engine: Engine, *arguments: str, stdin: str = "", environ: dict[str, str] | None = None) -> Result:
    session = Session(environ or {}, transport=engine.transport)
    return CliRunner().invoke(app, list(arguments), obj=session, input=stdin, prog_name="contextctl")


def sent(engine: Engine) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(engine.requests[-1].content)
    return content


def test_every_field_of_a_decision_has_a_flag() -> None:
    engine = Engine()
    result = run(
        engine, *ADR, "--context", "c", "--option", "MySQL=known = slow", "--option", "none", "--consequences", "q",
        "--outcome", "o", "--created-date", "2020-01-02", "--supersedes", "ADR-003", "--supersedes", "ADR-004",
        "--stakeholder", "Ada", "--tag", "db", "--author", "a", "--status", "active", "--source-uri", "u", "--pinned",
        "--id", "ADR-050",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert sent(engine) == {
        "title": "Use Postgres", "decision": "We use it.", "context": "c", "consequences": "q", "outcome": "o",
        "options_considered": {"MySQL": "known = slow", "none": ""}, "created_date": "2020-01-02",
        "supersedes": ["ADR-003", "ADR-004"], "stakeholders": ["Ada"], "tags": ["db"], "author": "a",
        "status": "active", "source_uri": "u", "pinned": True, "id": "ADR-050",
    }  # fmt: skip


def test_failures_meetings_and_snapshots_have_theirs() -> None:
    engine = Engine()
    run(
        engine,
        "add",
        "failure",
        "--title",
        "Down",
        "--root-cause",
        "Pool",
        "--prevention",
        "limit",
        "--severity",
        "high",
    )
    assert sent(engine) == {"title": "Down", "root_cause": "Pool", "prevention": ["limit"], "severity": "high"}
    decision = {"decision": "Ship", "rationale": "ready", "action_items": [{"task": "tell"}]}
    arguments = ("--decision", "Wait", "--decision", json.dumps(decision), "--attendee", "Ada")
    run(engine, "add", "meeting", "--title", "Weekly", "--date", "2026-01-31", *arguments)
    assert sent(engine) == {
        "meeting_title": "Weekly", "date": "2026-01-31", "attendees": ["Ada"],
        "decisions": [{"decision": "Wait"}, decision],
    }  # fmt: skip
    arguments = ("--commit-message", "feat: x", "--author", "Ada", "--changed-file", "a,b.txt")
    run(engine, "add", "snapshot", "--commit-hash", "abc", *arguments)
    assert engine.requests[-1].url.path == "/api/context/snapshot"
    assert sent(engine) == {
        "commit_hash": "abc",
        "commit_message": "feat: x",
        "author": "Ada",
        "changed_files": ["a,b.txt"],
    }


def test_an_item_is_changed_by_the_flags_that_recorded_it() -> None:
    engine = Engine()
    run(engine, *ADR, "--tag", "db")
    result = run(engine, "set", "adr", "ADR-001", "--title", "Use MySQL", "--tag", "sql", "--version", "3")
    assert result.exit_code == 0, result.stderr
    assert "ADR-001 Use MySQL" in result.stdout
    assert (engine.requests[-1].method, engine.requests[-1].headers["if-match"]) == ("PATCH", '"3"')
    assert sent(engine) == {"title": "Use MySQL", "tags": ["sql"]}
    assert run(engine, "set", "adr", "ADR-001", "-f", "-", stdin='{"outcome": null}').exit_code == 0
    assert sent(engine) == {"outcome": None}
    engine.create("meeting", {"meeting_title": "Weekly"})
    run(engine, "set", "meeting", "MEET-001", "--decision", "Ship it")
    assert sent(engine) == {"decisions": [{"decision": "Ship it"}]}


def test_fields_come_from_stdin_or_a_file_and_flags_win(tmp_path: Path) -> None:
    engine = Engine()
    fields = {"title": "From JSON", "decision": "ä"}
    assert run(engine, "add", "adr", "--file", "-", "--title", "From a flag", stdin=json.dumps(fields)).exit_code == 0
    assert sent(engine) == {"title": "From a flag", "decision": "ä"}
    (tmp_path / "a.json").write_text(json.dumps(fields))
    assert run(engine, "add", "adr", "-f", str(tmp_path / "a.json")).exit_code == 0
    assert sent(engine) == fields


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("add", "adr"),
        ("add", "adr", "--file", "/no/such/file"),
        ("add", "meeting", "--decision", "{oops"),
        ("set", "adr", "ADR-001"),
        ("set", "adr", "FAIL-001", "--title", "Another type"),
        ("list", "adrs"),
        ("list", "adr", "--limit", "0"),
        ("related", "ADR-001", "--depth", "6"),
        ("import", "adr", "/no/such/directory"),
        ("import", "git", "/no/such/directory"),
        ("--url", "nonsense", "index"),
    ],
)
def test_wrong_usage_is_2_and_asks_nobody(arguments: tuple[str, ...]) -> None:
    engine = Engine()
    result = run(engine, *arguments)
    assert (result.exit_code, result.stdout, engine.requests) == (2, "", [])
    assert "Error" in result.stderr


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(404, "Not found"), 3),
        (problem(422, "Validation failed", details={"title": ["is required"]}), 4),
        (problem(409, "Conflict"), 4),
        (problem(400, "Malformed request"), 4),
        (problem(503, "Service unavailable"), 5),
        (problem(504, "Deadline exceeded"), 5),
        (problem(429, "Too many requests"), 5),
        (problem(401, "Not authenticated"), 6),
        (problem(403, "Not allowed"), 6),
        (problem(500, "Internal error", request_id="r1"), 1),
        (httpx2.Response(200, text="<html>"), 5),
    ],
)
def test_each_answer_has_its_exit_code(answer: httpx2.Response, code: int) -> None:
    engine = Engine()
    engine.before = [answering(answer)] * 4
    result = run(engine, *ADR)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("contextctl: ")


@pytest.mark.parametrize("failure", [refusing, losing])
def test_nobody_there_is_5_and_says_what_to_do(failure: Any) -> None:
    engine = Engine()
    engine.before = [failure] * 4
    result = run(engine, *ADR, "--url", "http://engine.test:1")
    assert result.exit_code == 5
    assert "http://engine.test:1" in result.stderr
    assert "CONTEXT_URL" in result.stderr


def test_a_refusal_names_the_fields() -> None:
    engine = Engine()
    engine.before = [answering(problem(422, "Validation failed", details={"title": ["is required"]}))]
    assert "title is required" in run(engine, *ADR).stderr


def test_for_programs_the_problem_is_json_on_stderr() -> None:
    engine = Engine()
    engine.before = [answering(problem(422, "Validation failed", code="validation_failed"))]
    result = run(engine, "--json", *ADR)
    assert (result.exit_code, result.stdout) == (4, "")
    assert json.loads(result.stderr)["code"] == "validation_failed"


@pytest.mark.parametrize("arguments", [("--json", "query", "why?"), ("query", "why?", "--json")])
def test_json_is_exactly_what_the_engine_answered(arguments: tuple[str, ...]) -> None:
    engine = Engine()
    engine.before = [answering(httpx2.Response(200, json=BUNDLE))]
    result = run(engine, *arguments)
    assert json.loads(result.stdout) == BUNDLE
    assert result.stderr == ""


def test_the_shared_options_win_over_the_environment_wherever_they_stand() -> None:
    environ = {"CONTEXT_URL": "http://env.test", "CONTEXT_NAMESPACE": "env", "CONTEXT_TOKEN": "t"}
    for arguments in (
        ("index",),
        ("--url", "http://flag.test", "-n", "flag", "index"),
        ("index", "--url", "http://flag.test", "--namespace", "flag"),
    ):
        engine = Engine()
        assert run(engine, *arguments, environ=environ).exit_code == 0
        request = engine.requests[0]
        expected = "flag" if len(arguments) > 1 else "env"
        assert (request.url.host, request.headers["x-context-namespace"]) == (f"{expected}.test", expected)
        assert request.headers["authorization"] == "Bearer t"


def test_a_question_and_its_filters() -> None:
    engine = Engine()
    engine.before = [answering(httpx2.Response(200, json=BUNDLE))]
    options = ("--max-tokens", "500", "--domain", "db", "--type", "adr", "--include-history", "--explain")
    result = run(engine, "query", "why?", *options)
    assert sent(engine) == {
        "query": "why?", "max_tokens": 500, "domains": ["db"], "types": ["adr"], "include_history": True,
        "explain": True,
    }  # fmt: skip
    for shown in (
        "Decisions",
        "ADR-001 Use Postgres",
        "replaces ADR-000",
        "We use it.",
        "semantic 0.50",
        "1,234 tokens",
    ):
        assert shown in result.stdout
    assert "1 left out: over budget" in result.stdout
    assert "degraded" in result.stdout


def test_what_was_turned_down_is_named() -> None:
    engine = Engine()
    turned_down = {"id": "ADR-007", "reason": "rejected", "tokens": 90, "title": "Use GraphQL"}
    engine.before = [answering(httpx2.Response(200, json={**BUNDLE, "omitted": [turned_down]}))]
    assert "rejected: ADR-007 Use GraphQL" in run(engine, "query", "GraphQL?").stdout


def test_a_search_and_its_filters() -> None:
    engine = Engine()
    hit = {"id": "ADR-001", "title": "Use Postgres", "snippet": "a\n b", "score": 0.5, "date": None, "status": "active"}
    engine.before = [answering(httpx2.Response(200, json={"results": [hit], "took_ms": 2.0, "degraded": False}))]
    result = run(engine, "search", "pg", "--top-k", "3", "--tag", "db", "--mode", "keyword")
    assert sent(engine) == {"query": "pg", "top_k": 3, "tags": ["db"], "mode": "keyword"}
    assert "ADR-001 Use Postgres" in result.stdout
    assert "a b" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("query", "why?", "--max-tokens", "0"), "max_tokens"),
        (("query", "why?", "--min-score", "0"), "min_score"),
        (("search", "pg", "--top-k", "0"), "top_k"),
    ],
)
def test_a_zero_is_sent_so_that_the_server_can_judge_it(arguments: tuple[str, ...], field: str) -> None:
    engine = Engine()
    run(engine, *arguments)
    assert sent(engine)[field] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("query", "\udcff nats"), 4, "query holds characters that are not Unicode"),
        (("list", "adr", "--author", "\udcff"), 4, "author holds characters that are not Unicode"),
        (("get", "ADR-\udcff"), 3, "nothing can be stored under 'ADR-\\udcff'"),
    ],
)
def test_bytes_that_are_no_text_have_an_exit_code_too(arguments: tuple[str, ...], code: int, said: str) -> None:
    engine = Engine()
    result = run(engine, *arguments)
    assert (result.exit_code, engine.requests) == (code, [])
    assert said in result.stderr


def test_a_neighbourhood() -> None:
    engine = Engine()
    near = {"id": "ADR-002", "title": "Two", "relationship": "related_to", "direction": "incoming", "depth": 2}
    body = {"item": {"id": "ADR-001", "title": "One"}, "related": [near], "total_related": 3}
    engine.before = [answering(httpx2.Response(200, json=body))]
    result = run(engine, "related", "ADR-001", "--type", "related_to")
    assert engine.requests[0].url.params["types"] == "related_to"
    assert "←   related to     ADR-002   Two" in result.stdout
    assert "2 more" in result.stdout


def test_an_item_in_full() -> None:
    engine = Engine()
    run(engine, *ADR, "--option", "MySQL=slow", "--stakeholder", "Ada")
    result = run(engine, "get", "ADR-001")
    for shown in ("ADR-001 Use Postgres", "decision", "We use it.", "MySQL", "slow", "- Ada"):
        assert shown in result.stdout


def test_lists_page_by_page_and_all_at_once() -> None:
    pages = [
        {"items": [{"id": "ADR-002", "title": "B"}], "next_cursor": "c2"},
        {"items": [{"id": "ADR-001", "title": "A"}], "next_cursor": None},
    ]
    engine = Engine()
    engine.before = [answering(httpx2.Response(200, json=page)) for page in pages]
    result = run(engine, "list", "adr", "--status", "active", "--tag", "x", "--all", "--json")
    assert [item["id"] for item in json.loads(result.stdout)["items"]] == ["ADR-002", "ADR-001"]
    assert engine.requests[1].url.params["cursor"] == "c2"
    engine.before = [answering(httpx2.Response(200, json=pages[0]))]
    assert "--cursor c2" in run(engine, "list", "adr").stdout


def test_health_is_5_unless_all_is_well() -> None:
    engine = Engine()
    state = {"status": "unhealthy", "checks": {"database": {"status": "down"}}}
    engine.before = [answering(httpx2.Response(503, json=state)), answering(httpx2.Response(200, json=state))]
    ill, well = run(engine, "health"), run(engine, "health", "--json")
    assert (ill.exit_code, well.exit_code) == (5, 0)
    assert "down" in ill.stdout
    assert json.loads(well.stdout) == state


def test_what_is_stored_cannot_drive_the_terminal() -> None:
    engine = Engine()
    hostile = "\x1b]0;owned\x07[bold]\x9b31m\u202e"
    run(engine, "add", "adr", "--title", hostile, "--decision", hostile)
    for arguments in (("get", "ADR-001"), ("list", "adr")):
        shown = run(engine, *arguments).stdout
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
        assert "[bold]" in shown  # no markup either


def test_without_a_terminal_there_are_no_colours() -> None:
    engine = Engine()
    run(engine, *ADR)
    assert "\x1b" not in run(engine, "list", "adr").stdout


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "site"
    directory.mkdir()
    (directory / "0001-a.md").write_text("# 1. A\n\n## Status\n\nPending\n\n## Decision\n\nYes.\n")
    (directory / "0002-b.md").write_text(
        "# 2. B\n\nDate: 2020-01-02\n\nStatus: accepted\n\n## Decision\n\nSee ADR-1.\n"
    )
    (directory / "LICENSE").write_text("MIT")
    return directory


def test_an_import_says_what_it_did(directory: Path) -> None:
    engine = Engine()
    result = run(engine, "import", "adr", str(directory))
    assert result.exit_code == 0, result.stderr
    for shown in ("a licence", "LICENSE", "status 'Pending' taken as proposed", "no date", "links drawn"):
        assert shown in result.stdout
    assert "2 of 2 records" in result.stderr
    again = json.loads(run(engine, "import", "adr", str(directory), "--json").stdout)
    assert (again["created"], again["unchanged"], again["links_drawn"]) == (0, 2, 0)


def test_an_import_in_which_a_record_failed_is_1(directory: Path) -> None:
    (directory / "0003-c.md").write_text("# 3. To refuse\n\n## Decision\n\nYes.\n")
    result = run(Engine(), "import", "adr", str(directory))
    assert result.exit_code == 1
    assert "title is refused" in result.stdout


def test_a_dry_run_sends_nothing(directory: Path) -> None:
    engine = Engine()
    result = run(engine, "import", "adr", str(directory), "--dry-run", "--json")
    planned = json.loads(result.stdout)
    assert [item["title"] for item in planned["items"]] == ["A", "B"]
    assert [link["type"] for link in planned["links"]] == ["references"]
    assert engine.requests == []
    assert "0001-a.md" in run(engine, "import", "adr", str(directory), "--dry-run").stdout


def test_git_history_is_imported(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    who = ["-c", "user.name=Ada", "-c", "user.email=a@example.org"]
    for number in range(3):
        message = ["commit", "-q", "--allow-empty", "-m", f"fix: {number}"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *message], check=True)
    engine = Engine()
    result = run(engine, "import", "git", str(tmp_path), "--limit", "2", "--json")
    assert json.loads(result.stdout)["created"] == 2
    assert [item["commit_message"] for item in engine.items.values()] == ["fix: 1", "fix: 2"]


def test_help_tells_the_exit_codes_and_every_command_has_some() -> None:
    shown = run(Engine(), "--help").stdout
    for code in ("0  done", "1  failed", "2  wrong", "3  not found", "4  refused", "5  not reachable", "6  not", "130"):
        assert code in shown
    for name in ("get", "list", "query", "search", "related", "index", "health"):
        assert "--json" in run(Engine(), name, "-h").stdout
    for group, names in (("add", ("adr", "failure", "meeting", "snapshot")), ("import", ("adr", "git"))):
        for name in names:
            assert "--namespace" in run(Engine(), group, name, "--help").stdout


def test_help_loads_neither_the_http_library_nor_the_parsers() -> None:
    code = "import sys, context_client.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "context_client.cli.ask" in loaded
    assert not {"httpx2", "rich.console", "markdown_it", "yaml", "context_client.client"} & loaded


@pytest.fixture
def heeded() -> Iterator[None]:
    """Let what a test starts heed Ctrl-C, also where these tests run behind a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_is_130_while_waiting_for_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "context_client", "index", "--url", url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ, text=True) as process:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_a_reader_that_has_seen_enough_is_no_error(directory: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "context_client", "import", "adr", str(directory), "--dry-run", "--json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""


def test_an_item_is_deleted_where_it_is_at_the_version_that_was_seen() -> None:
    engine = Engine()
    engine.create("adr", {"title": "t", "decision": "d"})
    result = run(engine, "--json", "delete", "ADR-001", "--version", "2")
    assert json.loads(result.stdout) == {"id": "ADR-001", "deleted": True}
    assert (engine.requests[-1].method, engine.requests[-1].headers["if-match"]) == ("DELETE", '"2"')
    assert run(engine, "delete", "ADR-001").exit_code == 3
    assert run(engine, "delete", "nonsense").exit_code == 3


def test_a_relationship_is_drawn_and_erased() -> None:
    engine = Engine()
    edge = {"from": "FAIL-001", "type": "caused_by", "to": "ADR-001"}
    drawn = run(engine, "--json", "link", *edge.values())
    assert json.loads(drawn.stdout) == {**edge, "created": True, "indexed": True}
    assert "caused_by" in run(engine, "link", *edge.values()).stdout
    erased = run(engine, "--json", "unlink", *edge.values())
    assert json.loads(erased.stdout) == {**edge, "deleted": True}
    again = run(engine, "unlink", *edge.values())
    assert (again.exit_code, again.stderr) == (
        3,
        "contextctl: Not found: nothing of type caused_by leads from FAIL-001 to ADR-001\n",
    )


@pytest.mark.parametrize(
    ("status", "detail", "said"),
    [
        (404, "there is no ADR-007", "contextctl list TYPE"),
        (404, "'nonsense' is no id such as ADR-001", "contextctl list TYPE"),
        (404, "There is no such namespace.", "--namespace"),
        (404, "X-Context-Namespace must name one of the credential's namespaces", "--namespace"),
        (404, "there is no key 4k9x0a7p", ""),
        (404, "There is no such receipt.", ""),
        (401, "the API key is unknown, revoked or expired", "CONTEXT_TOKEN must hold an API key or a JWT"),
        (403, "the credential lacks the scope admin", "CONTEXT_TOKEN must hold a credential that may do this"),
    ],
)
def test_what_is_said_beside_an_error_helps_with_that_error(status: int, detail: str, said: str) -> None:
    engine = Engine()
    engine.before = [answering(problem(status, "No", detail))]
    lines = run(engine, "get", "ADR-007").stderr.splitlines()
    assert lines[0] == f"contextctl: No: {detail}"
    assert [said in line for line in lines[1:]] == ([True] if said else [])


def test_who_has_to_wait_for_long_is_told() -> None:
    engine = Engine()
    engine.create("adr", {"title": "t", "decision": "d"})
    engine.before = [answering(problem(429, "Too many requests", retry_after=31)), losing]
    waited: list[float] = []
    session = Session({}, transport=engine.transport, sleep=waited.append)
    result = CliRunner().invoke(app, ["--json", "get", "ADR-001"], obj=session)
    assert json.loads(result.stdout)["id"] == "ADR-001"
    assert (len(waited), int(waited[0])) == (2, 31)
    assert result.stderr == "waiting 31 s for the engine\n"


def test_the_version_of_an_item_is_shown_and_what_its_parts_do_not_say_is_not() -> None:
    engine = Engine()
    decisions = [{"decision": "Ship it", "rationale": None, "action_items": [{"task": "tag", "owner": None}]}]
    meeting = {"meeting_title": "Weekly " * 20, "status": "active", "date": "2026-01-31", "version": 3}
    engine.create("meeting", meeting | {"decisions": decisions})
    shown = run(engine, "get", "MEET-001").stdout
    assert "active  2026-01-31  version 3" in shown
    assert "action items" in shown
    assert not {"rationale", "owner", "action_items"} & set(shown.split())


def test_a_folder_without_records_is_said_to_be_one(tmp_path: Path) -> None:
    result = run(Engine(), "import", "adr", str(tmp_path))
    assert (result.exit_code, result.stderr) == (0, f"There is no decision record in {tmp_path}.\n")


def test_an_empty_flag_clears_nothing_and_what_does_is_said() -> None:
    result = run(Engine(), "set", "adr", "ADR-001", "--context", "")
    assert result.exit_code == 2
    assert "null clears a field" in " ".join(result.stderr.split())
