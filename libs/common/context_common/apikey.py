"""The form of an API key: made by knowledge, told from anything else by the gateway before it asks about it.

`ctx_` + id + `_` + secret + checksum, as in `ctx_4k9x0a7p_…`. The beginning lets people and scanners recognise a key,
the checksum tells a mistyped one without a look-up, and nothing but the SHA-256 digest of the whole is ever kept: a
secret of 256 random bits needs no salt and no slow hash.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

BEGIN = "ctx_"
ID = 8  # characters
SECRET = 43  # characters of base 62 that hold 256 bits
CHECKSUM = 6  # characters of base 62 that hold 32 bits
LENGTH = len(BEGIN) + ID + 1 + SECRET + CHECKSUM
DIGEST = 32  # bytes
# Lower case, so that an id reads the same wherever letters are folded.
ID_DIGITS = string.digits + string.ascii_lowercase
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
FORM = re.compile(rf"{BEGIN}([0-9a-z]{{{ID}}})_[0-9A-Za-z]{{{SECRET + CHECKSUM}}}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is shown once."""

    text: str = field(repr=False)

    @property
    def id(self) -> str:
        """What the key is called everywhere else."""
        return self.text[len(BEGIN) : len(BEGIN) + ID]

    @property
    def prefix(self) -> str:
        """The beginning that may be shown."""
        return self.text[: len(BEGIN) + ID]

    @property
    def digest(self) -> bytes:
        """What is kept of it."""
        return hashlib.sha256(self.text.encode()).digest()


def make() -> ApiKey:
    """A key that nobody has."""
    name = "".join(secrets.choice(ID_DIGITS) for _ in range(ID))
    begin = f"{BEGIN}{name}_{_base62(secrets.randbits(256), SECRET)}"
    return ApiKey(begin + _checksum(begin))


def read(text: str) -> ApiKey | None:
    """The key that `text` is; None where it has not the form of one, or its checksum is wrong."""
    if not FORM.fullmatch(text):
        return None
    begin, checksum = text[:-CHECKSUM], text[-CHECKSUM:]
    return ApiKey(text) if _checksum(begin) == checksum else None


def _checksum(begin: str) -> str:
    return _base62(zlib.crc32(begin.encode()), CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))
