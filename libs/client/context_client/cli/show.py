"""Answers as people read them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from context_client.cli.app import printable

# What stands in an item's headline, or says nothing to people.
QUIET = {
    "id", "type", "title", "meeting_title", "status", "version", "created_at", "updated_at", "provenance", "pinned",
    "access_count_30d", "reference_count", "feedback", "related_items", "indexed", "relationships_created",
    "pending_references", "redactions", "suspicions",
}  # fmt: skip
MARK = re.compile(r"<</?[0-9]{9}>>")
LAST = ("tags", "author", "source_uri")
DATES = ("created_date", "incident_date", "date")
GOOD = {"active", "resolved", "completed", "ok", "up", "serving", "healthy"}
BAD = {
    "rejected",
    "superseded",
    "retracted",
    "archived",
    "cancelled",
    "error",
    "down",
    "failed",
    "unhealthy",
    "revoked",
    "expired",
    "denied",
    "held",
}
SECTIONS = (
    ("key_decisions", "Decisions"),
    ("known_issues", "Known issues"),
    ("recent_changes", "Recent changes"),
)


def item(console: Console, content: Mapping[str, Any]) -> None:
    """One item with all its fields."""
    parts: list[RenderableType] = []
    for name, value in sorted(content.items(), key=lambda entry: entry[0] in LAST):
        if name not in QUIET and value not in (None, "", [], {}):
            parts += [Text(_label(name), style="bold"), Padding(_value(value), (0, 0, 1, 2))]
    near = content.get("related_items") or []
    if near:
        parts += [Text("related", style="bold"), Padding(_related(near), (0, 0, 0, 2))]
    # The title of a commit is longer than a line, which would hide what stands behind it.
    state = _status(content).append("  ").append_text(_date(content))
    state.append(f"  version {content['version']}" if "version" in content else "", style="dim")
    console.print(
        Panel(
            Group(*parts),
            title=_name(content),
            title_align="left",
            subtitle=state,
            subtitle_align="left",
            box=box.ROUNDED,
        )
    )


def written(console: Console, content: Mapping[str, Any]) -> None:
    """What a write did."""
    console.print(_headline(content))
    for edge in content.get("relationships_created") or []:
        console.print(plain(f"  link {edge}"))
    waiting = content.get("pending_references") or []
    if waiting:
        console.print(plain(f"  names {', '.join(waiting)}, not recorded yet"))
    _redacted(console, content)
    if content.get("review") == "held":
        console.print(plain("  held for review: it looks like instructions to an agent, and no search shows it"))
    elif content.get("indexed") is False:
        console.print(plain("  stored; searchable soon"))


def items(console: Console, content: Mapping[str, Any]) -> None:
    """A list of items."""
    table = columns("id", "date", "status", "title", "tags")
    for entry in content["items"]:
        tags = ", ".join(entry.get("tags") or [])
        table.add_row(plain(entry["id"]), _date(entry), _status(entry), plain(_title(entry)), plain(tags, "dim"))
    console.print(table if content["items"] else plain("nothing"))
    if content.get("next_cursor"):
        console.print(plain(f"more: --cursor {content['next_cursor']} (or --all)", "dim"))


def bundle(console: Console, content: Mapping[str, Any]) -> None:
    """The answer to a question."""
    for section, title in SECTIONS:
        for place, entry in enumerate(content.get(section) or []):
            if place == 0:
                console.print(Text(title, style="bold underline"))
            console.print(_headline(entry))
            console.print(Padding(plain(_unmarked(entry, str(entry.get("content") or ""))), (0, 0, 1, 2)))
            if entry.get("why"):
                console.print(Padding(_why(entry["why"]), (0, 0, 1, 2)))
    if not content.get("total_items"):
        console.print(plain("nothing bears on that"))
    for entry in content.get("omitted") or []:
        if entry.get("title"):
            console.print(plain(f"{entry['reason']}: {entry['id']} {entry['title']}"))
    left = Counter(entry["reason"] for entry in content.get("omitted") or [])
    total = content.get("total_items", 0)
    about = ["1 item" if total == 1 else f"{total} items", f"{content.get('tokens_used', 0):,} tokens"]
    about += [f"{count} left out: {reason.replace('_', ' ')}" for reason, count in left.items()]
    console.print(plain(" · ".join(about + _degraded(content)), "dim"))
    console.print(plain(f"query {content.get('query_id', '')}", "dim"))


def found(console: Console, content: Mapping[str, Any]) -> None:
    """Search results."""
    for entry in content["results"]:
        console.print(_headline(entry), plain(f"{entry.get('score', 0):.2f}", "dim"))
        console.print(Padding(plain(" ".join(str(entry.get("snippet") or "").split())), (0, 0, 1, 2)))
        if entry.get("why"):
            console.print(Padding(_why(entry["why"]), (0, 0, 1, 2)))
    if not content["results"]:
        console.print(plain("nothing found"))
    console.print(plain(" · ".join([f"{content.get('took_ms', 0):.0f} ms", *_degraded(content)]), "dim"))


def related(console: Console, content: Mapping[str, Any]) -> None:
    """The neighbourhood of an item."""
    console.print(_headline(content["item"]))
    console.print(_related(content["related"]) if content["related"] else plain("nothing is related to it"))
    more = content["total_related"] - len(content["related"])
    if more > 0:
        console.print(plain(f"{more} more: --limit", "dim"))


def receipt(console: Console, content: Mapping[str, Any]) -> None:
    """What a query was asked and answered."""
    asked = {name: value for name, value in content["asked"].items() if value not in (None, [], False)}
    console.print(plain(str(asked.pop("query")), "bold"))
    who = f"{content['principal']} at {content['asked_at'][:19].replace('T', ' ')}, request {content['request_id']}"
    console.print(plain(who, "dim"))
    said = [f"{name} {', '.join(value) if isinstance(value, list) else value}" for name, value in asked.items()]
    console.print(plain(" · ".join(said), "dim"))
    rows = columns("id", "section", "score", "tokens", "trust")
    for entry in content["items"]:
        version, score = f"{entry['id']} v{entry['version']}", f"{entry['score']:.2f}"
        texts = (version, _label(entry["section"]), score, str(entry["tokens"]), entry["trust"])
        rows.add_row(*map(plain, texts))
    console.print(rows if content["items"] else plain("nothing bore on that"))
    for left in content["omitted"]:
        console.print(plain(f"left out: {left['id']}, {_label(left['reason'])}, {left['tokens']} tokens", "dim"))
    console.print(plain(" · ".join([f"{content['tokens_used']:,} tokens", *_degraded(content)]), "dim"))


def feedback(console: Console, content: Mapping[str, Any]) -> None:
    """What was just said of an answer."""
    done = "in place of what you had said" if content.get("replaced") else "recorded"
    console.print(plain(f"{content['id']}  {done}"))
    _redacted(console, content)


def feedback_stats(console: Console, content: Mapping[str, Any]) -> None:
    """What the feedback of some days comes to."""
    rated = content["avg_rating"]
    said = f", rated {rated:.1f} of 5" if rated else ""
    console.print(plain(f"feedback of {content['days_back']} days: {content['total_feedback']:,}{said}", "bold"))
    table = columns("id", "title", "helpful", "not helpful")
    for entry in content["most_helpful_items"]:
        texts = (entry["id"], entry["title"], entry["helpful"], entry["not_helpful"])
        table.add_row(*(plain(str(text)) for text in texts))
    console.print(table if content["most_helpful_items"] else plain("no item was said to help"))
    for entry in content["common_missing_context"]:
        console.print(plain(f"missing ({entry['count']}): {entry['text']}"))


def _redacted(console: Console, content: Mapping[str, Any]) -> None:
    for found in content.get("redactions") or []:
        console.print(plain(f"  a secret was taken out of {found['field']}: {found['kind']}"))


def values(console: Console, content: Mapping[str, Any]) -> None:
    """Named values: the index, the health."""
    table = Table.grid(padding=(0, 2))
    for name, value in content.items():
        if isinstance(value, Mapping):
            for inner, state in value.items():
                state = state.get("status", state) if isinstance(state, Mapping) else state
                table.add_row(plain(f"  {_label(inner)}"), coloured(str(state)))
        else:
            table.add_row(plain(_label(name)), coloured(str(value)))
    console.print(table)


def report(console: Console, content: Mapping[str, Any]) -> None:
    """What an import did."""
    for title, name, said in (
        ("Left out", "left_out", "reason"),
        ("Taken for granted", "notes", "note"),
        ("Failed", "failed", "error"),
    ):
        _exceptions(console, title, content[name], said)
    for entry in content.get("gone") or []:
        console.print(plain(f"{entry['id']} stands, and its file is gone: {entry['source']}"))
    if content.get("gone"):
        console.print(plain("contextctl set adr ID --status archived, or delete ID, takes such a record out of force"))
    table = columns("created", "updated", "unchanged", "left out", "failed", "links drawn", "links kept")
    names = ("created", "updated", "unchanged", "left_out", "failed", "links_drawn", "links_kept")
    counts = [content[name] if isinstance(content[name], int) else len(content[name]) for name in names]
    table.add_row(*(plain(f"{count:,}") for count in counts))
    console.print(table)
    if content.get("links_removed"):
        removed = content["links_removed"]
        console.print(plain(f"{removed} links removed: numbers of the records' own, read as ids of the engine"))
    if content.get("redacted"):
        console.print(plain(f"{content['redacted']:,} had secrets in them, which were taken out"))
    if content.get("held"):
        console.print(plain(f"{content['held']:,} are held for review: contextctl review list"))
    if content["not_indexed"]:
        where = "contextctl index, contextctl set-aside list"
        console.print(plain(f"{content['not_indexed']:,} are stored but not searchable: {where}"))


def plan(console: Console, content: Mapping[str, Any]) -> None:
    """What an import would send."""
    for title, name, said in (("Left out", "left_out", "reason"), ("Taken for granted", "notes", "note")):
        _exceptions(console, title, content[name], said)
    table = columns("date", "status", "title", "source")
    for entry in content["items"]:
        source = entry["source_uri"].rpartition("#")[2]
        table.add_row(_date(entry), _status(entry), plain(_title(entry)), plain(source, "dim"))
    console.print(table)
    for link in content["links"]:
        console.print(plain(f"{link['from']}  {link['type'].replace('_', ' ')}  {link['to']}"))


def _exceptions(console: Console, title: str, entries: Sequence[Mapping[str, str]], said: str) -> None:
    """Entries by what is said of them, so that the same word about many is one line."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        groups.setdefault(entry[said], []).append(entry["source"])
    if groups:
        console.print(Text(f"{title} ({len(entries)})", style="bold"))
    for text, sources in groups.items():
        console.print(Padding(plain(f"{text}:"), (0, 0, 0, 2)))
        for source in sources:
            console.print(Padding(plain(source, "dim"), (0, 0, 0, 4)))


