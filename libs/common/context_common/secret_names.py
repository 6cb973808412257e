"""Values that their names make secrets: `password: …`, `"api_key": "…"`, `export TOKEN=…`, `--password …`."""

import re
from collections.abc import Iterator

from context_common.secret_shapes import drawn

# Each family of names. Texts are read in lower case; `key` needs a word before it that says what it opens.
FAMILIES = {
    "key": r"keys?(?![ _-]?id)",
    "password": r"""pass(?:word|wd|phrase|code)s?|passwort|kennwort|contrase(?:ñ|n)a|senha|mot[ ]de[ ]passe|wachtwoord
        |has(?:ł|l)o|пароль|密码|密碼|パスワード|비밀번호|identified[ ]by
        |(?:(?<![a-z])(?:pass|pwd?)|(?<=require)pass)(?![a-z])""",
    "header": r"authorization|cookie",
    "token": r"tokens?|session[_-]?id",
    "secret": r"secrets?|credentials?",
}
WORD = re.compile(
    "key|pass|token|secret|credential|pw|authoriz|cookie|session|kennw|contra|senha|mot de|wacht|has[łl]o"
    "|пароль|密|パス|비밀|identified"
)
OPENS = re.compile(
    r"(?:api|access|secret|app|application|account|signing|encryption|encrypt|master|private|auth|license|deploy|server"
    r"|service|subscription|storage)[ _.-]?\Z"
)
ENDING = (
    r"(?:[_-]?(?:value|base|prod(?:uction)?|dev|stag(?:e|ing)|live|test|old|new|primary|secondary|[0-9]{1,2})(?![a-z]))"
)
NAMES = rf"(?:{'|'.join(f'(?P<{family}>{names})' for family, names in FAMILIES.items())}){ENDING}{{0,3}}"
MARKER = re.compile(r"\[redacted:[a-z_]*\Z")  # what was put there before
FLAG = re.compile(r"(?:--|(?<!\S)-)[a-z0-9-]{0,40}\Z")

# The value is only looked at, so that one that turns out to be none may hold a name of its own.
NAMED = re.compile(
    rf"""{NAMES}
    (?: (?P<default>["']?\s{{0,4}}\{{[^{{}}"]{{0,80}}default\s{{0,8}}=\s{{0,4}}(?=["']))
      | (?P<typed>:\s{{0,2}}[\w.<>?\[\]]{{1,30}}\s{{1,2}}=(?!=)\s{{0,4}}(?=["']))
      | (?P<tight>\\?["']?=(?!=))
      | \\?["'`\])*]{{0,4}}(?:\s{{0,8}}(?:=>|:=|=(?!=)|={{2,3}}(?=\s?["'])|[:：])|(?<=["'])\s{{0,4}},|>)
        (?:\s{{0,4}}[|>]-?\s)?[\s*]{{0,40}}
      | (?P<pair>["']?\s{{1,40}}(?:default_)?value["']?\s{{0,4}}[=:]\s{{0,4}})
      | (?P<said>["'`*]{{0,3}}\ {{1,3}}(?:is|was|lautet|ist|es|est)(?:\ now|:)?\ {{1,3}})
      | (?P<plain>\ {{1,3}}(?=["'`]))
      | (?P<far>(?:\ [\w()'-]{{1,20}}){{1,5}}(?::|\ (?:is|to|was))\ {{1,3}})
      | (?P<space>\ {{1,3}}) )
    (?=(?:(?P<scheme>bearer|basic|token|digest|apikey|negotiate)\s{{1,4}})?
       (?: [rbuf]?\\?"(?P<double>(?:[^"\\\n]|\\[^"]){{1,200}})\\?"
         | [rbuf]?'(?P<single>(?:[^'\\\n]|\\.){{1,200}})'
         | `(?P<tick>[^`\n]{{1,200}})`
         | ["'`]?(?P<bare>(?:[^\s"'`<>,;&\\]|[,;&](?![\w.-]{{0,40}}[=:\s])(?=\S)|\\(?![nrt"'])){{1,200}}) ))""",
    re.VERBOSE,
)
NAME = re.compile(rf"[\w. -]{{0,60}}?(?:{NAMES})", re.VERBOSE)
LONGEST = 200  # characters of a value that are looked at
REST = re.compile(r"[^\s\"'`<>,;&\\]*+")  # of one that is longer

