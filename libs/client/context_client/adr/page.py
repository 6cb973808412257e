"""Markdown cut where its headings are: every line of the text belongs to exactly one piece."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from frontmatter.default_handlers import YAMLHandler
from markdown_it import MarkdownIt

COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
RULE = re.compile(r"\n\s*(?:-{3,}|\*{3,}|_{3,})\s*$")
FIELD = re.compile(r"^([A-Za-z][\w .-]*?)\s*:\s*(.*)$")


class Plain(yaml.SafeLoader):
    """YAML without aliases, which no front matter needs and a few of which can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and the lines it stands on."""

    level: int
    text: str  # without markup
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown text without its front matter; `code` are the lines that are code."""

    meta: Mapping[str, Any]
    lines: tuple[str, ...]
    headings: tuple[Heading, ...]
    code: frozenset[int]

    def text(self, start: int, end: int) -> str:
        """The lines from `start` up to `end`, without blank ones and rules at their ends."""
        return RULE.sub("", "\n" + "\n".join(self.lines[start:end]).rstrip()).strip("\n")

    def prose(self, start: int, end: int) -> str:
        """The same without code."""
        return "\n".join("" if number in self.code else self.lines[number] for number in range(start, end))

    def under(self, heading: Heading, level: int | None = None) -> int:
        """Where the text under `heading` ends: at the next one of its `level` or above."""
        deepest = heading.level if level is None else level
        later = (h.start for h in self.headings if h.start > heading.start and h.level <= deepest)
        return next(later, len(self.lines))


def parse(text: str) -> Page:
    """Cut `text` up."""
    meta, body = split_front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    tokens = _blocks().parse(body)
    code: set[int] = set()
    hidden: set[int] = set()
    for token in tokens:
        if token.map and token.type in ("fence", "code_block"):
            code.update(range(*token.map))
        elif token.map and token.type == "html_block" and not COMMENT.sub("", token.content).strip():
            hidden.update(range(*token.map))  # a remark to authors: readers never see it
    lines = tuple("" if number in hidden else line for number, line in enumerate(body.split("\n")))
    headings = tuple(
        Heading(int(token.tag[1:]), plain_text(tokens[index + 1].content), *token.map)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    )
    return Page(meta, lines, tuple(h for h in headings if h.text), frozenset(code))


def plain_text(markdown: str) -> str:
    """What a reader sees of one paragraph of Markdown."""
    parts = []
    for token in _markdown().parseInline(markdown)[0].children or []:
        if token.type in ("text", "code_inline", "image"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return re.sub(r"\s+", " ", COMMENT.sub("", "".join(parts))).strip()


def list_items(text: str) -> list[str] | None:
    """The items of a text that is nothing but one list, each with all that belongs to it; None for other texts."""
    tokens = [token for token in _blocks().parse(text) if token.level <= 1]
    lists = [token for token in tokens if token.type in ("bullet_list_open", "ordered_list_open")]
    if len(lists) != 1 or tokens[0] is not lists[0] or not tokens[-1].type.endswith("_list_close"):
        return None
    lines = text.split("\n")
    spans = [token.map for token in tokens if token.type == "list_item_open" and token.map]
    return [_dedent(lines[start:end]) for start, end in spans]


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The YAML in front of a text, and the text. What is not quite YAML is read line by line."""
    handler = YAMLHandler()
    if not handler.detect(text):
        return {}, text
    try:
        raw, body = handler.split(text)
    except ValueError:
        return {}, text  # a rule at the top, not front matter
    try:
        meta = handler.load(raw, Loader=Plain)
    except (yaml.YAMLError, ValueError, RecursionError):
        meta = {match[1]: match[2].strip("\"' ") for line in raw.split("\n") if (match := FIELD.match(line))}
    if meta is None:
        return {}, body
    if not isinstance(meta, dict):
        return {}, text
    return {str(name).strip().lower(): value for name, value in meta.items()}, body


def _dedent(lines: list[str]) -> str:
    """A list item without its marker and indent."""
    first = re.sub(r"^\s*(?:[*+-]|\d+[.)])\s+(?:\[[ xX]\]\s+)?", "", lines[0])
    width = len(lines[0]) - len(first)
    rest = [line[width:] if not line[:width].strip() else line.lstrip() for line in lines[1:]]
    return "\n".join([first, *rest]).strip()


@cache
def _blocks() -> MarkdownIt:
    """Finds blocks only: what stands inside them is of interest in few, and costs most."""
    return _markdown_it().disable(["inline", "text_join"])


@cache
def _markdown() -> MarkdownIt:
    return _markdown_it()


def _markdown_it() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")
