"""What callers may ask: every bad field is named at once, by its name in the REST contract."""

from collections.abc import Iterable
from datetime import date

from context.v1 import retrieval_pb2 as pb
from context_common.caller import NAMESPACE, Caller
from context_common.errors import Invalid, NotFound
from context_retrieval.document import TYPES
from context_retrieval.model import Filter

QUERY = 10_000  # characters
TEXT = 200  # characters of a tag or status
ENTRIES = 200  # of a list in a filter
NAMESPACES = 50  # of one question
LEAST_TOKENS, MOST_TOKENS, TOKENS = 200, 32_000, 4_000


class Checks:
    """Collects what is wrong, by field."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[str]] = {}
        self._hidden = False

    def complain(self) -> None:
        """Raise Invalid with everything that was wrong, if anything was; NotFound for what the caller may not see."""
        if self._wrong:
            raise Invalid(self._wrong)
        if self._hidden:
            raise NotFound("There is no such namespace.")

    def query(self, text: str) -> str:
        """A question: some text, not too long."""
        if not text.strip():
            self._add("query", "is required")
        elif len(text) > QUERY:
            self._add("query", f"is longer than {QUERY:,} characters")
        return self._text("query", text)

    def number(self, name: str, value: int, default: int, least: int, most: int) -> int:
        """A whole number from `least` to `most`; 0 is `default`."""
        if value and not least <= value <= most:
            self._add(name, f"must be from {least} to {most}")
        return value or default

    def share(self, name: str, value: float) -> float:
        """A number from 0 to 1."""
        if not 0 <= value <= 1:
            self._add(name, "must be from 0 to 1")
        return value

    def filter(self, given: pb.Filter, who: Caller) -> Filter:
        """What an answer may come from; the caller's own namespace where none is named.

        Namespaces are asked for by their names, "*" is none: what a new namespace holds is for those who name it.
        """
        names = tuple(sorted(set(given.namespaces))) or (who.namespace,)
        if len(names) > NAMESPACES:
            self._add("namespaces", f"has more than {NAMESPACES} entries")
        for name in names:
            if not NAMESPACE.fullmatch(name):
                self._add("namespaces", f"{name[:80]!r} is no namespace")
        self._hidden = not all(map(who.may_read, names))
        unknown = [value for value in given.types if value not in TYPES]
        if unknown:
            self._add("types", "has a type that there is not")
        from_date, to_date = self._day("from", given.from_date), self._day("to", given.to_date)
        if from_date and to_date and from_date > to_date:
            self._add("from", "is after to")
        return Filter(
            namespaces=names,
            types=tuple(TYPES[value] for value in given.types if value in TYPES),
            tags=self._texts("tags", given.tags),
            statuses=self._texts("statuses", given.statuses),
            from_date=from_date,
            to_date=to_date,
            history=given.include_history,
        )

    def _texts(self, name: str, values: Iterable[str]) -> tuple[str, ...]:
        texts = tuple(dict.fromkeys(values))
        if len(texts) > ENTRIES:
            self._add(name, f"has more than {ENTRIES} entries")
        for text in texts:
            if len(text) > TEXT:
                self._add(name, f"has an entry longer than {TEXT} characters")
            self._text(name, text)
        return texts

    def _text(self, name: str, text: str) -> str:
        if "\0" in text:
            self._add(name, "contains a NUL character")
        return text

    def _day(self, name: str, text: str) -> date | None:
        if not text:
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
        if day is None or day.isoformat() != text:
            self._add(name, "is no date of the form YYYY-MM-DD")
            return None
        return day

    def _add(self, name: str, reason: str) -> None:
        self._wrong.setdefault(name, []).append(reason)
