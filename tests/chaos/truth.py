"""Afterwards: is all that was acknowledged there exactly once, and does the index say the same as the truth?"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from tests.chaos.report import Report
from tests.chaos.traffic import Caller, Journal, Written

SETTLES_WITHIN = 60.0  # seconds for the index to catch up
ITEMS = "SELECT namespace, id, title, version, status, type, tags FROM knowledge.items"
DOCUMENTS = "SELECT namespace, item_id, title, version, status, type, tags FROM retrieval.documents WHERE NOT deleted"
GHOSTS = (
    "SELECT count(*) FROM retrieval.documents d WHERE d.deleted AND EXISTS"
    " (SELECT FROM knowledge.items i WHERE i.namespace = d.namespace AND i.id = d.item_id)"
)
TRUE_EDGES = (
    "SELECT namespace, from_id, to_id, type FROM knowledge.relationships r WHERE EXISTS"
    " (SELECT FROM knowledge.items i WHERE i.namespace = r.namespace AND i.id = r.from_id)"
)
INDEXED_EDGES = "SELECT namespace, from_id, to_id, type FROM retrieval.edges"
VECTORLESS = "SELECT count(*) FROM retrieval.chunks WHERE embedding IS NULL"
CHUNKLESS = (
    "SELECT count(*) FROM retrieval.documents d WHERE NOT deleted AND NOT EXISTS"
    " (SELECT FROM retrieval.chunks c WHERE c.namespace = d.namespace AND c.item_id = d.item_id)"
)
PENDING = "SELECT count(*) FROM knowledge.changes"
# Every version from the first to the present one is kept.
HOLES = (
    "SELECT count(*) FROM knowledge.items i WHERE i.version <>"
    " (SELECT count(*) FROM knowledge.item_versions v WHERE v.namespace = i.namespace AND v.id = i.id)"
)
SAID = "SELECT namespace, id::text, session_id FROM knowledge.feedback WHERE session_id <> ''"
# Of one credential, and of one day or two: what there is of both senses, against three.
RATED = (
    "SELECT namespace, item_id, round(((count(*) FILTER (WHERE helpful) - count(*) FILTER (WHERE NOT helpful))"
    " / (count(*) + 3.0))::numeric, 3) FROM (SELECT DISTINCT namespace, item_id, principal, day, helpful"
    " FROM knowledge.feedback_votes) AS vote GROUP BY namespace, item_id"
)
INDEXED_RATED = (
    "SELECT namespace, item_id, round(feedback::numeric, 3) FROM retrieval.documents"
    " WHERE NOT deleted AND feedback <> 0"
)
COUNTERS = "SELECT namespace, type, last FROM knowledge.counters"
EVER = "SELECT namespace, split_part(id, '-', 1), count(DISTINCT id) FROM knowledge.item_versions GROUP BY 1, 2"
PREFIXES = {"adr": "ADR", "failure": "FAIL", "meeting": "MEET", "snapshot": "SNAP"}


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What the database says, past every service and every policy."""
    with psycopg.connect(url, row_factory=tuple_row) as connection:
        return connection.execute(query.encode()).fetchall()