STAND_IN = re.compile(
    r"""[<\[{(%*.…$@!#-]*(?: \W* | x{3,}\w* | \.{2,} | (?:your|my|the|some|an?)[\s_.-].* | to[\s_-]?do.*
        | (?:change[\s_.-]?(?:me|it|this)|replace|insert[\s_.-]|example|place[\s_-]?holder|redacted|dummy|fake|masked).*
        | fixme | ![a-z]+ | tb[da] | removed.* | n/a | foo(?:bar)? | bar | baz | none.* )\W*
    | (?:\$|\$?\{\{?|<|%\(|\[|\#\{|%[A-Z_]).* | .*(?:\$\{|\{\{|<[\w ]+>).* | %s | \*+ | (.)\1{2,} | _+ | \^.+\$""",
    re.VERBOSE | re.IGNORECASE,
)
# What stands after a name in prose and in examples.
WORDS = """
    required optional string text null nil none true false undefined empty missing invalid expired wrong unset
    hidden masked encrypted hashed plain plaintext cleartext rotated stored shared default value values bearer
    basic digest header hash yes no on off auto automatic manual random generated static dynamic unknown
    unchanged incorrect correct valid weak strong bcrypt scrypt argon2 argon2i argon2id pbkdf2 sha1 sha256
    sha512 md5 base64 base32 oauth oauth2 oidc saml saml2 jwt jwks hs256 hs512 rs256 rs512 es256 eddsa aes128
    aes256 utf8 ascii uuid uuid4 ulid vault env file stdin prompt ldap kerberos object array integer number
    boolean bytes char varchar secretstr secretkeyref kubernetes opaque username password passwd passphrase
    secret secrets token tokens credential credentials apikey api-key api_key access refresh login user admin
    hunter again reset field input policy manager length protected needed only never always not still also too
    very used unique sensitive safe gone that this there here what when where which sent passed kept known
"""
PLAIN_WORDS = frozenset(WORDS.split())
OWN_NAMES = re.compile(r"pass(?:word|wd|phrase)?|pwd|secret|token|credential|api[_-]?key", re.IGNORECASE)
IDENTIFIER = re.compile(r"[A-Za-z]*[0-9]{0,4}(?:[-_./:+@#][A-Za-z]*[0-9]{0,4})*")
REFERENCE = re.compile(
    r"[A-Za-z_]\w*(?:(?:\.|->|::)[A-Za-z_]\w*)*[(\[].*"  # a call, an entry of a mapping
    r"|[A-Za-z_]+[0-9]?(?:(?:\.|->|::)[A-Za-z_]+[0-9]?)+"  # settings.api_key
    r"|(?:[a-z][a-z0-9+.-]{1,20}:/?/|\.{0,2}/|~/|arn:|[A-Za-z]:\\|vault:|ssm:|(?i:sha(?:1|256|384|512)[:-])|urn:|data:).*",
)
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
WHEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.*)?|v?[0-9]{1,4}(?:\.[0-9]{1,5})+|[0-9.,]+(?:%|[a-z]{1,7})?", re.IGNORECASE
)
CLOSING = ".,;:)]}*"


