"""What an import did."""

from dataclasses import asdict, dataclass, field
from typing import Any

from context_client.client import Client
from context_client.errors import ContextError
from context_client.retry import Patience
from context_client.types import Line

SETTLE = 30.0  # seconds to wait for the index after an interruption


@dataclass
class Report:
    """Counts and exceptions of one import."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)  # source, error
    left_out: list[dict[str, str]] = field(default_factory=list)  # source, reason
    notes: list[dict[str, str]] = field(default_factory=list)  # source, note
    gone: list[dict[str, str]] = field(default_factory=list)  # source, id
    links_drawn: int = 0
    links_kept: int = 0
    links_removed: int = 0
    held: int = 0
    redacted: int = 0
    not_indexed: int = 0
    interrupted: bool = False
    items: list[dict[str, Any]] = field(default_factory=list)  # source, id, status

    def count(self, source: str, line: Line, error: str) -> None:
        """Count the answer to one item."""
        status = line["status"]
        if status == "error":
            self.failed.append({"source": source, "error": error})
            return
        setattr(self, status, getattr(self, status) + 1)
        withheld = "review" in line
        self.held += line.get("review") == "held"
        self.redacted += bool(line.get("redactions"))
        self.not_indexed += line.get("indexed") is False and not withheld
        self.items.append({"source": source, "id": line.get("id") or "", "status": status})

    def settle(self, client: Client) -> None:
        """After an interruption, wait until the index has caught up: until then not all can be found.

        What it gave up on is never found, and no longer pending either.
        """
        if not (self.not_indexed or self.interrupted):
            return
        patience = Patience(SETTLE, client.sleep)
        try:
            while client.index()["pending"]:
                if not patience.wait():
                    return
            given_up = {change["id"] for change in client.all_set_aside()}
        except ContextError:
            return
        self.not_indexed = sum(item["id"] in given_up for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return asdict(self)
