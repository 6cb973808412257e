"""What a question asks for beside its subject: of which type, status, severity and time its answers are to be.

Only what is said in so many words: `critical` beside *incidents* is a severity, and beside anything else a word.
"""

import calendar
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from context_retrieval.analysis import AROUND, STAMP, analyse
from context_retrieval.model import Candidate, Filter
from context_retrieval.rank import SEVERITY

LONGEST = 20  # words of a question: in a longer text such words tell what happened
TYPES = {
    "failure": r"failures|(?:incident|outage)s?|post-?mortems?",
    "adr": r"(?:decision|adr)s?",
    "meeting": r"meetings?",
    "snapshot": r"(?:commit|snapshot)s?",
}
ALSO = {"adr": "|decided?", "meeting": "|decided?|decisions?"}  # what names it as well
NAMED = {
    type_: re.compile(rf"(?<![\w-])(?:{name}{ALSO.get(type_, '')})(?![\w-])", re.IGNORECASE)
    for type_, name in TYPES.items()
}
# Names no type, but asks for what is dated.
CHANGED = re.compile(r"\b(?:change[ds]?|happened|what(?:'s|\s+is|\s+was)\s+new)\b", re.IGNORECASE)
STATUSES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "failure": {
        **dict.fromkeys(("open", "unresolved", "ongoing"), ("investigating", "recurring")),
        "recurring": ("recurring",),
        **dict.fromkeys(("resolved", "closed"), ("resolved",)),
    },
    "adr": {**dict.fromkeys(("open", "pending", "proposed"), ("proposed",)), "deprecated": ("deprecated",)},
}
SEVERITIES = {"severe": ("critical", "high"), **{one: (one,) for one in SEVERITY}}
QUALITIES = {"failure": {**STATUSES["failure"], **SEVERITIES}, "adr": STATUSES["adr"]}
# `open critical incidents`, `high severity outages`; `incidents that are still open`, `outages of high severity`.
QUALIFIED = {
    type_: re.compile(
        rf"(?<![\w-])(?P<before>(?:(?:{'|'.join(said)})(?:[ -]severity)?,?\s+(?:(?:and|or)\s+)?)+)"
        rf"(?:{TYPES[type_]})(?![\w-])"
        rf"|(?<![\w-])(?:{TYPES[type_]})\s+(?:(?:that|which|are|is|were|was|still|of|with|severity)\s+)+"
        rf"(?P<after>{'|'.join(said)})(?:\s+severity)?(?![\w-])",
        re.IGNORECASE,
    )
    for type_, said in QUALITIES.items()
}
MONTHS = [name.lower() for name in calendar.month_name]
DAYS = [name.lower() for name in calendar.day_name]
UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}
# Says no more than that something is to be listed.
LISTED = AROUND.union(
    "change changed changes i latest list made make new recent recently there we were went wrong".split()  # noqa: SIM905
)

Period = tuple[date, date]  # from the first day to the last


def _written(said: re.Match[str], _: date) -> Period:
    """A year, a month or a day in figures."""
    year, month, day = (int(part) if part else 0 for part in said.group("year", "month", "day"))
    last = day or calendar.monthrange(year, month or 12)[1]
    return date(year, month or 1, day or 1), date(year, month or 12, last)


def _month(said: re.Match[str], today: date) -> Period:
    """The month of that name; of no year, the latest that has begun."""
    month = MONTHS.index(said["month"].lower())
    year = int(said["of"]) if said["of"] else today.year - (month > today.month)
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _weekday(said: re.Match[str], today: date) -> Period:
    day = today - timedelta(days=(today.weekday() - DAYS.index(said["day"].lower())) % 7 or 7)
    return day, day


def _near(said: re.Match[str], today: date) -> Period:
    day = today - timedelta(days=said["near"].lower() == "yesterday")
    return day, day


def _unit(said: re.Match[str], today: date) -> Period:
    """This week, month or year as far as it has come, or the whole one before."""

    def begin(day: date) -> date:
        if (unit := said["unit"].lower()) == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(month=1, day=1) if unit == "year" else day.replace(day=1)

    if said["which"].lower() == "this":
        return begin(today), today
    end = begin(today) - timedelta(days=1)
    return begin(end), end


def _many(said: re.Match[str], today: date) -> Period:
    return today - timedelta(days=int(said["many"] or 1) * UNITS[said["units"].lower()]), today


