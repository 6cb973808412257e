"""Imports: again is unchanged, interruptions are survived, what failed is said."""

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from rich.console import Console

from context_client import Refused, git
from context_client.cli import show
from context_client.imports import adrs, commits
from context_client.imports.report import Report
from context_client.imports.upload import Upload
from tests.unit.client.far_end import Engine, answering, losing, problem, refusing

PAGES = {
    "0001-broker": "# 1. Broker\n\nDate: 2020-01-02\n\n## Status\n\nAccepted\n\n## Decision\n\nOne.\n",
    "0002-two": "# 2. Two\n\nDate: 2020-01-03\n\n## Status\n\nAccepted\n\nSupersedes [1](0001-broker.md)\n\n"
    "## Decision\n\nTwo, as ADR-3 asks.\n",
    "0003-cache": "# 3. Cache\n\nDate: 2020-01-04\n\n## Status\n\nAccepted\n\n## Decision\n\nSee [2](0002-two.md).\n",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "site" / "adr"
    directory.mkdir(parents=True)
    for name, text in PAGES.items():
        (directory / f"{name}.md").write_text(text)
    (directory / "README.md").write_text("# All\n")
    return directory


class Run:
    """One import of `directory`, and what it said."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.said: list[str] = []
        self.done = 0
        self.report: Report = adrs.run(engine.client(), adrs.plan([directory]), self.said.append, self._done)

    def _done(self, count: int) -> None:
        self.done += count


def test_records_and_their_links_arrive(directory: Path) -> None:
    engine = Engine()
    run = Run(engine, directory)
    assert (run.report.created, run.report.links_drawn, run.done) == (3, 2, 3)
    assert [entry["reason"] for entry in run.report.left_out] == ["a README"]
    assert engine.edges >= {("ADR-002", "ADR-001", "supersedes"), ("ADR-003", "ADR-002", "references")}
    assert engine.items["ADR-001"]["source_uri"] == "folder:site#adr/0001-broker.md"


def test_again_is_unchanged_and_writes_nothing(directory: Path) -> None:
    engine = Engine()
    Run(engine, directory)
    writes, edges = engine.writes, set(engine.edges)
    report = Run(engine, directory).report
    assert (report.unchanged, report.links_kept, report.links_drawn, report.links_removed) == (3, 3, 0, 0)
    assert (engine.writes, engine.edges) == (writes, edges)


def test_a_changed_file_is_an_update(directory: Path) -> None:
    engine = Engine()
    Run(engine, directory)
    path = directory / "0001-broker.md"
    path.write_text(path.read_text().replace("One.", "Two."))
    report = Run(engine, directory).report
    assert (report.updated, report.unchanged) == (1, 2)
    assert engine.items["ADR-001"]["decision"] == "Two."


def printed(report: Report) -> str:
    console = Console(file=io.StringIO(), width=200)
    show.report(console, report.as_json())
    return cast("io.StringIO", console.file).getvalue()


def test_a_record_whose_file_is_gone_is_named_and_stands(directory: Path) -> None:
    engine = Engine()
    assert Run(engine, directory).report.gone == []
    elsewhere = {"title": "Theirs", "source_uri": "folder:other#adr/0003-cache.md"}
    for given in (elsewhere, {"title": "Said"}, elsewhere | {"source_uri": "folder:site#0003-cache.md"}):
        engine.create("adr", given)
    (directory / "0003-cache.md").rename(directory / "0003-caché #1.md")
    report = Run(engine, directory).report
    assert "ADR-003 stands, and its file is gone" in printed(report)
    assert report.gone == [{"source": str(directory / "0003-cache.md"), "id": "ADR-003"}]
    (directory / "0003-caché #1.md").unlink()
    assert {entry["id"] for entry in Run(engine, directory).report.gone} == {"ADR-003", "ADR-007"}
    assert engine.items["ADR-003"]["title"] == "Cache"
    alone = Run(engine, directory / "0001-broker.md").report
    assert (alone.unchanged, {entry["id"] for entry in alone.gone}) == (1, {"ADR-003", "ADR-007"})


def test_who_may_not_read_is_told_of_no_record_without_a_file(directory: Path) -> None:
    engine = Engine()
    engine.before = [lambda asked: problem(403, "Not allowed") if asked.url.path == "/api/adr" else None] * 9
    report = Run(engine, directory).report
    assert (report.created, report.gone, report.failed) == (3, [], [])
    assert engine.requests[-1].url.path == "/api/adr"


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_records_own_numbers_are_not_the_engines(directory: Path, interrupted: bool) -> None:
    """`ADR-3` in a record is the third of its corpus, here ADR-008; the engine drew ADR-003."""
    engine = Engine()
    for number in range(5):
        engine.create("adr", {"title": f"Other {number}", "decision": "x"})
    if interrupted:  # the first run ended before its links: the second meets unchanged records
        list(engine.client().bulk(adrs.plan([directory]).items))
    report = Run(engine, directory).report
    assert report.links_removed == 1
    assert {edge for edge in engine.edges if edge[0] == "ADR-007"} == {
        ("ADR-007", "ADR-006", "supersedes"),
        ("ADR-007", "ADR-008", "references"),
    }


def test_a_refused_record_fails_alone(directory: Path) -> None:
    engine = Engine()
    path = directory / "0002-two.md"
    path.write_text(path.read_text().replace("# 2. Two", "# 2. To refuse"))
    report = Run(engine, directory).report
    assert report.created == 2
    assert [entry["error"] for entry in report.failed] == ["Validation failed: title is refused"]
    assert report.failed[0]["source"].endswith("0002-two.md")


def test_a_conflict_says_which_and_its_record_is_linked_to_nothing(directory: Path) -> None:
    engine = Engine()
    path = directory / "0002-two.md"
    path.write_text(path.read_text().replace("# 2. Two", "# 2. The deleted"))
    report = Run(engine, directory).report
    assert [entry["error"] for entry in report.failed] == ["Conflict: ADR-002 was deleted; ids are not used again"]
    assert report.links_drawn == 0


def test_a_refused_link_is_a_failure_that_names_its_record(directory: Path) -> None:
    engine = Engine()
    cycle = problem(422, "Validation failed", details={"to": ["makes ADR-002 supersede itself"]})
    engine.before = [lambda _: None, answering(cycle)]
    report = Run(engine, directory).report
    assert report.failed == [
        {"source": report.items[1]["source"], "error": "a link: Validation failed: to makes ADR-002 supersede itself"}
    ]


@pytest.mark.parametrize("failure", [refusing, losing, answering(problem(503, "Away", retry_after=1))])
def test_an_interruption_is_said_and_survived(directory: Path, failure: Any) -> None:
    engine = Engine()
    engine.before = [failure, failure]
    run = Run(engine, directory)
    assert (run.report.created, run.done, run.report.interrupted) == (3, 3, True)
    assert [line.partition("; ")[2] for line in run.said] == ["trying again (3 to go)"] * 2


def test_only_what_was_not_answered_is_sent_again(directory: Path) -> None:
    engine = Engine()

    def half(request: httpx2.Request) -> httpx2.Response:
        lines = list(engine.bulk(request.content))
        away = {"line": 2, "status": "error", "error": "Service unavailable", "code": "unavailable"}
        return httpx2.Response(200, content=lines[0] + json.dumps(away).encode() + b"\n")

    engine.before = [half]
    run = Run(engine, directory)
    assert (run.report.created, run.report.unchanged, run.report.failed) == (1, 2, [])
    sent = [json.loads(line)["title"] for line in engine.requests[1].content.splitlines()]
    assert sent == ["Two", "Cache"]


def test_links_survive_an_interruption_too(directory: Path) -> None:
    engine = Engine()
    engine.before = [lambda _: None, *[answering(problem(503, "Away"))] * 6]
    report = Run(engine, directory).report
    assert (report.links_drawn, report.failed) == (2, [])


def test_patience_ends_and_what_is_left_has_failed(directory: Path) -> None:
    engine = Engine()
    engine.before = [answering(problem(503, "Service unavailable"))] * 1_000
    clock = iter(range(10_000))
    said: list[str] = []
    upload = Upload(engine.client(), said.append, clock=lambda: float(next(clock)))
    planned = adrs.plan([directory])
    lines = upload.run(planned.items)
    assert {line["status"] for line in lines} == {"error"}
    assert said[-1] == "Service unavailable; gave up after 90 s"


def test_a_refused_call_is_an_error_at_once(directory: Path) -> None:
    engine = Engine()
    engine.before = [answering(problem(413, "Too large"))]
    with pytest.raises(Refused, match="Too large"):
        Run(engine, directory)
    assert len(engine.requests) == 1


def test_an_import_ends_when_the_index_has_caught_up(directory: Path) -> None:
    engine = Engine()
    pending = iter([5, 1, 0])

    def behind(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.path == "/api/bulk":
            lines = [json.loads(line) | {"indexed": False} for line in engine.bulk(request.content)]
            return httpx2.Response(200, content=b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        if request.url.path == "/api/admin/index":
            return httpx2.Response(200, json={"pending": next(pending)})
        return None

    engine.before = [behind] * 100
    assert Run(engine, directory).report.not_indexed == 0
    assert next(pending, None) is None


def test_what_the_index_gave_up_on_is_not_searchable(directory: Path) -> None:
    engine = Engine()

    def stored(request: httpx2.Request) -> httpx2.Response:
        lines = [json.loads(line) | {"indexed": False} for line in engine.bulk(request.content)]
        return httpx2.Response(200, content=b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    pages = [([{"id": "ADR-002"}], "c2"), ([{"id": "FAIL-009"}, {"id": "ADR-003"}], None)]
    engine.before = [stored, *[lambda _: None] * 4]
    engine.before += [answering(httpx2.Response(200, json={"items": p, "next_cursor": c})) for p, c in pages]
    assert Run(engine, directory).report.not_indexed == 2
    assert [request.url.params.get("cursor") for request in engine.requests[-3:-1]] == [None, "c2"]
    assert engine.waited == []


def commit(directory: Path, message: str, **files: str) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)
    run: Callable[..., Any] = subprocess.run
    run(["git", "-C", str(directory), "add", "."], check=True)
    who = ["-c", "user.name=Ada Ü", "-c", "user.email=a@example.org"]
    flags = ["--allow-empty", "--allow-empty-message", "-q", "--date=2021-03-04T23:59:00-08:00", "-m", message]
    run(["git", "-C", str(directory), *who, "commit", *flags], check=True)


def test_git_history_becomes_snapshots(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    commit(tmp_path, "feat: one\n\nBody, see ADR-001.\n\x1e\x1f", **{"a b.txt": "1", "ü.txt": "2"})
    commit(tmp_path, "")
    commit(tmp_path, "fix: three", c="3")
    found = git.commits(tmp_path)
    assert [c["commit_message"] for c in found] == ["feat: one\n\nBody, see ADR-001.", "(no message)", "fix: three"]
    assert [c["changed_files"] for c in found] == [["a b.txt", "ü.txt"], [], ["c"]]
    assert {(c["author"], c["date"], c["type"]) for c in found} == {("Ada Ü", "2021-03-04", "snapshot")}
    assert len({c["commit_hash"] for c in found}) == 3
    assert git.commits(tmp_path, 2) == found[1:]
    engine = Engine()
    first = commits.run(engine.client(), found, print, lambda _: None)
    again = commits.run(engine.client(), found, print, lambda _: None)
    assert (first.created, again.unchanged, len(engine.items)) == (3, 3, 3)


@pytest.mark.parametrize("more", [0, 1])
def test_more_than_the_api_takes_is_cut_and_said(more: int) -> None:
    engine = Engine()
    files = [f"f{n}" for n in range(1_000 + more)]
    snapshot = git.snapshot("a" * 40, "A" * (500 + more), "2021-03-04", "m" * (100_000 + more), files)
    report = commits.run(engine.client(), [snapshot], print, lambda _: None)
    (stored,) = engine.items.values()
    assert [len(stored[name]) for name in ("changed_files", "commit_message", "author")] == [1_000, 100_000, 500]
    notes = [
        "only the first 1,000 changed files were kept",
        "only the first 100,000 characters of the message were kept",
        "only the first 500 characters of the author were kept",
    ]
    assert report.notes == [{"source": "a" * 12, "note": note} for note in notes if more]


def test_no_repository_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="not a git repository"):
        git.commits(tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(git.GitError, match="does not have any commits"):
        git.commits(tmp_path)
