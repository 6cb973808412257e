"""Backups and the look into the database, as people read them."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from context_client.cli.show import columns, plain, values
from context_ops.cli.options import since, size

Content = Mapping[str, Any]


def done(console: Console, content: Content) -> None:
    """A backup that has just been taken: the last line is what a log is searched for."""
    console.print(
        f"{content['kind']} {content['name']}: {size(content['bytes'])} in {content['seconds']} s, in {content['to']}"
    )
    if content["removed"]:
        console.print(plain(f"removed, having had their time: {', '.join(content['removed'])}", "dim"))
    console.print("Backup completed.")


def backups(console: Console, content: Content) -> None:
    """Which there are."""
    rows = columns("name", "kind", "finished", "size", "rows", "server")
    for entry in content["backups"]:
        counted = "" if entry["rows"] is None else f"{entry['rows']}"
        finished = entry["finished_at"][:19].replace("T", " ")
        said = (entry["name"], entry["kind"], finished, size(entry["bytes"]), counted, entry["server"])
        rows.add_row(*map(plain, said))
    console.print(rows if content["backups"] else f"nothing in {content['where']}")


def status(console: Console, content: Content) -> None:
    """How old the newest is."""
    console.print(f"{content['name']} is {since(content['age_seconds'])} old; {content['backups']} backups")


def restored(console: Console, content: Content) -> None:
    """What a restore came to."""
    console.print(f"{content['name']}: {content['rows']} rows in {content['tables']} tables, {content['seconds']} s")
    if content["roles_made"]:
        console.print(f"made, without login: {', '.join(content['roles_made'])}")
    for table, difference in content["differences"].items():
        console.print(plain(f"{table}: {difference}", "red"))
    if not content["differences"]:
        console.print(
            "Every table has the rows and the digest that were backed up. Next: migrate, which makes the logins."
        )
    console.print(plain(_back_again(content), "" if content["revoked"] else "yellow"))


def _back_again(content: Content) -> str:
    """What a dump brings back that somebody has ended since, and who has to see to it."""
    if content["revoked"]:
        keys = "were live and are revoked: `python -m context_knowledge first-key` makes the next."
    else:
        keys = (
            "are live as they were then, also those that were revoked or rotated since: revoke these again before the"
            " services start, or all with --revoke-keys."
        )
    then = f"The dump is of {content['taken_at']}: {content['live_keys']} API keys {keys}"
    return f"{then} What was erased since is there again: erase it again."


def prepared(console: Console, content: Content) -> None:
    """A directory to start Postgres on, and how to go on."""
    directory = content["directory"]
    console.print(f"{directory} holds base backup {content['base']} and {content['wal']} files of WAL.")
    console.print(
        f"1. Give it to the user that Postgres {content['server'].partition('.')[0]} runs as, and start that on it."
    )
    console.print(f"2. It recovers to {content['target_time']} and then {_then(content['pause'])}")
    console.print(f"3. Look at the data; then remove {directory}/restored_wal, and take a new base backup.")


def _then(pause: bool) -> str:
    return (
        "stays read-only until SELECT pg_wal_replay_resume()." if pause else "takes writes, on a timeline of its own."
    )


def verdict(console: Console, content: Content) -> None:
    """What a drill came to."""
    for check, wrong in content["checks"].items():
        console.print(
            Text.assemble(("bad  ", "red") if wrong else ("good ", "green"), check, f": {wrong}" if wrong else "")
        )
    console.print(
        f"{content['name']} is {since(content['age_seconds'])} old and was restored in {content['restore_seconds']} s"
    )
    console.print("The drill is passed." if content["good"] else "THE DRILL FAILED.")


def archiving(console: Console, content: Content) -> None:
    """How archiving goes."""
    values(console, {name: value for name, value in content.items() if value not in (None, [], "")})


def slow(console: Console, content: Content) -> None:
    """Statements."""
    rows = columns("calls", "mean ms", "max ms", "total s", "rows", "cached %", "statement")
    for entry in content["statements"]:
        cells = (entry[name] for name in ("calls", "mean_ms", "max_ms", "total_s", "rows", "cached_percent"))
        rows.add_row(*("" if cell is None else plain(str(cell)) for cell in cells), plain(entry["query"][:300]))
    console.print(rows if content["statements"] else "nothing yet")


def connections(console: Console, content: Content) -> None:
    """Who is connected."""
    rows = columns("pool", "role", "state", "connections", "waiting for locks", "oldest transaction")
    for entry in content["sessions"]:
        cells = (entry["pool"], entry["role"], entry["state"], entry["connections"], entry["waiting_for_locks"])
        rows.add_row(*(plain(str(cell)) for cell in cells), plain(f"{entry['oldest_transaction_s']} s"))
    console.print(rows)
    console.print(
        f"{content['used']} of {content['most']} in use, {content['reserved']} reserved, {content['free']} free"
    )


def indexes(console: Console, content: Content) -> None:
    """What to say of the indexes, then the largest."""
    for entry in content["findings"]:
        console.print(plain(f"{entry['index']}: {entry['finding']}" if entry["index"] else entry["finding"], "yellow"))
    rows = columns("index", "method", "size", "scans", "times what it needs")
    for entry in content["indexes"]:
        bloat = "" if entry["bloat"] is None else str(entry["bloat"])
        rows.add_row(*map(plain, (entry["name"], entry["method"], size(entry["bytes"]), str(entry["scans"]), bloat)))
    console.print(rows)


def erased(console: Console, content: Content) -> None:
    """What is gone, and what is not."""
    if content["dry_run"]:
        console.print("A dry run: nothing was changed. It would say:")
    was = "It stood, and was deleted first. " if content["deleted"] else ""
    console.print(
        f"{was}{content['id']} of {content['namespace']}: {content['versions']} versions say nothing any more,"
        f" {content['answers']} answers kept for Idempotency-Keys are gone, {content['questions']} kept questions are"
        f" blank, {content['feedback']} times feedback names and quotes it no more. The index follows."
    )
    if content["chained"]:
        console.print(
            f"{content['chained']} decisions superseded it or were superseded by it: knowledge brings their status up"
            " to date within seconds, or when it runs again."
        )
    console.print("Backups from before still have it, until they have had their time; so do other items that quote it.")


def upkeep(console: Console, content: Content) -> None:
    """What was done."""
    rows = columns("step", "name", "before", "after", "seconds")
    for entry in content["steps"]:
        cells = (entry["step"], entry["name"], size(entry["before"]), size(entry["after"]), f"{entry['seconds']:.1f}")
        rows.add_row(*map(plain, cells))
    console.print(rows)


def sizes(console: Console, content: Content) -> None:
    """Tables by size."""
    rows = columns("table", "size", "heap", "indexes", "rows", "dead %", "grown")
    for entry in content["tables"]:
        dead = "" if entry["dead_percent"] is None else str(entry["dead_percent"])
        parts = (size(entry["bytes"]), size(entry["heap"]), size(entry["indexes"]), str(entry["rows"]), dead)
        rows.add_row(*map(plain, (entry["name"], *parts, size(entry["grown"]))))
    console.print(rows)
    grown = f"; growth is since {content['since']}" if content["since"] else ""
    console.print(f"{size(content['bytes'])} in all{grown}")
