"""Labelled questions over real text, made so that words of the question are not just found again: a title is asked for
and not indexed, and a sentence that is asked for is taken out of its document. Questions by kind are in kinds.py.

Our own records and decisions are always there. Others' text is named by ADR_CORPUS (folders with decision records),
POSTMORTEM_CORPUS (a folder of Markdown with `summary` in its front matter), POSTMORTEM_LIST (a Markdown file with a
paragraph for each, `[who](where). What happened.`) and CONVERSATION_CORPUS (a LoCoMo file).
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from context_client.adr.record import Record, read
from context_retrieval.document import DATES, NOT_IN_FORCE, OWN_FIELDS
from context_retrieval.model import Document, Edge, Filter, Key
from tests.support.postgres import ROOT

HERE = Path(__file__).parent
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n|\n(?=[-*#])")
WORD = re.compile(r"[A-Za-z][\w'-]*")
ENTRY = re.compile(r"\[([^\]]+)\]\([^\s]*\)\.?\s*(.+)")
ENTRY_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"])")
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
LEAST_ENTRY = 8  # words of an entry in a list
MARKUP = ("|", "#", "```", "!", "[")
LEAST, MOST = 6, 60  # words of a sentence that is asked for
LONG = 350  # words of a record that is long
DEEP = 0.55  # of a long record, from where on it is deep
ANSWERABLE = (1, 2, 4)  # categories of a conversation's questions whose answer was said


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the ids of what answers it, what may be answered at all, and the ids of what must not be."""

    question: str
    wanted: frozenset[str]
    within: Filter
    unwanted: frozenset[str] = frozenset()

    @property
    def held_out(self) -> bool:
        """Whether it is of the half that nothing was tuned on."""
        return hashlib.md5(f"h{self.question}".encode(), usedforsecurity=False).digest()[-1] % 2 == 1


@dataclass(frozen=True, slots=True)
class Labelled:
    """Questions, and the documents that they are asked of."""

    name: str
    documents: Sequence[Document]
    asked: Sequence[Asked]


def ours() -> Iterator[Labelled]:
    """Our records, and our decisions, whole ones (`own title`) first."""
    yield records()
    yield from decisions("own", [ROOT / "docs" / "adr"])


def given(environ: Mapping[str, str]) -> Iterator[Labelled]:
    """The sets made of folders that `environ` names."""
    if folder := environ.get("ADR_CORPUS"):
        yield from decisions("adr", [Path(part) for part in folder.split(":")])
    if folder := environ.get("POSTMORTEM_CORPUS"):
        yield postmortems(Path(folder))
    if file := environ.get("POSTMORTEM_LIST"):
        yield postmortem_list(Path(file))
    if file := environ.get("CONVERSATION_CORPUS"):
        yield from conversations(Path(file))


def records() -> Labelled:
    """Our records, and questions about them in other words."""
    rows = [json.loads(line) for line in (HERE / "records.ndjson").read_text().splitlines()]
    asked = tomllib.loads((HERE / "questions.toml").read_text())["records"]
    ids = _ids(rows)
    documents = [_recorded(item_id, row, ids, rows) for item_id, row in zip(ids, rows, strict=True)]
    return Labelled("records", documents, [asked_of("records", row["ask"], row["find"]) for row in asked])


def decisions(name: str, folders: Sequence[Path]) -> Iterator[Labelled]:
    """Decision records by title, by the first sentence of their context, and long ones by a sentence deep inside."""
    paths = sorted(path for folder in folders for path in folder.rglob("*.md"))
    found = [one for path in paths if isinstance(one := read(path, path.read_bytes()), Record)]
    whole = [
        document_of(name, "adr", f"ADR-{number:04d}", one.fields["title"], one.fields)
        for number, one in enumerate(found, 1)
    ]
    by_title = [_asked(document, document.title) for document in whole]
    yield _named(f"{name} title", whole, by_title)
    yield _named(f"{name} untitled", [replace(document, title="") for document in whole], by_title)
    for part, pick in (("context", _first), ("deep", _deep)):
        picked = [(document, pick(document)) for document in whole]
        documents = [_without(document, sentence) for document, sentence in picked]
        yield _named(f"{name} {part}", documents, [_asked(document, said) for document, said in picked if said])


def postmortems(folder: Path) -> Labelled:
    """Post-mortems by a sentence of their summary, which they do not have."""
    documents, asked = [], []
    for number, path in enumerate(sorted(folder.glob("*.md"))):
        _, front, body = path.read_text().split("---", 2)
        facts = yaml.safe_load(front)
        document = document_of(
            "post-mortem", "failure", f"FAIL-{number:04d}", facts.get("title") or "", {"root_cause": body.strip()}
        )
        documents.append(document)
        if said := _some(path.name, [one for one in _sentences(facts.get("summary") or "") if _whole(one)]):
            asked.append(_asked(document, said))
    return Labelled("post-mortem", documents, asked)