# How a time is said, the longest way first, and which it is. Most have to stand behind `in`, `since` or the like.
SIDE = r"(?P<side>since|after|before|until|in|on|during|from)\s+"
PERIODS: tuple[tuple[str, Callable[[re.Match[str], date], Period]], ...] = (
    (SIDE + r"(?P<year>(?:19|20)\d\d)(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?", _written),
    (SIDE + rf"(?P<month>{'|'.join(MONTHS[1:])})(?:,?\s+(?P<of>(?:19|20)\d\d))?", _month),
    (SIDE + rf"(?:last\s+)?(?P<day>{'|'.join(DAYS)})", _weekday),
    (rf"(?:{SIDE})?(?P<near>yesterday|today)", _near),
    (rf"(?:{SIDE})?(?P<which>this|last)\s+(?P<unit>week|month|year)", _unit),
    (rf"(?:{SIDE})?(?:the\s+)?(?:last|past)\s+(?:(?P<many>\d{{1,3}})\s+)?(?P<units>{'|'.join(UNITS)})s?", _many),
)
WHEN = tuple((re.compile(rf"(?<![\w-]){said}(?![\w-])", re.IGNORECASE), which) for said, which in PERIODS)


@dataclass(frozen=True, slots=True)
class Aspects:
    """What answers are to be, as far as a question says; `alone` where it says nothing else."""

    types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    alone: bool = False

    def fit(self, candidate: Candidate) -> bool:
        """Whether `candidate` is all of that."""
        return (
            (not self.types or candidate.type in self.types)
            and (not self.statuses or candidate.status in self.statuses)
            and (not self.severities or candidate.severity in self.severities)
            and (self.since is None or candidate.item_date >= self.since)
            and (self.until is None or candidate.item_date <= self.until)
        )

    def within(self, wanted: Filter) -> Filter:
        """`wanted`, and where it leaves that open, this."""
        return replace(
            wanted,
            types=wanted.types or self.types,
            statuses=wanted.statuses or self.statuses,
            severities=self.severities,
            from_date=wanted.from_date or self.since,
            to_date=wanted.to_date or self.until,
        )


def aspects_of(question: str, today: date) -> Aspects | None:
    """What `question` says of the kind; None where that is nothing.

    A time alone may be that of the trouble somebody is in (`504 since yesterday`): it counts where a type is named too,
    or what changed is asked for.
    """
    if len(question.split(maxsplit=LONGEST)) > LONGEST:
        return None
    rest, said = _qualities(STAMP.sub(" ", question))
    rest, since, until = _time(rest, today)
    types = tuple(said) or tuple(type_ for type_, pattern in NAMED.items() if pattern.search(rest))
    timed = bool(since or until) and bool(types or CHANGED.search(rest))
    if not said and not timed:
        return None
    for pattern in NAMED.values():
        rest = pattern.sub(" ", rest)
    values = tuple(itertools.chain.from_iterable(said.values()))
    return Aspects(
        types,
        statuses=tuple(one for one in values if one not in SEVERITIES),
        severities=tuple(one for one in values if one in SEVERITIES),
        since=since if timed else None,
        until=until if timed else None,
        alone=LISTED.issuperset(analyse(rest).plain.split()),
    )


def _qualities(text: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """`text` without the types that stand with a status or severity, and those of each."""
    found: dict[str, tuple[str, ...]] = {}
    for type_, pattern in QUALIFIED.items():
        known = QUALITIES[type_]
        said = " ".join(each["before"] or each["after"] for each in pattern.finditer(text)).lower()
        values = dict.fromkeys(value for word in re.findall(r"\w+", said) for value in known.get(word, ()))
        if values:
            found[type_] = tuple(values)
            text = pattern.sub(" ", text)
    return text, found


def _time(text: str, today: date) -> tuple[str, date | None, date | None]:
    """`text` without the first time that it names, and the days from which on and up to which that is."""
    for pattern, which in WHEN:
        said = pattern.search(text)
        if not said:
            continue
        try:
            first, last = which(said, today)
        except ValueError:  # the 31st of a month that has none
            continue
        rest = f"{text[: said.start()]} {text[said.end() :]}"
        match (said["side"] or "").lower():
            case "since":
                return rest, first, None
            case "after":
                return rest, last + timedelta(days=1), None
            case "before":
                return rest, None, first - timedelta(days=1)
            case "until":
                return rest, None, last
        return rest, first, last
    return text, None, None
