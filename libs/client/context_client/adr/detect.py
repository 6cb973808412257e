"""Tells decision records from what lies beside them."""

import re
from pathlib import Path

SUFFIXES = (".md", ".markdown", ".mdown")
NAMES = {"index": "an index", "readme": "a README", "changelog": "a changelog", "contributing": "a guide"}
LICENCE = re.compile(r"^(?:licen[cs]e|copying|notice)(?:[-_.].*)?$", re.IGNORECASE)
TEMPLATE_NAME = re.compile(
    r"^(?:[\d_-]*|n{3,}-|x{3,}-)?(?:m?adr|decision|decision-record|nygard)?[-_]?template"
    r"(?:[-_](?:bare|full|short|long|minimal|simple))*$|^(?:n{3,}|x{3,})(?:[-_].*)?$",
    re.IGNORECASE,
)
TEMPLATE_TITLE = re.compile(
    r"^(?:\W*(?:adr|number|nnnn|xxxx|\d+)?[\s.:#-]*)"
    r"(?:[\[{<].*[\]}>]|title|short title.*|(?:adr |decision record )?template)$",
    re.IGNORECASE,
)


def by_name(path: Path) -> str:
    """Why a file of that name is no record; empty if it may be one."""
    stem = path.stem.lower()
    if LICENCE.match(path.name):
        return "a licence"
    if path.suffix.lower() not in SUFFIXES:
        return "not Markdown"
    if TEMPLATE_NAME.match(stem):
        return "a template"
    return NAMES.get(stem.lstrip("_"), "")


def by_title(title: str) -> str:
    """Why a page of that title is no record; empty if it may be one."""
    return "a template" if TEMPLATE_TITLE.match(title.strip()) else ""


def decode(raw: bytes) -> tuple[str, str]:
    """The text of a file, and a note where it was not UTF-8; no text where it is binary."""
    note = ""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16", "replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text, note = raw.decode("cp1252", "replace"), "not UTF-8, read as Windows-1252"
    return ("", "") if "\0" in text else (text, note)
