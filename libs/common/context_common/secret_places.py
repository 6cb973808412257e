"""Values that their place makes secrets: what a command takes as a password, and a cell that a table names so."""

import re
from collections.abc import Iterator
from typing import TypeAlias

from context_common.secret_names import REFERENCE, STAND_IN, WORD, named, stands_out

ARGUMENTS = r"(?:[^\n|;&]|\\\n){0,200}?\s"  # those between, on the lines that a command goes on to
GAP = rf"\b{ARGUMENTS}"
CURL = r"\b(?:[^\n|]|\\\n){0,300}?\s"  # addresses have `&` and `;` in them
VALUE = (
    r"""(?:\\?"(?P<double>(?:[^"\\\n]|\\[^"\n]){3,200})\\?"|\\?'(?P<single>(?:[^'\\\n]|\\[^'\n]){3,200})\\?'"""
    r"""|(?P<bare>[^\s"'`|;<>]{4,200}))"""
)
PAIR = (
    r"""(?:\\?"[^\s:"[]{1,100}:(?P<double>(?:[^"\\\n]|\\[^"\n]){3,200})\\?"|\\?'[^\s:'[]{1,100}:(?P<single>[^'\n]{3,200})'"""
    r"""|[^\s:"'`[]{1,100}:(?P<bare>[^\s"'`]{3,200}))"""
)
# A word that is in the text then, and where the password stands. Where a lone `-p` asks for it, `-pVALUE` gives it.
COMMANDS = (
    ("curl", rf"curl{CURL}(?:-[A-Za-z]{{0,8}}u|--user|--proxy-user)[ =]?{PAIR}"),
    (" -a ", rf"(?<![\w/:.-])(?:https?|xh)(?=\s){CURL}-a {PAIR}"),
    ("mysql", rf"mysql(?:dump|admin|import|check|show|sh)?{GAP}-p{VALUE}"),
    ("mariadb", rf"mariadb(?:-dump|-admin|-backup)?{GAP}-p{VALUE}"),
    ("7z", rf"\b7z[ar]?{GAP}-p{VALUE}"),
    ("mongo", rf"mongo(?:sh|dump|restore|import|export)?{GAP}-p ?{VALUE}"),
    ("sshpass", rf"sshpass{GAP}-p ?{VALUE}"),
    ("login", rf"\b(?:docker|podman|nerdctl|helm|oras|skopeo|az|oc|cf)\s(?:registry\s|acr\s)?login{GAP}-p[ =]?{VALUE}"),
    ("twine", rf"twine{GAP}-p ?{VALUE}"),
    ("redis-cli", rf"redis-cli{GAP}-a ?{VALUE}"),
    ("valkey-cli", rf"valkey-cli{GAP}-a ?{VALUE}"),
    ("ldap", rf"ldap(?:search|add|modify|delete|whoami|passwd|compare){GAP}-w ?{VALUE}"),
    ("sqlcmd", rf"sqlcmd{GAP}-P ?{VALUE}"),
    ("zip", rf"\b(?:un)?zip{GAP}-P ?{VALUE}"),
    ("mosquitto_", rf"mosquitto_(?:pub|sub|rr){GAP}-P ?{VALUE}"),
    ("htpasswd", rf"htpasswd{GAP}-[A-Za-z]{{0,4}}n[A-Za-z]{{0,4}}b[A-Za-z]{{0,4}} \S{{1,100}} {VALUE}"),
    ("htpasswd", rf"htpasswd{GAP}-(?!\w{{0,8}}n)[A-Za-z]{{0,4}}b[A-Za-z]{{0,4}} \S{{1,100}} \S{{1,100}} {VALUE}"),
    ("rabbitmqctl", rf"rabbitmqctl{GAP}(?:add_user|change_password) \S{{1,100}} {VALUE}"),
    ("smbclient", rf"smbclient{GAP}-U ?[\"']?[^\s%\"']{{1,100}}%(?P<bare>[^\s\"'`]{{4,200}})"),
    ("openssl", rf"openssl\s{{1,4}}enc{GAP}-k {VALUE}"),
    ("keytool", rf"keytool{GAP}-(?:src|dest)?(?:store|key)pass {VALUE}"),
    ("pass:", r"\s-pass(?:in|out)? pass:(?P<bare>[^\s\"']{4,100})"),
    ("auth=(", r"auth=\([\"'][^\"'\n]{1,80}[\"'],\s?[\"'](?P<bare>[^\"'\n]{4,200})"),
    ("login", r"login\s{1,4}[^\s]{1,100}\s{1,4}password\s{1,4}(?P<bare>[^\s\"']{4,200})"),
)
# Of any command: `-p` after a user is mostly a password, and sometimes a port or a folder.
GUESSES = (
    ("-p", rf"\s(?:-u|-U|--user|--username)[ =]?\S{{1,100}}+{ARGUMENTS}-p[ =]?{VALUE}"),
    ("-u", rf"\s-u {PAIR}"),
    ("--user", rf"\s--user(?:name)?[ =]{PAIR}"),
)
NAME_OF_ONE = re.compile(r"[A-Z_]{0,40}PASS(?:WORD|WD)?|passw(?:or)?d")

