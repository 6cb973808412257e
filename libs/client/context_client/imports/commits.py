"""Imports git history: each commit a snapshot, keyed by its hash."""

from collections.abc import Callable, Sequence
from typing import Any

from context_client.client import Client
from context_client.git import MOST_FILES
from context_client.imports.report import Report
from context_client.imports.upload import Upload, reason


def run(
    client: Client, commits: Sequence[dict[str, Any]], said: Callable[[str], None], done: Callable[[int], None]
) -> Report:
    """Record `commits`, oldest first."""
    report, upload = Report(), Upload(client, said, done)
    for commit, line in zip(commits, upload.run(commits), strict=True):
        source = str(commit["commit_hash"])[:12]
        report.count(source, line, reason(line))
        if len(commit["changed_files"]) == MOST_FILES:
            report.notes.append({"source": source, "note": f"only the first {MOST_FILES:,} changed files were kept"})
    report.interrupted = upload.interrupted
    report.settle(client)
    return report
