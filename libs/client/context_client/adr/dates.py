"""Days, however they were written."""

import re
from datetime import date, datetime
from typing import Any

ISO = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
COMPACT = re.compile(r"^(\d{4})(\d{2})(\d{2})(?=\D|$)")
IN_WORDS = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)?\s+([A-Za-z]{3,9})\.?,?\s+(\d{4})\b")
AMERICAN = re.compile(r"\b([A-Za-z]{3,9})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read_date(value: Any) -> str:
    """The first day named in `value` as `YYYY-MM-DD`; empty where there is none, or it could be two."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    found = [
        *((m.start(), m[1], m[2], m[3]) for m in ISO.finditer(text)),
        *((m.start(), m[3], _month(m[2]), m[1]) for m in IN_WORDS.finditer(text)),
        *((m.start(), m[3], _month(m[1]), m[2]) for m in AMERICAN.finditer(text)),
    ]
    days = (_day(int(year), int(month), int(day)) for _, year, month, day in sorted(found))
    return next(filter(None, days), "")


def date_in_name(stem: str) -> str:
    """The day with which a file name begins (`20200131-slug`, `2020-01-31-slug`), or empty."""
    match = COMPACT.match(stem) or re.match(r"^(\d{4})-(\d{2})-(\d{2})(?=\D|$)", stem)
    return _day(int(match[1]), int(match[2]), int(match[3])) if match else ""


def _month(name: str) -> str:
    short = name.lower()[:3]
    return str(MONTHS.index(short) + 1) if short in MONTHS else "0"


def _day(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""