def postmortem_list(file: Path) -> Labelled:
    """Post-mortems of a few sentences, of three and more by the one in the middle, which they do not have."""
    documents: list[Document] = []
    asked: list[Asked] = []
    for line in file.read_text().splitlines():
        entry = ENTRY.fullmatch(line.strip())
        if not entry or len(entry[2].split()) < LEAST_ENTRY:
            continue
        said = [one for one in ENTRY_SENTENCE.split(LINK.sub(r"\1", entry[2])) if one]
        wanted = said[len(said) // 2] if len(said) > 2 else ""
        rest = " ".join(one for one in said if one != wanted)
        document = document_of("list", "failure", f"FAIL-{len(documents):04d}", entry[1], {"root_cause": rest})
        documents.append(document)
        if len(wanted.split()) >= LEAST:
            asked.append(_asked(document, wanted))
    return Labelled("list", documents, asked)


def conversations(file: Path) -> Iterator[Labelled]:
    """Conversations by question: each turn a document, and each session one."""
    turns: list[Document] = []
    sessions: list[Document] = []
    asked: list[tuple[str, list[str], list[str]]] = []
    for talk in json.loads(file.read_text()):
        place: dict[str, tuple[str, str]] = {}
        for key, said in talk["conversation"].items():
            if not re.fullmatch(r"session_\d+", key) or not said:
                continue
            lines = [f"{turn['speaker']}: {turn['text']}" for turn in said]
            session = f"S-{len(sessions):05d}"
            for turn, line in zip(said, lines, strict=True):
                place[turn["dia_id"]] = f"T-{len(turns):05d}", session
                turns.append(document_of("turns", "meeting", f"T-{len(turns):05d}", "", {"decisions": [line]}))
            when = talk["conversation"][f"{key}_date_time"]
            sessions.append(document_of("sessions", "meeting", session, when, {"decisions": lines}))
        for row in talk["qa"]:
            found = [place[one] for one in row["evidence"] if one in place]
            if row["category"] in ANSWERABLE and found:
                asked.append((row["question"], [turn for turn, _ in found], [session for _, session in found]))
    yield Labelled("turns", turns, [asked_of("turns", question, *wanted) for question, wanted, _ in asked])
    yield Labelled("sessions", sessions, [asked_of("sessions", question, *wanted) for question, _, wanted in asked])


def asked_of(namespace: str, question: str, *wanted: str, unwanted: Iterable[str] = ()) -> Asked:
    """`question`, asked of all of `namespace`."""
    return Asked(question, frozenset(wanted), Filter((namespace,)), frozenset(unwanted))


def document_of(namespace: str, kind: str, item_id: str, title: str, fields: Mapping[str, Any]) -> Document:
    """An item in force of that `kind`, with those of `fields` that its kind has."""
    payload = {name: fields[name] for name in OWN_FIELDS[kind] if fields.get(name) and name not in DATES.values()}
    return Document(
        Key(namespace, item_id),
        1,
        version=1,
        type=kind,
        title=title,
        tags=tuple(fields.get("tags", ())),
        status="active",
        in_force=True,
        provenance="human",
        payload=payload,
    )


def _ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of the records: those without one of their own are snapshots, counted as knowledge does."""
    numbers = count(1)
    return [row.get("id") or f"SNAP-{next(numbers):03d}" for row in rows]


def _recorded(item_id: str, row: Mapping[str, Any], ids: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Document:
    """A line of the records, as it stands in the index once all of them are recorded."""
    title = row.get("title") or row.get("meeting_title") or row["commit_message"].splitlines()[0]
    gone = any(item_id in other.get("supersedes", ()) for other in rows)
    status = "superseded" if gone else row.get("status", "active")
    return replace(
        document_of("records", row["type"], item_id, title, row),
        status=status,
        in_force=status not in NOT_IN_FORCE,
        item_date=date.fromisoformat(row[DATES[row["type"]]]),
        severity=row.get("severity", ""),
        edges=tuple(Edge(other, "supersedes", 1.0) for other in row.get("supersedes", ()))
        + _mentions(item_id, row, ids),
    )


def _mentions(item_id: str, row: Mapping[str, Any], ids: Sequence[str]) -> tuple[Edge, ...]:
    """Edges to what the texts of `row` name by its id."""
    said = _text([text for name, text in row.items() if name not in ("id", "supersedes")])
    return tuple(Edge(one, "references", 1.0) for one in ids if one != item_id and one in said)


def _named(namespace: str, documents: Sequence[Document], asked: Sequence[Asked]) -> Labelled:
    named = [replace(document, key=Key(namespace, document.key.item_id)) for document in documents]
    return Labelled(namespace, named, [replace(one, within=Filter((namespace,))) for one in asked])


def _asked(document: Document, question: str) -> Asked:
    return asked_of(document.key.namespace, " ".join(question.split()), document.key.item_id)


def _first(document: Document) -> str:
    return next((one for one in _sentences(_text(document.payload.get("context", ""))) if _whole(one)), "")


def _deep(document: Document) -> str:
    fields = ("context", "decision", "options_considered", "consequences")
    found = [one for name in fields for one in _sentences(_text(document.payload.get(name, "")))]
    if sum(len(one.split()) for one in found) <= LONG:
        return ""
    return _some(document.title, [one for one in found[int(len(found) * DEEP) :] if _whole(one)])


def _some(seed: str, sentences: Sequence[str]) -> str:
    """One of `sentences`, always the same."""
    number = int.from_bytes(hashlib.md5(seed.encode(), usedforsecurity=False).digest())
    return sentences[number % len(sentences)] if sentences else ""


def _without(document: Document, sentence: str) -> Document:
    return replace(document, payload=_taken(document.payload, sentence)) if sentence else document


def _taken(value: Any, sentence: str) -> Any:
    if isinstance(value, str):
        return value.replace(sentence, " ")
    if isinstance(value, Mapping):
        return {name: _taken(part, sentence) for name, part in value.items()}
    return [_taken(part, sentence) for part in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(map(_text, value.values()))
    return "\n".join(map(_text, value)) if isinstance(value, list) else str(value)


def _sentences(text: str) -> list[str]:
    return [one.strip() for one in SENTENCE.split(text) if one.strip()]


def _whole(sentence: str) -> bool:
    """Whether it is a sentence to ask by, and no markup."""
    return LEAST <= len(WORD.findall(sentence)) <= MOST and not sentence.startswith(MARKUP)
