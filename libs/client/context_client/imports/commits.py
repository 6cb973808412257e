"""Imports git history: each commit a snapshot, keyed by its hash."""

from collections.abc import Callable, Sequence
from typing import Any

from context_client.client import Client
from context_client.imports.report import Report
from context_client.imports.upload import Upload, reason

# What the API takes of a field, and what it counts there.
MOST = {
    "changed_files": (1_000, "changed files"),
    "commit_message": (100_000, "characters of the message"),
    "author": (500, "characters of the author"),
}


def run(
    client: Client, commits: Sequence[dict[str, Any]], said: Callable[[str], None], done: Callable[[int], None]
) -> Report:
    """Record `commits`, oldest first."""
    report, upload = Report(), Upload(client, said, done)
    fitting = [commit | {name: commit[name][:most] for name, (most, _) in MOST.items()} for commit in commits]
    for commit, line in zip(commits, upload.run(fitting), strict=True):
        source = str(commit["commit_hash"])[:12]
        report.count(source, line, reason(line))
        report.notes += [
            {"source": source, "note": f"only the first {most:,} {what} were kept"}
            for name, (most, what) in MOST.items()
            if len(commit[name]) > most
        ]
    report.interrupted = upload.interrupted
    report.settle(client)
    return report
