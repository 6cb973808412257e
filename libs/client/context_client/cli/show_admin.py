"""Keys, the audit trail, what is held for review and what the index could not take, as people read them."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from context_client.cli.show import coloured, columns, plain, values


def keys(console: Console, content: Mapping[str, Any]) -> None:
    """A list of keys."""
    rows = columns("id", "name", "status", "may", "in", "ends", "last used")
    for entry in content["items"]:
        may = [*entry["scopes"], f"as {entry['provenance']}"]
        where = [*entry["namespaces"], *(f"{name} (reads)" for name in entry["read_namespaces"])]
        rows.add_row(
            plain(entry["id"]),
            plain(entry["name"]),
            coloured(entry["status"]),
            plain("\n".join(may)),
            plain("\n".join(where)),
            plain(_minute(entry["expires_at"]) or "never", "dim"),
            plain(_minute(entry["last_used_at"]) or "never", "dim"),
        )
    console.print(rows if content["items"] else plain("nothing"))


def key(console: Console, content: Mapping[str, Any]) -> None:
    """One key."""
    values(console, {name: _said(value) for name, value in content.items() if value not in (None, [], "")})


def audit(console: Console, content: Mapping[str, Any]) -> None:
    """Lines of the audit trail."""
    rows = columns("at", "who", "action", "item", "from", "detail")
    for entry in content["items"]:
        version = f" v{entry['version']}" if entry["version"] else ""
        rows.add_row(
            plain(str(entry["at"])[:19].replace("T", " "), "dim"),
            plain(entry["principal"] or ""),
            coloured(entry["action"]),
            plain((entry["item_id"] or "") + version),
            plain(entry["address"] or ""),
            plain(entry["detail"] or "", "dim"),
        )
    console.print(rows if content["items"] else plain("nothing"))
    if content.get("next_cursor"):
        console.print(plain(f"more: --cursor {content['next_cursor']}", "dim"))


def held(console: Console, content: Mapping[str, Any]) -> None:
    """Items that wait for a verdict, and why."""
    rows = columns("id", "by", "title", "field", "rule", "words")
    for entry in content["items"]:
        found = entry["suspicions"]
        rows.add_row(
            plain(f"{entry['id']} v{entry['version']}"),
            plain(entry["provenance"]),
            plain(entry["title"]),
            *(plain("\n".join(suspicion[name] for suspicion in found), "dim") for name in ("field", "rule", "excerpt")),
        )
    console.print(rows if content["items"] else plain("nothing"))
    if content.get("next_cursor"):
        console.print(plain(f"more: --cursor {content['next_cursor']}", "dim"))


def decided(console: Console, content: Mapping[str, Any]) -> None:
    """An item after its verdict."""
    console.print(plain(f"{content['id']} v{content['version']}"), coloured(content["review"]), plain(content["title"]))


def set_aside(console: Console, content: Mapping[str, Any]) -> None:
    """Changes that the index could not take."""
    rows = columns("id", "at", "attempts", "reason")
    for entry in content["items"]:
        rows.add_row(
            plain(entry["id"]),
            plain(_minute(entry["at"]), "dim"),
            plain(str(entry["attempts"])),
            plain(entry["reason"]),
        )
    console.print(rows if content["items"] else plain("nothing"))
    if content.get("next_cursor"):
        console.print(plain(f"more: --cursor {content['next_cursor']}", "dim"))


def _minute(moment: str | None) -> str:
    return (moment or "")[:16].replace("T", " ")


def _said(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