BORDER = frozenset(" \t\r|:+=-")
LEAD = " \t>*+-"  # of a quotation, a list or a difference of two files
MARKUP = " \t\r`*\"'"
CELLS = re.compile(r"(?<!\\)\|")
WORDS = re.compile(r"\S++")
LONGEST_NAME = 80  # characters
Span: TypeAlias = tuple[int, int]


def command_lines(text: str, lower: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of each password given to a command: `curl -u user:password`."""
    for table, sure in ((COMMANDS, True), (GUESSES, False)):
        for hint, pattern in table:
            for match in re.finditer(pattern, text) if hint in lower else ():
                group = match.lastgroup or "bare"
                if _is_given(match[group]) and (sure or stands_out(match[group])):
                    yield *match.span(group), "password"


def _is_given(value: str) -> bool:
    return (
        not any(pattern.fullmatch(value) for pattern in (STAND_IN, REFERENCE, NAME_OF_ONE))
        and "[redacted:" not in value
    )


def tables(text: str, lower: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of each secret that the head of its column, of its row or the cell before it names."""
    for rows in _tables(text) if "|" in text else ():
        head = [cell if _names(lower, cell) else None for cell in _cells(text, *rows[0])]
        for number, row in enumerate(rows):
            if (number and any(head)) or WORD.search(lower, *row):
                cells = _cells(text, *row)
                yield from _in_row(text, lower, cells, head if number else [])


def _in_row(text: str, lower: str, cells: list[Span], head: list[Span | None]) -> Iterator[tuple[int, int, str]]:
    for at, cell in enumerate(cells):
        for name in (*head[at : at + 1], *cells[max(0, at - 1) : at]):
            if name and _names(lower, name):
                yield from _beside(text, lower, cell, name)
        if at > 1 and _names(lower, cells[0]):
            yield from _beside(text, lower, cell, cells[0], far=True)


def _names(lower: str, cell: Span) -> bool:
    return cell[1] - cell[0] <= LONGEST_NAME and WORD.search(lower, *cell) is not None


def _tables(text: str) -> Iterator[list[Span]]:
    """The lines of each table that are rows: such as begin with a bar, or all in one with a drawn line."""
    rows: list[Span] = []
    drawn = False
    position = 0
    for line in [*text.split("\n"), ""]:
        if BORDER.issuperset(line) and "-" in line and ("|" in line or "+" in line):
            drawn = True
        elif "|" in line:
            rows.append((position, position + len(line)))
        else:
            barred = [row for row in rows if drawn or text[slice(*row)].lstrip(LEAD).startswith("|")]
            if barred:
                yield barred
            rows, drawn = [], False
        position += len(line) + 1


def _cells(text: str, start: int, end: int) -> list[Span]:
    start += len(text[start:end]) - len(text[start:end].lstrip(LEAD).removeprefix("|"))
    bars = [match.start() for match in CELLS.finditer(text, start, end)]
    edges = zip([start, *(bar + 1 for bar in bars)], [*bars, end], strict=True)
    return [_within(text, *edge) for edge in edges]


def _within(text: str, start: int, end: int) -> Span:
    """Without the blanks and the marks around it."""
    left = len(text[start:end].lstrip(MARKUP))
    return end - left, end - left + len(text[end - left : end].rstrip(MARKUP))


def _beside(text: str, lower: str, cell: Span, name: Span, *, far: bool = False) -> Iterator[tuple[int, int, str]]:
    """What in `cell` a sentence with `name: value` would give away; of several words, only what stands out."""
    words = [_within(text, *word.span()) for word in WORDS.finditer(text, *cell)]
    said = f"| {lower[slice(*name)]}{' of' if far or len(words) > 1 else ''}: "
    for start, end in words:
        line = said + text[start:end]
        for at, _, kind in named(line, line.lower()) if start < end else ():
            if at >= len(said):
                yield start, end, kind