def _unmarked(entry: Mapping[str, Any], text: str) -> str:
    """`text` of an entry without the marks that tell agents where what nobody vouches for begins and ends."""
    return MARK.sub("", text) if entry.get("trust") == "unvouched" else text


def _name(entry: Mapping[str, Any]) -> Text:
    name = Text(printable(str(entry.get("id", ""))), style="bold cyan")
    return name.append(f" {printable(_unmarked(entry, _title(entry)))}", style="bold")


def _headline(entry: Mapping[str, Any]) -> Text:
    headline = _name(entry)
    headline.append("  ").append_text(_status(entry)).append("  ").append_text(_date(entry))
    if entry.get("trust") == "unvouched":
        headline.append(f"  unvouched: {entry['provenance']}", style="yellow")
    if entry.get("replaces"):
        headline.append(f"  replaces {printable(', '.join(entry['replaces']))}", style="yellow")
    return headline


def _related(entries: Sequence[Mapping[str, Any]]) -> Table:
    table = columns("", "relationship", "id", "title", "status")
    for entry in entries:
        arrow = "→" if entry.get("direction") == "outgoing" else "←"
        indent = "  " * (int(entry.get("depth", 1)) - 1)
        kind = str(entry.get("relationship", "")).replace("_", " ")
        table.add_row(plain(indent + arrow), plain(kind), plain(entry["id"]), plain(_title(entry)), _status(entry))
    return table