def named(text: str, lower: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of each value in `text` that its name makes a secret; `lower` is `text` in lower case."""
    position = 0
    for word in WORD.finditer(lower):
        match = NAMED.match(lower, word.start()) if word.start() >= position else None
        if match is None or not _holds(match, lower):
            continue
        group = next(name for name in ("double", "single", "tick", "bare") if match[name] is not None)
        start, end = match.span(group)
        if group == "bare":
            end = start + len(_unclosed(text[start:end]))
        if start < end and _is_secret(match, text[start:end], quoted=group != "bare"):
            rest = REST.match(text, end) if end - start == LONGEST else None
            end = position = rest.end() if rest else end
            yield start, end, _family(match)


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is secret by rule, as in a log's field or a form."""
    match = NAME.fullmatch(name.lower())
    if match is None or (match["token"] or "").endswith("s"):
        return False
    return not match["key"] or OPENS.search(name.lower()[: match.start("key")]) is not None


def _holds(match: re.Match[str], lower: str) -> bool:
    """Whether the name is one, with what stands before it."""
    start = match.start()
    if MARKER.search(lower[max(0, start - 40) : start]):
        return False
    return not match["key"] or OPENS.search(lower[max(0, start - 24) : start]) is not None


def _is_flag(match: re.Match[str]) -> bool:
    return FLAG.search(match.string[max(0, match.start() - 48) : match.start()]) is not None


def _family(match: re.Match[str]) -> str:
    return next(family for family in FAMILIES if match[family])


def _unclosed(value: str) -> str:
    """`value` without the punctuation of the sentence or the brackets around it."""
    while value and value[-1] in CLOSING and not (value[-1] in ")]}" and "([{"[")]}".index(value[-1])] in value):
        value = value[:-1]
    return value


def _is_secret(match: re.Match[str], value: str, *, quoted: bool) -> bool:
    if len(value) < 4 or STAND_IN.fullmatch(value) or value.lower() in PLAIN_WORDS or "[redacted:" in value:
        return False
    if REFERENCE.fullmatch(value) or (WHEN.fullmatch(value) and not (match["password"] and value.isdecimal())):
        return False
    if match["header"]:
        return drawn(value.rpartition("=")[2] or value, 8 if match["scheme"] else 12)
    if match["far"] or (match["space"] and not _is_flag(match)):
        return stands_out(value)
    given = match["tight"] or match["pair"] or match["space"] or (match["plain"] and _is_flag(match))
    sure = bool(given) or (quoted and not (match["said"] or match["plain"]))
    if match["password"]:
        return _is_password(match, value, sure=sure)
    return _is_token(match, value, sure=sure)


def _is_password(match: re.Match[str], value: str, *, sure: bool) -> bool:
    """People choose passwords, so that a word is one where nothing else can stand, as in `PASSWORD=swordfish`."""
    name, words = match["password"], " " in value
    if words:
        return sure and name == "passphrase"
    if name == "pass":
        return drawn(value)
    parts = [part for part in re.split(r"[-_./:]", value) if part]
    if OWN_NAMES.search(value) and IDENTIFIER.fullmatch(value) and (len(parts) > 1 or value.isalpha()):
        return False
    alone = sure or _alone(match, value)
    if value.isalpha() or value.isdecimal():
        return alone and not value.istitle()
    plain = len(parts) > 1 and IDENTIFIER.fullmatch(value)
    return sure or (len(value) >= 6 and not plain and not value.isupper())


def _is_token(match: re.Match[str], value: str, *, sure: bool) -> bool:
    """Machines draw keys and tokens; what names one is made of words."""
    if " " in value or len(value) < 8:
        return False
    sure = sure or _alone(match, value)
    if UUID.fullmatch(value):
        return sure and not match["token"]
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    if IDENTIFIER.fullmatch(value) and not drawn(value, 24):
        return sure and value.isalnum() and mixed
    return (sure and mixed) or drawn(value, 12)


def stands_out(value: str) -> bool:
    """Whether it can be nothing but a secret, where only words say so: it is no word, no hash and no id."""
    hexadecimal = re.fullmatch(r"[0-9a-f]{7,}|[0-9A-F]{7,}", value)
    return drawn(value) and not hexadecimal and not UUID.fullmatch(value) and any(map(str.isdigit, value))


def _alone(match: re.Match[str], value: str) -> bool:
    """Whether name and value have a line for themselves, as in a file of settings."""
    text = match.string
    before = text[max(0, match.start() - 60) : match.start()].rpartition("\n")[2]
    after = text[match.end() + len(value) : match.end() + len(value) + 2]
    return re.fullmatch(r"[\w.\s\"'-]*", before) is not None and after.lstrip("\"' ,\r")[:1] in ("", "\n")
