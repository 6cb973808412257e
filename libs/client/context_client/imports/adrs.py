"""Imports decision records: first the records, then, with the ids they were given, the links between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from context_client.adr.corpus import Corpus, Edge, Names, folder_and_name
from context_client.adr.files import Harvest, harvest
from context_client.adr.record import mentioned_numbers
from context_client.client import Client
from context_client.errors import ContextError
from context_client.imports.report import Report
from context_client.imports.upload import Upload, reason
from context_client.types import Line


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import will send, known before anything is sent."""

    found: Harvest
    corpus: Corpus
    items: list[dict[str, Any]]
    edges: list[Edge]
    where: Path  # paths are shown from here

    def source(self, index: int) -> str:
        """Where a record lies, as it is shown."""
        return shown(self.found.records[index].path, self.where)


def plan(directories: Sequence[Path], project: str = "", where: Path | None = None) -> Plan:
    """Read `directories`; `project` names whose records they are where their place does not.

    Raises:
        FileNotFoundError: One of them is not there.
    """
    names = Names(project)
    found = harvest(directories, names)
    corpus = Corpus(found.records, names)
    items = [
        {"type": "adr", "source_uri": uri} | {name: value for name, value in record.fields.items() if value}
        for record, uri in zip(found.records, found.source_uris, strict=True)
    ]
    return Plan(found, corpus, items, corpus.edges(), (where or Path.cwd()).resolve())


def start_report(planned: Plan) -> Report:
    """The part of the report that is known before anything is sent."""
    report = Report()
    report.left_out = [
        {"source": shown(entry.path, planned.where), "reason": entry.reason} for entry in planned.found.left_out
    ]
    report.notes = [
        {"source": planned.source(index), "note": note}
        for index, record in enumerate(planned.found.records)
        for note in record.notes
    ]
    return report


def run(client: Client, planned: Plan, said: Callable[[str], None], done: Callable[[int], None]) -> Report:
    """Send what was planned."""
    report, upload = start_report(planned), Upload(client, said, done)
    lines = upload.run(planned.items)
    for index, line in enumerate(lines):
        report.count(planned.source(index), line, reason(line))
    Linking(upload, planned, lines, report).run()
    report.interrupted = upload.interrupted
    report.settle(client)
    report.gone = gone(client, planned)
    return report


def gone(client: Client, planned: Plan) -> list[dict[str, str]]:
    """Records in force whose file no longer lies beside those that were found: deleted, or known by another name now.

    None where the caller may not read what stands.
    """
    records = zip(planned.found.records, planned.found.source_uris, strict=True)
    folders = {folder_and_name(uri)[0]: record.path.parent for record, uri in records}
    found = []
    try:
        for item in client.all_items("adr", {"status": ["active", "proposed"]}):
            folder, name = folder_and_name(item.get("source_uri") or "")
            if folder in folders and not (path := folders[folder] / name).exists():
                found.append({"source": shown(path, planned.where), "id": str(item["id"])})
    except ContextError:
        return []
    return sorted(found, key=lambda entry: entry["source"])


@dataclass(frozen=True, slots=True)
class Linking:
    """Draws the links of an import whose records have been answered."""

    upload: Upload
    planned: Plan
    lines: Sequence[Line]
    report: Report

    def run(self) -> None:
        """Draw what is missing, and take away what the server misread."""
        for edge in self.planned.edges:
            self._try(edge.start, partial(self._draw, edge))
        for index in range(len(self.lines)):
            for target in self._misread(index):
                self._try(index, partial(self._erase, index, target))

    def _draw(self, edge: Edge) -> None:
        start, end = self._id(edge.start), self._id(edge.end)
        if not (start and end):
            return  # one of them failed, which was reported
        drawn = self.upload.attempt(lambda: self.upload.client.relate(start, end, edge.type))
        if drawn.get("created", True):
            self.report.links_drawn += 1
        else:
            self.report.links_kept += 1

    def _erase(self, index: int, target: str) -> None:
        source = self._id(index)
        if self.lines[index]["status"] == "unchanged":
            item = self.upload.attempt(lambda: self.upload.client.get(source))
            if not any(_is_reference(other, target) for other in item.get("related_items", [])):
                return
        if self.upload.attempt(lambda: self.upload.client.unrelate(source, target, "references")):
            self.report.links_removed += 1

    def _misread(self, index: int) -> list[str]:
        """Ids that the server read in a record's text where the author meant a record of his own numbering."""
        corpus = self.planned.corpus
        drawn = (edge for edge in self.planned.edges if edge.start == index and edge.type == "references")
        meant = {self._id(edge.end) for edge in drawn}
        wrong = []
        for number in sorted(mentioned_numbers(corpus.records[index])):
            other, read = corpus.numbered(index, number), f"ADR-{number:03d}"
            if other is not None and self._id(index) and read not in {*meant, self._id(other), self._id(index)}:
                wrong.append(read)
        return wrong

    def _id(self, index: int) -> str:
        """The id of a stored record; empty where it failed, though its line may name the id that it brought."""
        line = self.lines[index]
        return "" if line["status"] == "error" else line.get("id") or ""

    def _try(self, index: int, work: Callable[[], None]) -> None:
        try:
            work()
        except ContextError as error:
            self.report.failed.append({"source": self.planned.source(index), "error": f"a link: {error}"})


def shown(path: Path, where: Path) -> str:
    """`path` from `where` on, if it is below it."""
    return str(path.relative_to(where) if path.is_relative_to(where) else path)


def _is_reference(other: dict[str, Any], target: str) -> bool:
    return (other.get("id"), other.get("relationship"), other.get("direction")) == (target, "references", "outgoing")
