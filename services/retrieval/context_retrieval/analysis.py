"""How text becomes words: the same for what is indexed and what is asked.

Postgres stems and drops stop words; this module hands it nothing but words, and keeps identifiers whole beside them.
"""

import errno
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

WORD = r"[^\W_]+(?:\+\+|#(?![^\W_]))?"
TOKEN = re.compile(rf"{WORD}(?:[-_./:@\\]{{1,3}}{WORD})*")
PART = re.compile(r"[^\W_]+")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
NUMBERED = re.compile(r"([a-z]+)[-_]0*([0-9]+)")
SLASH = re.compile(r"[/\\:@]+")
JOINT = re.compile(r"[/\\:@.]+")
HASH = re.compile(r"(?=[0-9a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{7,40}")
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
HIRAGANA = re.compile(r"[\u3040-\u309f]+")  # what Japanese has between its words, and endings: stop words, mostly
# Words with which a question begins, and such as only say in one what is asked for: among records of what was chosen
# and what happened, any may have them.
BEGINS = frozenset(
    "are can could did do does had has have how is may must should was were what when where which who why".split()  # noqa: SIM905
)
ASKED_FOR = frozenset(
    """choice choose chose chosen choosing decide decided deciding decision decisions ever explain happen happened
    happens know known pick picked reason reasons remember said say see seen tell""".split()  # noqa: SIM905
)
# And those that stand around an id where nothing but it is asked for.
AROUND = (BEGINS | ASKED_FOR).union(
    """a about accepted active all an and any at by current done everything for from in is it me now of on open or our
    please show status still that the there this to us valid with yet""".split()  # noqa: SIM905
)
# Words that are written short and in full, and mean the same either way; and some that are short for what has several
# names. Questions alone know of it: what is indexed stays as it was written.
SAME = (
    "k8s kubernetes",
    "authn authentication",
    "authz authorization authorisation",
    "2fa mfa two-factor multi-factor",
    "pg postgres postgresql",
    "db database",
    "repo repository",
    "config configuration",
    "env environment",
    "prod production",
    "infra infrastructure",
    "perf performance",
    "deps dependencies",
    "perms permissions",
    "certs certificates",
    "creds credentials",
    "gql graphql",
    "a11y accessibility",
    "i18n internationalization internationalisation",
    "l10n localization localisation",
    "o11y observability",
)
SHORT = {"auth": ("authentication", "authorization", "authn", "authz"), "oom": ("memory", "oomkilled")}
ALIKE = {
    word: tuple(other for other in words if other != word) for words in map(str.split, SAME) for word in words
} | SHORT
LONGEST = 120  # characters of an identifier that is kept whole
MOST_BYTES = 200_000  # of words, and again of identifiers: a tsvector holds 1 MB
SHORT_HASH = 7

