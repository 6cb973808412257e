"""The options that were considered, each with what speaks for and against it."""

import re

from context_client.adr.page import Heading, Page, list_items, plain_text

LONGEST_NAME = 200  # characters
MOST = 100  # options of one record


class Options:
    """Options by name, in the order in which they were first named."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}

    def add(self, name: str, text: str) -> None:
        """Say `text` of the option `name`, whatever its case, markup and quotes."""
        shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        key = self._names.setdefault(_key(shown), shown)
        texts = self._texts.setdefault(key, [])
        if text and text != name:
            texts.append(text)

    def texts(self) -> dict[str, str]:
        """The field `options_considered`."""
        texts = {name: "\n\n".join(parts) for name, parts in self._texts.items()}
        names = list(texts)
        if len(names) > MOST:
            last = "Further options"
            texts[last] = "\n\n".join(f"### {name}\n\n{texts.pop(name)}".strip() for name in names[MOST - 1 :])
        return texts


def read(options: Options, page: Page, heading: Heading, end: int) -> None:
    """Take the options from the section under `heading`: a list of them, or a heading for each."""
    inner = [h for h in page.headings if heading.start < h.start < end]
    level = min((h.level for h in inner), default=0)
    tops = [h for h in inner if h.level == level]
    if not tops:
        _read_list(options, heading.text, page.text(heading.end, end))
        return
    if intro := page.text(heading.end, tops[0].start).strip():
        options.add(heading.text, intro)
    for top in tops:
        options.add(top.text, page.text(top.end, min(page.under(top), end)))


def _read_list(options: Options, name: str, text: str) -> None:
    items = list_items(text) if text.strip() else None
    if items is None:
        if text.strip():
            options.add(name, text)
        return
    for item in items:
        first = item.split("\n", 1)[0]
        short = plain_text(_name(first) or first)
        options.add(short or first, "" if short == item else item)


def _name(line: str) -> str:
    """An option's name at the start of its list item; what follows a dash or colon describes it."""
    bold = re.match(r"\*\*(.+?)\*\*", line)
    if bold:
        return bold[1].rstrip(": ")
    uncoded = re.sub(r"`[^`]*`", lambda code: "x" * len(code[0]), line)  # a colon in code ends nothing
    end = re.search(r"\s+[–—-]\s+|:\s+", uncoded)
    return line[: end.start()] if end else line


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.lower()).strip() or name