async def settle(url: str) -> float | None:
    """Seconds until the feed is empty and every chunk has its vector; None where that does not come."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while loop.time() - start < SETTLES_WITHIN:
        left = [await asyncio.to_thread(rows, url, query) for query in (PENDING, VECTORLESS)]
        if left == [[(0,)], [(0,)]]:
            return loop.time() - start
        await asyncio.sleep(0.2)
    return None


async def compare(url: str, journal: Journal, caller: Caller, report: Report) -> None:
    """Ask of `report` that nothing was lost or doubled, and that the index is the truth."""
    seconds = await settle(url)
    report.ask("index caught up after, s", seconds, f"within {SETTLES_WITHIN:.0f}", ok=seconds is not None)
    items = await asyncio.to_thread(rows, url, ITEMS)
    _compare_writes(journal, items, report)
    _compare_ids(await asyncio.to_thread(rows, url, COUNTERS), await asyncio.to_thread(rows, url, EVER), report)
    await asyncio.to_thread(_compare_index, url, items, report)
    await asyncio.to_thread(_compare_said, url, journal, report)
    standing = [w for w in journal.written if not w.deleting]
    missed = await _search_all(standing, caller)
    report.ask("acknowledged items that a search for their marker does not find", len(missed), "0", ok=not missed)
    report.details["missed"] = [f"{w.namespace} {w.id} {w.marker}" for w in missed][:20]


def _compare_writes(journal: Journal, items: Sequence[tuple[Any, ...]], report: Report) -> None:
    found = {(item[0], item[1]): item for item in items}
    holders = Counter(item[2].split()[-1] for item in items)
    standing = [w for w in journal.written if not w.deleting]
    lost = [w for w in standing if (w.namespace, w.id) not in found]
    doubled = [marker for marker, times in holders.items() if times > 1]
    undead = [w for w in journal.written if w.deleted and (w.namespace, w.id) in found]
    known = {w.marker for w in journal.written} | set(journal.unsettled)
    stray = [marker for marker in holders if marker not in known]
    back = [w for w in standing if (w.namespace, w.id) in found and not w.may_stand(_step(found[w.namespace, w.id]))]
    swapped = [
        w for w in standing if (w.namespace, w.id) in found and not found[w.namespace, w.id][2].endswith(w.marker)
    ]
    report.tell("acknowledged creates", len(journal.written))
    report.tell("acknowledged changes", sum(c.acknowledged is not None for w in journal.written for c in w.changes))
    report.tell("acknowledged deletions", sum(w.deleted for w in journal.written))
    for name, wrong in (
        ("acknowledged items lost", lost),
        ("items there twice", doubled),
        ("deleted items still there", undead),
        ("items of which nobody knows", stray),
        ("acknowledged changes lost", back),
        ("ids under which something else stands", swapped),
    ):
        report.ask(name, len(wrong), "0", ok=not wrong)
        report.details[name] = [str(one) for one in wrong][:20]


def _step(item: tuple[Any, ...]) -> int:
    return max((int(tag.removeprefix("step-")) for tag in item[6] if tag.startswith("step-")), default=0)


def _compare_ids(counters: Sequence[tuple[Any, ...]], ever: Sequence[tuple[Any, ...]], report: Report) -> None:
    given = {(namespace, prefix): count for namespace, prefix, count in ever}
    gaps = sum(last - given.get((namespace, PREFIXES[kind]), 0) for namespace, kind, last in counters)
    report.tell("ids given", sum(given.values()))
    report.ask("ids counted but never given", gaps, "0", ok=gaps == 0)


def _compare_index(url: str, items: Sequence[tuple[Any, ...]], report: Report) -> None:
    documents = rows(url, DOCUMENTS)
    truth, index = ({_plain(row) for row in some} for some in (items, documents))
    report.tell("items in the truth", len(items))
    report.ask("items that the index lacks or has otherwise", len(truth - index), "0", ok=truth <= index)
    report.ask("documents that the truth lacks or has otherwise", len(index - truth), "0", ok=index <= truth)
    edges, indexed = set(rows(url, TRUE_EDGES)), set(rows(url, INDEXED_EDGES))
    report.tell("edges in the truth", len(edges))
    report.ask("edges that differ between truth and index", len(edges ^ indexed), "0", ok=edges == indexed)
    report.details["differing"] = [str(one) for one in [*(truth ^ index), *(edges ^ indexed)]][:20]
    for name, query in (
        ("deleted documents of items that stand", GHOSTS),
        ("documents without a passage", CHUNKLESS),
        ("items with a version missing", HOLES),
    ):
        ((count,),) = rows(url, query)
        report.ask(name, count, "0", ok=count == 0)


def _compare_said(url: str, journal: Journal, report: Report) -> None:
    there = Counter(rows(url, SAID))
    lost = [one for one in journal.said if one not in there]
    markers = Counter(marker for _, _, marker in there)
    report.tell("acknowledged feedback", len(journal.said))
    report.ask("acknowledged feedback lost", len(lost), "0", ok=not lost)
    doubled = [marker for marker, times in markers.items() if times > 1]
    report.ask("feedback there twice", len(doubled), "0", ok=not doubled)
    rated = {row for row in rows(url, RATED) if row[2]}
    differing = rated ^ set(rows(url, INDEXED_RATED))
    report.ask("items whose feedback the index has otherwise", len(differing), "0", ok=not differing)
    report.details["said"] = [str(one) for one in [*lost, *doubled, *differing]][:20]


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:6], tuple(sorted(row[6])))


async def _search_all(written: Sequence[Written], caller: Caller) -> list[Written]:
    """Those of `written` that a search for their marker does not find first."""
    turn = asyncio.Semaphore(8)

    async def missed(one: Written) -> bool:
        async with turn:
            body = {"query": one.marker, "top_k": 3}
            answer = await caller.send("check", "POST", "/api/search", one.namespace, json=body)
        return answer is None or one.id not in [hit["id"] for hit in answer["results"]]

    wrong = await asyncio.gather(*(missed(one) for one in written))
    return [one for one, bad in zip(written, wrong, strict=True) if bad]
