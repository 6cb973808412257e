"""Decision records of every form become the same fields, and no line of them is lost."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_client.adr.claims import Claim, Kind, Relation
from context_client.adr.page import split_front_matter
from context_client.adr.record import LeftOut, Record, read

NYGARD = """# 7. Keep `queue` and *cache* apart
\u0020
Date: 2019-03-02

## Status

✅ Accepted

## Context

One broker served both.

- it filled up

### Load

It doubled.

## Decision

We run two.

#### Names

`queue-1`, `cache-1`

### Sizes

Small.

```sh
# Status: not a heading
[not a link](0001-first.md)
```

## Consequences

Two things to watch.
"""

MADR_4 = """---
parent: Decisions
nav_order: 12
status: accepted
date: 2024-02-29
decision-makers: [Ada, Grace]
consulted: Linus
informed: ["Ken", "Ada"]
tags: [storage]
review-in: 2026
---
<!-- markdownlint-disable-next-line MD025 -->
# Store blobs in object storage

## Context and Problem Statement

Where do blobs go?

## Decision Drivers

* Cost

## Considered Options

* Object storage – cheap
* [Database](https://example.org/db)
* Add `kind: blob` to files
* **File system**: what we had
  * on one machine

## Decision Outcome

Chosen option: "Object storage", because it is cheap.

### Consequences

* Good, because cheap.

### Confirmation

A test uploads one.

## Pros and Cons of the Options

Costs were measured.

### "Object storage"

* Good, because cheap.

#### Fine print

Egress.

### Database

* Bad, because large.

## More Information

See [ADR-0003](0003-something.md).
"""

MADR_2 = """# Use gRPC

* Status: superseded by [ADR-0009](0009-use-rest.md)
* Deciders: Ada, Grace
* Date: 2020-10-12

Technical Story: https://example.org/42

## Context and Problem Statement

Calls are slow.

## Considered Options

* gRPC
* REST

## Decision Outcome

gRPC.

### Positive Consequences

* fast

### Negative Consequences

* opaque

## Links

* Refines [ADR-0002](0002-calls.md)
* Supersedes [SOAP](0001-use-soap.md)
"""

LOG4BRAINS = """# Use trunk-based development

- Status: accepted
- Tags: git, process

Replaces what [20200101-use-gitflow] said.

## Context

Long branches hurt.

## Decision

Trunk. [Gitflow](20200101-use-gitflow.md) is over.
"""


def record(text: str, name: str = "0007-some-thing.md") -> Record:
    found = read(Path("/adr") / name, text.encode())
    assert isinstance(found, Record), found
    return found


def reason(text: str, name: str = "0007-some-thing.md") -> str:
    found = read(Path("/adr") / name, text.encode())
    assert isinstance(found, LeftOut), found
    return found.reason


def everything(found: Record) -> str:
    fields = found.fields
    options = [f"{name} {text}" for name, text in fields["options_considered"].items()]
    return " ".join(
        [fields["title"], *(fields[n] for n in ("context", "decision", "consequences", "outcome")), *options]
    )


def test_nygard() -> None:
    found = record(NYGARD)
    fields = found.fields
    assert (found.number, fields["title"]) == (7, "Keep queue and cache apart")
    assert (fields["status"], fields["created_date"]) == ("active", "2019-03-02")
    assert fields["context"] == "One broker served both.\n\n- it filled up\n\n### Load\n\nIt doubled."
    assert fields["decision"].startswith("We run two.\n\n#### Names")
    assert "# Status: not a heading" in fields["decision"]
    assert fields["consequences"] == "Two things to watch."
    assert (found.claims, found.notes) == ((), ())


def test_madr_4() -> None:
    fields = record(MADR_4).fields
    assert (fields["status"], fields["created_date"]) == ("active", "2024-02-29")
    assert fields["stakeholders"] == ["Ada", "Grace", "Linus", "Ken"]
    assert fields["tags"] == ["storage"]
    assert (
        fields["context"]
        == "review-in: 2026\n\n## Context and Problem Statement\n\nWhere do blobs go?\n\n## Decision Drivers\n\n* Cost"
    )
    assert fields["decision"].startswith('Chosen option: "Object storage"')
    assert fields["decision"].endswith("## More Information\n\nSee [ADR-0003](0003-something.md).")
    assert fields["consequences"] == "* Good, because cheap."
    assert fields["outcome"] == "### Confirmation\n\nA test uploads one."


def test_options_of_a_list_and_of_headings_are_one() -> None:
    options = record(MADR_4).fields["options_considered"]
    assert list(options) == [
        "Object storage", "Database", "Add kind: blob to files", "File system", "Pros and Cons of the Options",
    ]  # fmt: skip
    assert options["Object storage"] == (
        "Object storage – cheap\n\n* Good, because cheap.\n\n#### Fine print\n\nEgress."
    )
    assert options["Database"] == "[Database](https://example.org/db)\n\n* Bad, because large."
    assert options["File system"] == "**File system**: what we had\n* on one machine"
    assert options["Pros and Cons of the Options"] == "Costs were measured."


def test_madr_2() -> None:
    found = record(MADR_2)
    assert found.fields["status"] == "superseded"
    assert found.fields["created_date"] == "2020-10-12"
    assert found.fields["stakeholders"] == ["Ada", "Grace"]
    assert "Technical Story: https://example.org/42" in found.fields["context"]
    assert (
        found.fields["consequences"] == "### Positive Consequences\n\n* fast\n\n### Negative Consequences\n\n* opaque"
    )
    assert found.claims == (
        Claim(Relation.SUPERSEDED_BY, Kind.PATH, "0009-use-rest.md"),
        Claim(Relation.RELATES, Kind.PATH, "0002-calls.md"),
        Claim(Relation.SUPERSEDES, Kind.PATH, "0001-use-soap.md"),
    )


def test_log4brains() -> None:
    found = record(LOG4BRAINS, "20200203-use-trunk.md")
    assert (found.number, found.fields["created_date"]) == (None, "2020-02-03")
    assert found.fields["tags"] == ["git", "process"]
    assert Claim(Relation.MENTIONS, Kind.SLUG, "20200101-use-gitflow") in found.claims
    assert Claim(Relation.MENTIONS, Kind.PATH, "20200101-use-gitflow.md") in found.claims


@pytest.mark.parametrize("text", [NYGARD, MADR_4, MADR_2, LOG4BRAINS])
def test_no_word_is_lost(text: str) -> None:
    _, body = split_front_matter(re.sub(r"<!--.*?-->", "", text))
    headings = (
        "Status Context Decision Consequences Date Tags Deciders Considered Options Outcome Problem Statement and"
    )
    facts = "7 2019 03 02 Accepted accepted 2020 10 12 Ada Grace git process"
    words = Counter(re.findall(r"\w+", body))
    kept = Counter(re.findall(r"\w+", everything(record(text)) + " " + headings + " " + facts))
    twice = [
        "Object",
        "storage",
        "Database",
        "gRPC",
        "REST",
    ]  # options, named in the list and again over their arguments
    assert [word for word in words if kept[word] < 1] == []
    assert [word for word, count in (words - kept).items() if word not in twice + headings.split()] == []


@pytest.mark.parametrize("body", [NYGARD, MADR_4])
def test_line_ends_and_byte_order_marks_do_not_matter(body: str) -> None:
    windows = read(Path("/adr/0007-a.md"), b"\xef\xbb\xbf" + body.replace("\n", "\r\n").encode())
    assert isinstance(windows, Record)
    assert windows.fields == record(body, "0007-a.md").fields


def test_text_of_other_encodings_is_read() -> None:
    text = "# Café\n\n## Decision\n\nWe drink it.\n"
    utf16, latin = read(Path("1.md"), text.encode("utf-16")), read(Path("1.md"), text.encode("latin-1"))
    assert isinstance(utf16, Record)
    assert isinstance(latin, Record)
    assert utf16.fields["title"] == latin.fields["title"] == "Café"
    assert "not UTF-8, read as Windows-1252" in latin.notes


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("1. Record decisions", "Record decisions"),
        ("33.  Two blanks", "Two blanks"),
        ("ADR-0003: Use REST", "Use REST"),
        ("ADR 3 - Use REST", "Use REST"),
        ("[ADR-003] Use REST", "Use REST"),
        ("ADR: Use REST", "Use REST"),
        ("Architecture Decision Record: Use REST", "Use REST"),
        ("0003 – Use REST", "Use REST"),
        ("12 factor apps", "12 factor apps"),
        ("3-tier everything", "3-tier everything"),
        ("2.0 is the version we ship", "2.0 is the version we ship"),
        ("Use `bash` and [Go](https://go.dev)", "Use bash and Go"),
    ],
)
def test_a_title_loses_its_number_only(heading: str, title: str) -> None:
    assert record(f"# {heading}\n\n## Decision\n\nYes.\n").fields["title"] == title


@pytest.mark.parametrize(
    ("name", "heading", "number"),
    [
        ("0033-a.md", "3. Copied from three", 33),  # the file is right, the title was copied
        ("adr-012-a.md", "A", 12),
        ("a.md", "5. A", 5),
        ("a.md", "ADR-0006: A", 6),
        ("a.md", "A", None),
        ("20200102-a.md", "A", None),
        ("2020-01-02-a.md", "A", None),
        ("0000-a.md", "A", 0),
    ],
)
def test_a_number_is_the_files(name: str, heading: str, number: int | None) -> None:
    assert record(f"# {heading}\n\n## Decision\n\nYes.\n", name).number == number


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("Not yet accepted", "proposed"),
        ("No longer valid", "deprecated"),
        ("Accepted, no longer a draft", "active"),
        ("- [ ] Proposed\n- [x] Accepted\n- [ ] Rejected", "active"),
        ("2020-01-05 proposed\n2020-01-05 accepted", "active"),
        ("Accepted", "active"),
        ("✅ Accepted", "active"),
        ("Approved", "active"),
        ("♻️ Amended", "active"),
        ("Pending", "proposed"),
        ("🤔 Proposed", "proposed"),
        ("on hold", "proposed"),
        ("Draft (in review)", "proposed"),
        ("❌ Rejected", "rejected"),
        ("Withdrawn", "rejected"),
        ("Deprecated", "deprecated"),
        ("Deprecated by [5](0005-e.md)", "deprecated"),
        ("⌛ Superseded\n\n[It moved.](https://example.org/5926).", "superseded"),
        ("⌛️ Superseded [0005](0005-e.md)", "superseded"),
        ("Superseded by [The Name](0005-e.md)", "superseded"),
        ("Superceded by [5](0005-e.md)", "superseded"),
        ("Accepted\n\nSuperseded by ADR 5", "superseded"),
        ("Partly superseded", "active"),
        ("Partially superseded by [5](0005-e.md)", "active"),
        ("Accepted, superseded in part by [5](0005-e.md)", "active"),
        ("~~Accepted~~ Superseded by [5](0005-e.md)", "superseded"),
        ("~~Proposed~~ Accepted", "active"),
        ("Accepted\n\nWe first proposed this in May.", "active"),
        ("2020-01-01 proposed\n\n2020-02-01 accepted", "active"),
        ("2020-02-01 accepted\n\n2020-01-01 proposed", "active"),
        ("Accepted\n\nAmended by [5](0005-e.md)", "active"),
        ("Supersedes [5](0005-e.md)", "active"),
        ("Whatever", "active"),
        ("", "active"),
    ],
)
def test_statuses(status: str, word: str) -> None:
    found = record(f"# A\n\n## Status\n\n{status}\n\n## Decision\n\nYes.\n")
    assert found.fields["status"] == word


def test_a_status_that_says_more_stays_in_the_text() -> None:
    found = record("# A\n\n## Status\n\nPartly superseded\n\n## Context\n\nWhy.\n\n## Decision\n\nYes.\n")
    assert found.fields["context"] == "Status: Partly superseded\n\nWhy."
    assert found.partly_superseded
    assert "status 'Partly superseded' taken as active" in found.notes


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Date: 2020-01-02", "2020-01-02"),
        ("* Date: [2020-01-02]", "2020-01-02"),
        ("- **Date:** 2020/1/2", "2020-01-02"),
        ("**Date**: 2nd January 2020", "2020-01-02"),
        ("| Date | January 2, 2020 |", "2020-01-02"),
        ("Last updated: 2020-01-02", "2020-01-02"),
        ("Last updated: 2021-05-05\nDate: 2020-01-02", "2020-01-02"),
        ("Date: 02/03/2020", ""),  # could be two days
        ("Date: {YYYY-MM-DD}", ""),
        ("Date: 2020-13-45", ""),
        ("Status: accepted on 2020-01-02", "2020-01-02"),
    ],
)
def test_dates(line: str, found: str) -> None:
    assert record(f"# A\n\n{line}\n\n## Decision\n\nYes.\n").fields["created_date"] == found


def test_front_matter_that_is_not_quite_yaml_is_read_line_by_line() -> None:
    found = record("---\nstatus: {rejected: [\ndate: 2020-01-02\n---\n# A\n\n## Decision\n\nYes.\n")
    assert found.fields["created_date"] == "2020-01-02"
    assert found.fields["status"] == "rejected"


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    found = record("---\n\nJust text.\n\n---\n\n# A\n\n## Decision\n\nYes.\n")
    assert "Just text." in everything(found)


def test_sections_of_the_authors_own_stay_where_they_were_said() -> None:
    found = record(
        "# A\n\n## Definitions\n\nMUST.\n\n## Context\n\nWhy.\n\n## Proposal\n\nYes.\n\n## Rollout\n\nSlow.\n\n"
        "## Consequences\n\nMany.\n\n## Useful links\n\nNone.\n"
    )
    assert found.fields["context"] == "## Definitions\n\nMUST.\n\n## Context\n\nWhy."
    assert found.fields["decision"] == "## Proposal\n\nYes.\n\n## Rollout\n\nSlow."
    assert found.fields["consequences"] == "Many.\n\n## Useful links\n\nNone."


def test_without_a_decision_section_the_authors_own_hold_the_decision() -> None:
    found = record(
        "# A\n\n## Context\n\nWhy.\n\n## What we do\n\nThis.\n\n### More\n\nThat.\n\n## Consequences\n\nOne.\n"
    )
    assert found.fields["context"] == "Why."
    assert found.fields["decision"] == "## What we do\n\nThis.\n\n### More\n\nThat."


def test_a_record_of_one_paragraph_is_its_own_decision() -> None:
    found = record("# A\n\nStatus: accepted\n\nWe will do it.\n")
    assert (found.fields["decision"], found.fields["context"]) == ("We will do it.", "")


def test_options_under_headings_that_skip_levels() -> None:
    found = record(
        "# A\n\n## Options\n\nTwo:\n\n- cheap\n- dear\n\n#### 1. Wait\n\n##### Pros\n\nFree.\n\n#### 2. Act\n\n"
        "Now.\n\n---\n\n## Decision\n\nAct.\n"
    )
    assert found.fields["options_considered"] == {
        "Options": "Two:\n\n- cheap\n- dear",
        "1. Wait": "##### Pros\n\nFree.",
        "2. Act": "Now.",
    }


def test_alternatives_in_prose_keep_their_text() -> None:
    found = record("# A\n\n## Decision\n\nYes.\n\n## Alternatives\n\nWe could have waited.\n")
    assert found.fields["options_considered"] == {"Alternatives": "We could have waited."}


def test_titles_from_elsewhere() -> None:
    assert record("---\ntitle: From above\n---\n## Decision\n\nYes.\n").fields["title"] == "From above"
    assert record("## Decision\n\nYes.\n", "0004-from-the-name.md").fields["title"] == "From the name"
    assert record("# ADR\n\n## Title\n\nFrom a section\n\n## Decision\n\nYes.\n").fields["title"] == "From a section"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("LICENSE", "MIT", "a licence"),
        ("LICENSE.md", "# MIT", "a licence"),
        ("0001-diagram.png", "x", "not Markdown"),
        ("README.md", NYGARD, "a README"),
        ("index.md", NYGARD, "an index"),
        ("adr-template.md", NYGARD, "a template"),
        ("template.md", NYGARD, "a template"),
        ("0000-adr-template-minimal.md", NYGARD, "a template"),
        ("NNNN-title.md", NYGARD, "a template"),
        ("0001-a.md", NYGARD.replace("7. Keep", "[short title of").replace("apart", "solution]"), "a template"),
        ("0001-a.md", "# {short title}\n\n## Decision\n\nYes.\n", "a template"),
        ("0001-a.md", "# NUMBER. TITLE\n\n## Decision\n\nYes.\n", "a template"),
        ("0001-a.md", "---\ntitle: ADR Template\n---\n# {t}\n\n## Decision\n\nYes.\n", "a template"),
        ("0001-a.md", "", "empty"),
        ("0001-a.md", " \n\n", "empty"),
        ("0001-a.md", "a\0b", "not text"),
        ("0001-a.md", "Only a paragraph.\n", "no heading"),
        ("0001-a.md", "# Notes\n\n## Agenda\n\nTalk.\n", "no section of a decision record"),
        ("0001-a.md", "# A\n\n## Context\n\n## Decision\n", "no text under its headings"),
    ],
)
def test_what_is_no_record_is_left_out_with_the_reason(name: str, text: str, why: str) -> None:
    assert reason(text, name).startswith(why)


@pytest.mark.parametrize("name", ["0007-use-a-template.md", "0012-choose-adr-template.md", "0003-index-by-date.md"])
def test_records_about_templates_are_records(name: str) -> None:
    assert record(NYGARD, name).fields["title"] == "Keep queue and cache apart"


def test_front_matter_cannot_blow_up() -> None:
    doubling = "\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))
    assert record(f"---\na0: &a0 [x]\n{doubling}\n---\n# A\n\n## Decision\n\nYes.\n").fields["title"] == "A"
    assert record(f"---\na: {'[' * 5_000}\n---\n# A\n\n## Decision\n\nYes.\n").fields["title"] == "A"


PIECES = (
    *("# ", "## ", "### ", "Status", "Context", "Decision", "Options", "Consequences", "\n", "\n\n", "---\n", "===\n"),
    *("status: ", "accepted", "[a](b.md)", "[", "](", "- ", "* ", "**", "|", "`", "```\n", "Superseded by ", "ADR-3"),
    *("1. ", "<!--", "-->", "~~", " ", "Date: ", "2020-01-02", "{", "}", "é", "\t", "    ", "> ", "[x]: y\n", "Title"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_text_is_a_record_or_left_out(pieces: list[str]) -> None:
    found = read(Path("/adr/0001-a.md"), "".join(["# T\n\n## Decision\n\nYes.\n", *pieces]).encode())
    assert isinstance(found, Record)
    assert found.fields["title"]
    assert found.fields["decision"].strip()
    read(Path("/adr/0001-a.md"), "".join(pieces).encode())


@pytest.mark.parametrize("length", [500, 501])
def test_a_title_that_the_api_does_not_take_is_cut_and_said(length: int) -> None:
    page = f"# {'x' * length}\n\nDate: 2020-01-02\n\n## Status\n\nAccepted\n\n## Decision\n\nYes.\n"
    found = read(Path("0001-a.md"), page.encode())
    assert isinstance(found, Record)
    assert found.fields["title"] == "x" * 500
    assert found.notes == (("only the first 500 characters of the title were kept",) if length > 500 else ())