def _value(value: Any) -> RenderableType:
    if isinstance(value, Mapping):
        return Group(
            *(
                Group(plain(_label(str(name)), "italic"), Padding(_value(inner), (0, 0, 0, 2)))
                for name, inner in value.items()
                if inner not in (None, [], {})
            )
        )
    if isinstance(value, list):
        if all(isinstance(entry, str) for entry in value):
            return plain("\n".join(f"- {entry}" for entry in value))
        return Group(*(_value(entry) for entry in value))
    return plain("" if value is None else str(value))


def _why(why: Mapping[str, Any]) -> Text:
    parts = [f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in why.items()]
    return plain("why: " + ", ".join(part for part in parts if not part.endswith("None")), "dim")


def _degraded(content: Mapping[str, Any]) -> list[str]:
    return ["degraded: found by words only"] if content.get("degraded") else []


def columns(*names: str) -> Table:
    """An empty table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name in ("id", "date", "status"), overflow="fold")
    return table


def _title(entry: Mapping[str, Any]) -> str:
    return str(entry.get("title") or entry.get("meeting_title") or "")


def _date(entry: Mapping[str, Any]) -> Text:
    return plain(str(next((entry[name] for name in DATES if entry.get(name)), "")), "dim")


def _status(entry: Mapping[str, Any]) -> Text:
    return coloured(str(entry.get("status") or ""))


def coloured(word: str) -> Text:
    """A state, green or red where it is good or bad."""
    return plain(word, "green" if word.lower() in GOOD else "red" if word.lower() in BAD else "")


def _label(name: str) -> str:
    return name.replace("_", " ")


def plain(content: str, style: str = "") -> Text:
    """What was stored, made harmless."""
    return Text(printable(str(content)), style=style)