# `failure 3 times in a row` and `meeting 2 hours` name nothing: with a blank between, the number has to be written
# as an id's, or nothing may follow in its sentence.
ID = re.compile(
    r"(?<![^\W_])(?:(adr)[\s_#-]{0,2}|(fail(?:ure)?|meet(?:ing)?|snap(?:shot)?)"
    r"(?:[\s_]?[_#-]|(?=[0-9])|\s(?=0[0-9]{2}|[0-9]+[\s\"')\]]*(?:[.?!](?![0-9])|$))))0*([0-9]{1,12})(?![^\W_])",
    re.IGNORECASE,
)
# Letters and digits by turns.
NAMED_BY_MACHINES = r"(?=[a-z0-9]{6})(?:(?:[a-z]+[0-9]+){2,}[a-z]*|(?:[0-9]+[a-z]+){2,}[0-9]*)"
# Letters alone, in capitals, are a code where they are the name of one: any word may be shouted, or stand in SQL.
# Those of the system, of Node and npm, of DNS and of Redis.
LETTERS = frozenset(errno.errorcode.values()).union(
    """EBADENGINE EINTEGRITY ELIFECYCLE ENEEDAUTH ENOTFOUND ERESOLVE ESERVFAIL FORMERR NXDOMAIN SERVFAIL
    BUSYGROUP BUSYKEY CLUSTERDOWN CROSSSLOT EXECABORT MASTERDOWN MISCONF NOAUTH NOPERM NOREPLICAS NOSCRIPT WRONGPASS
    WRONGTYPE OOMKILLED""".split()  # noqa: SIM905
)
# What else stands for one exact thing: CONSTANT_NAMES, codes that mix letters and digits, names of code, names of pods
# and requests. What ends in its only letters is a size or a class of codes (10MB, 5XX).
CODE = re.compile(
    r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]{1,8}-?[0-9]{2,}(?:-[0-9]+)*"
    r"|[0-9]+[A-Z]+[0-9][0-9A-Z]*|0x[0-9a-fA-F]+"
    r"|(?:[A-Z]+[a-z]+){3,}|[A-Z][A-Za-z]+(?:Error|Exception|Failure|Fault|Killed|Timeout)"
    r"|[a-z0-9]+(?:_[a-z0-9]+)+|[A-Za-z]\w*(?:\.[A-Za-z]\w*){2,}"
    rf"|(?:[a-z0-9]+-)*{NAMED_BY_MACHINES}(?:-[a-z0-9]+)*"
)
# When something was logged: 2026-11-28T09:10:47.123Z, 2026-11-28 09:10, 09:10:47,123, 20261128T091047Z.
STAMP = re.compile(
    r"(?<![^\W_])(?<![0-9]:)(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}"
    r"|(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ])?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    r"|[0-9]{4}-?[0-9]{2}-?[0-9]{2}T[0-9]{4,6})"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?(?![^\W_])(?!:[0-9])",
    re.IGNORECASE,
)
LEFT_OVER = re.compile(r"\[\s*\]|\(\s*\)|^\s*[:,;]")  # where it, or an id, was taken out
# What is left of one where it was cut (28T09), and how long something took (1h30m15s): no names of anything.
TIME = re.compile(r"[0-9]+T[0-9]+Z?|(?:[0-9]+(?:[dhms]|ms))+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Analysis:
    """Words, separated by blanks, and identifiers, each as often as it stands in the text.

    Of a question's words those are `doubtful` that may be mistyped, and those in `capitals` may be codes.
    """

    plain: str
    identifiers: tuple[str, ...]
    doubtful: tuple[str, ...] = ()
    capitals: tuple[str, ...] = ()

    @property
    def asking(self) -> frozenset[str]:
        """Those words of a question that only say what is asked for: `choose` in `why did we choose Postgres?`."""
        first, *rest = self.plain.split() or ("",)
        return ASKED_FOR.intersection(rest) if first in BEGINS else frozenset()

    @property
    def alike(self) -> dict[str, tuple[str, ...]]:
        """For each word and identifier that has some: others that mean the same."""
        return {one: ALIKE[one] for one in (*self.plain.split(), *self.identifiers) if one in ALIKE}

    @property
    def length(self) -> int:
        """How many words there are."""
        return self.plain.count(" ") + 1 if self.plain else 0


def analyse(text: str) -> Analysis:
    """The words and identifiers of `text`: `UserService` gives userservice, user and service; `store_item.py` gives
    store, item, py and, whole, store_item.py.
    """
    words: list[str] = []
    identifiers: list[str] = []
    for match in TOKEN.finditer(unicodedata.normalize("NFKC", text)):
        token = match[0]
        if not token.isalnum():
            identifiers.extend(_wholes(token))
        for part in PART.findall(token):
            words.extend(_words(part))
            if HASH.fullmatch(part):
                identifiers.append(part[:SHORT_HASH])
    return Analysis(" ".join(_cap(words)), tuple(_cap(identifiers)))


def ids_in(text: str) -> tuple[str, ...]:
    """The ids that `text` may name, lower case: `ADR 12` is adr-012; other ids only as they are written."""
    named = [f"{(match[1] or match[2])[:4].lower()}-{int(match[3]):03d}" for match in ID.finditer(text)]
    written = [match[0].lower() for match in TOKEN.finditer(text) if "-" in match[0] and len(match[0]) <= LONGEST]
    return tuple(dict.fromkeys([*named, *written]))


def only_ids(text: str) -> bool:
    """Whether `text` names ids and asks for nothing else, as `adr 203` and `what does ADR-203 say?` do."""
    rest, named = ID.subn(" ", text)
    return named > 0 and AROUND.issuperset(analyse(rest).plain.split())


def subject(text: str) -> str:
    """`text` without the ids that it names and the times that a log begins with, where it says anything else.

    Both are looked for as they stand: their parts are those of all ids and times, and mean as little to the model.
    """
    without = ID.sub(" ", STAMP.sub(" ", text))
    rest = LEFT_OVER.sub(" ", without).strip()
    return text if without == text or AROUND.issuperset(analyse(rest).plain.split()) else rest


def codes_in(text: str) -> tuple[str, ...]:
    """The lexemes of `text` that stand for one exact thing, such as ECONNREFUSED, 42P01 or pg_stat_activity."""
    found: list[str] = []
    for match in TOKEN.finditer(STAMP.sub(" ", unicodedata.normalize("NFKC", text))):
        for token in (match[0], *JOINT.split(match[0])):
            if len(token) > LONGEST:
                continue
            if HASH.fullmatch(token):
                found.append(token[:SHORT_HASH])
            elif not TIME.fullmatch(token) and (token in LETTERS or CODE.fullmatch(token)):
                found.append(_whole(token))
    return tuple(dict.fromkeys(found))


def lexeme_literal(weighted: Iterable[tuple[Iterable[str], str]]) -> str:
    """Identifiers as the text of a tsvector; each comes with the letter of its weight."""
    places: dict[str, list[str]] = {}
    position = 0
    for identifiers, weight in weighted:
        for identifier in identifiers:
            position = min(position + 1, 16_000)
            places.setdefault(identifier, []).append(f"{position}{weight}")
    return " ".join(f"'{identifier}':{','.join(at[:64])}" for identifier, at in places.items())


def _whole(token: str) -> str:
    """`token` as a lexeme; ids without the zeros before their number, so that ADR-12 is ADR-012."""
    whole = token.lower().replace("\\", "/")
    numbered = NUMBERED.fullmatch(whole)
    return f"{numbered[1]}-{numbered[2]}" if numbered else whole


def _wholes(token: str) -> list[str]:
    """`token`, and what of it stands between slashes, colons and dots where that is an identifier itself."""
    inner = [part for pattern in (SLASH, JOINT) for part in pattern.split(token) if not part.isalnum()]
    return [_whole(part) for part in dict.fromkeys([token, *inner]) if 0 < len(part) <= LONGEST]


def _words(part: str) -> list[str]:
    """`part` in lower case, its humps where it has some; scripts without blanks as pairs of characters."""
    if CJK.search(part):
        runs = CJK.findall(part)
        pairs = [run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1))]
        pairs = [pair for pair in pairs if not HIRAGANA.fullmatch(pair)]
        return [*pairs, *CJK.sub(" ", part).lower().split()]
    humps = HUMP.split(part)
    return [part.lower(), *(hump.lower() for hump in humps)] if len(humps) > 1 else [part.lower()]


def _cap(words: Iterable[str]) -> list[str]:
    kept: list[str] = []
    room = MOST_BYTES
    for word in words:
        room -= len(word.encode()) + 1
        if room < 0:
            break
        kept.append(word)
    return kept
