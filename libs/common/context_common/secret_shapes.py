"""What secrets look like that give themselves away: the prefixes and frames that those who issue them chose.

Each shape starts at a literal or at the edge of a word, and no repeat can be given up again for another try, so that
reading a text takes time in proportion to its length.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of secret. What the group `secret` of the pattern covers is taken out, or the whole match."""

    kind: str
    hints: tuple[str, ...]  # lower case; a text without any of them is not looked at further
    pattern: re.Pattern[str]
    check: Callable[[str], bool] = bool  # of the secret, for what a pattern cannot tell


class Shapes:
    """A table of shapes, the first of those that fit at one place counting."""

    def __init__(self, *shapes: Shape) -> None:
        self._ranks: dict[str, list[int]] = {}
        self.table = shapes
        for rank, shape in enumerate(shapes):
            for hint in shape.hints:
                self._ranks.setdefault(hint, []).append(rank)
        longest_first = sorted(self._ranks, key=len, reverse=True)
        self._hints = re.compile("|".join(map(re.escape, longest_first)))

    def hinted(self, lower: str) -> list[Shape]:
        """Those that may stand in a text, given in lower case."""
        ranks = {rank for hint in set(self._hints.findall(lower)) for rank in self._ranks[hint]}
        return [self.table[rank] for rank in sorted(ranks)]


# Kind, the least number of characters after the prefix, and the prefixes that its issuer gives.
PREFIXES: tuple[tuple[str, int, str], ...] = (
    ("context_key", 40, "ctx_"),
    ("anthropic_key", 20, "sk-ant-"),
    ("openai_key", 20, "sk-proj- sk-svcacct- sk-admin-"),
    ("openai_key", 32, "sk-"),
    ("google_key", 24, "AIza GOCSPX- ya29."),
    ("github_token", 30, "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_"),
    ("gitlab_token", 20, "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat-"),
    ("slack_token", 10, "xoxa- xoxb- xoxe- xoxe.xoxp- xoxo- xoxp- xoxr- xoxs- xapp-"),
    ("stripe_key", 10, "sk_live_ sk_test_ rk_live_ rk_test_ whsec_"),
    ("npm_token", 30, "npm_"),
    ("pypi_token", 50, "pypi-"),
    ("rubygems_token", 40, "rubygems_"),
    ("docker_token", 20, "dckr_pat_ dckr_oat_"),
    ("huggingface_token", 30, "hf_"),
    ("digitalocean_token", 40, "dop_v1_ doo_v1_ dor_v1_"),
    ("heroku_key", 30, "HRKU-"),
    ("shopify_token", 32, "shpat_ shpca_ shppa_ shpss_"),
    ("square_token", 20, "sq0atp- sq0csp-"),
    ("databricks_token", 32, "dapi"),
    ("vault_token", 20, "hvs. hvb. hvr."),
    ("grafana_token", 32, "glsa_ glc_"),
    ("newrelic_key", 20, "NRAK- NRII- NRJS-"),
    ("sentry_token", 40, "sntrys_ sntryu_"),
    ("atlassian_token", 28, "ATATT3 ATCTT3 ATBB"),
    ("linear_key", 32, "lin_api_"),
    ("notion_token", 40, "ntn_ secret_"),
    ("figma_token", 30, "figd_"),
    ("postman_key", 40, "PMAK-"),
    ("tailscale_key", 20, "tskey-"),
    ("supabase_key", 20, "sbp_ sb_secret_"),
    ("planetscale_token", 30, "pscale_tkn_ pscale_pw_ pscale_oauth_"),
    ("pulumi_token", 40, "pul-"),
    ("doppler_token", 40, "dp.pt. dp.st. dp.sa. dp.ct."),
    ("ci_token", 30, "nfp_ bkua_ CCIPAT_ CCIPRJ_ squ_ sqp_ sqa_"),
    ("model_key", 30, "gsk_ r8_ pplx- xai- pcsk_ lsv2_pt_ lsv2_sk_"),
    ("mailgun_key", 32, "key-"),
    ("age_key", 50, "AGE-SECRET-KEY-1"),
    ("artifactory_key", 60, "AKCp"),
)
# Nothing else begins so: what follows need not look drawn. Whoever only shows the form writes x over and over.
TELLING = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"),
    *("sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk-ant-", "sk-proj-", "AIza", "npm_", "dckr_pat_", "shpat_"),
)
TURNS = frozenset(zip("lddUlU", "dlUdUl", strict=True)) - {("U", "l")}  # a word may begin with a capital
LEAST_TURNS = 0.14  # per character; text has about 0.01, camelCase 0.1, base64 and hexadecimal 0.4
STAND_IN = re.compile(
    r"[$%{(\[<].*[A-Za-z_}\])>]|[*x.•…_-]+|pass(?:word|wd)|change[_-]?(?:me|it)|your[_-].*|redacted", re.IGNORECASE
)
SHORTEST_DRAWN = 10  # characters between two separators; words are shorter or of one case


def drawn(value: str, least: int = 8) -> bool:
    """Whether `value`, of at least so many characters, keeps changing its kind of character as what is drawn does."""
    kinds = ["d" if c.isdigit() else "U" if c.isupper() else "l" if c.isalpha() else "-" for c in value]
    turns = sum(pair in TURNS for pair in pairwise(kinds))
    return len(value) >= least and len(set(value)) >= min(8, least) and turns >= max(2, len(value) * LEAST_TURNS)


def _random(secret: str) -> bool:
    """Whether it was drawn rather than written, as `sk-learn-pipeline` and `hf_XXXXXXXX` were."""
    if secret.startswith(TELLING):
        return _real(secret)
    parts = [part for part in re.split(r"[._-]", secret[3:]) if len(part) >= SHORTEST_DRAWN]
    return _real(secret) and (any(_mixed(part) for part in parts) or drawn(secret[3:], 16))


def _mixed(part: str) -> bool:
    kinds = [str.isdigit, str.islower, str.isupper]
    return sum(any(map(kind, part)) for kind in kinds) >= 2 and len(set(part)) >= 6


def _real(secret: str) -> bool:
    """Whether it is no stand-in of one character over and over. One that calls itself an example is taken for real."""
    return len(set(secret)) >= 8 and max(map(secret.count, set(secret))) * 2 < len(secret)


def _chosen(secret: str) -> bool:
    """Whether it is a password and not what stands for one, as `${DB_PASSWORD}` and `****` do."""
    return STAND_IN.fullmatch(secret) is None


def _holds_private_key(encoded: str) -> bool:
    """Whether it is the base64 of a private key, not of a certificate."""
    return b"PRIVATE KEY" in _decoded(encoded[:96])


def holds_credentials(encoded: str) -> bool:
    """Whether it is the base64 of `user:password`."""
    plain = _decoded(encoded)
    return b":" in plain and plain.isascii() and all(byte >= 32 for byte in plain) and len(plain) > 4


def _decoded(encoded: str) -> bytes:
    whole = encoded.rstrip("=")
    whole = whole[: len(whole) - (len(whole) % 4 == 1)]
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4), altchars=b"-_" if set("-_") & set(whole) else None)
    except (binascii.Error, ValueError):
        return b""


def _has_key(block: str) -> bool:
    return re.search(r"(?m:^|\\n|\s)[A-Za-z0-9+/=]{6}", block.partition("KEY")[2]) is not None


def _prefixed(kind: str, least: int, prefixes: str) -> Shape:
    starts = "|".join(map(re.escape, prefixes.split()))
    pattern = rf"(?<![A-Za-z0-9_.-])(?:{starts})[\w-]{{{least},}}+(?:[.=+/][\w=+/-]++)*+"
    return Shape(kind, tuple(prefixes.lower().split()), re.compile(pattern, re.ASCII), _random)


def _shape(kind: str, hints: str, pattern: str, check: Callable[[str], bool] = bool) -> Shape:
    return Shape(kind, tuple(hints.split()), re.compile(pattern, re.ASCII | re.VERBOSE), check)


# In a text as it stands.
FRAMES = Shapes(
    _shape(
        "private_key",
        "private",
        r"""-----BEGIN\ (?:[A-Z0-9]{1,12}\ ){0,3}PRIVATE\ KEY(?:\ BLOCK)?-----
        (?: (?:[^-]|-(?!----))*+ -----END\ [A-Z0-9 ]{1,40}-----
          | (?:(?:\s|\\[nr]|[>|"'+,])*+ (?:[A-Za-z-]{3,20}:\ [^\n\\]{1,80}|[A-Za-z0-9+/=]{12,}+))*+ )""",
        _has_key,
    ),
    _shape(
        "private_key",
        "ls0tls1crudjti",
        r"(?<![A-Za-z0-9+/])LS0tLS1CRUdJTi(?:\s?[A-Za-z0-9+/]){40,}+={0,2}",
        _holds_private_key,
    ),
    _shape("private_key", '"kty"', r'"(?:d|k)"\s{0,4}:\s{0,4}"(?P<secret>[\w-]{32,}+)"'),
    _shape(
        "private_key", "private-lines", r"Private-Lines:\ \d{1,3}\s++(?P<secret>(?:[A-Za-z0-9+/=]{4,64}+\s{1,2})++)"
    ),
    _shape("discord_token", "discord", r"(?<![\w.-])[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w-])", _random),
    _shape(
        "password",
        "://",
        r"""(?i:(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]{1,40}):)//[^\s:/@"'<>\[\]`]{0,200}:
        (?P<secret>[^\s/?\#"'<>`]{1,400})@(?=[\w.\[\]({$<%*-])""",
        _chosen,
    ),
    # With a slash in the password, which is wrong and yet found. What stands after a port is a path.
    _shape(
        "password",
        "://",
        r"""(?i:(?<![a-z0-9+.-])(?!https?:|file:|git:|s3:)(?:[a-z][a-z0-9+.-]{1,40}):)//[^\s:/@"'<>\[\]`]{0,200}:
        (?![0-9]{1,5}/)(?P<secret>[^\s"'<>`?]{1,400})@(?=[\w.-]{1,200}[:/])""",
        _chosen,
    ),
    _shape(
        "token",
        "://",
        r"""(?i:(?<![a-z0-9+.-])https?:)//(?P<secret>[\w.~%-]{20,400})(?::x-oauth-basic)?@(?=\w)""",
        _random,
    ),
    _shape(
        "password", "@tcp( @unix(", r"(?<![\w/:@.-])[\w.-]{1,60}:(?P<secret>[^\s\"'<>]{1,128})@(?:tcp|unix)\(", _chosen
    ),
    _shape(
        "password", "://", r"(?i:jdbc:[a-z:]{2,30}//)[\w.-]{1,60}:(?![0-9]{1,5}/)(?P<secret>[^\s/@\"'<>]{1,128})@(?=\w)"
    ),
    _shape(
        "basic_auth",
        "basic auth",
        r"""(?i:\bbasic\s{1,4}|["'_]auth["']?\s{0,4}[:=]\s{0,4}["']?)(?P<secret>[A-Za-z0-9+/_-]{8,}+={0,2})(?![\w.])""",
        holds_credentials,
    ),
    _shape("token", "bearer", r"(?i:\bbearer\s{1,4})(?P<secret>[\w.~+/-]{16,}+={0,2})", drawn),
)
# Of fourteen characters or more without a space: only such words are looked at.
WORDS = Shapes(
    _shape("jwt", "eyj", r"(?<![\w-])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+(?:\.[\w-]*+)?"),
    _shape("jwt", "eyj", r"(?<![\w-])eyJ[\w-]{16,}+\.[\w-]*+\.[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{8,}+"),
    _shape(
        "aws_access_key",
        "akia asia abia acca",
        r"(?<![A-Za-z0-9])A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        _real,
    ),
    _shape("sendgrid_key", "sg.", r"(?<![\w.])SG\.[\w-]{16,64}+\.[\w-]{16,64}+"),
    _shape("twilio_key", "sk", r"(?<![A-Za-z0-9_])SK[0-9a-f]{32}(?![A-Za-z0-9_])"),
    _shape("mailchimp_key", "-us", r"(?<![A-Za-z0-9_])[0-9a-f]{32}-us[0-9]{1,2}(?![A-Za-z0-9_])"),
    _shape("terraform_token", ".atlasv1.", r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}+"),
    _shape("airtable_token", "pat", r"(?<![A-Za-z0-9])pat[A-Za-z0-9]{14}\.[0-9a-f]{64}(?![A-Za-z0-9])"),
    _shape("telegram_token", ":aa", r"(?<![A-Za-z0-9])[0-9]{8,10}:AA[\w-]{33}(?![\w-])"),
    _shape("azure_secret", "q~", r"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}(?![\w~.-])"),
    _shape("facebook_token", "eaa", r"(?<![A-Za-z0-9])EAA[A-Za-z0-9]{60,}+", _random),
    _shape(
        "webhook",
        "hooks.slack.com discord webhook",
        r"""https://(?: hooks\.slack\.com/(?:services|workflows|triggers)/(?P<slack>[\w/]{20,}+)
        | (?:\w{1,30}\.)?discord(?:app)?\.com/api/webhooks/[0-9]{8,20}/[\w-]{40,}+
        | [\w.-]{1,80}\.webhook\.office\.com/[\w@/.-]{40,}+ )""",
        _real,
    ),
    _shape(
        "signature",
        "signature= sig=",
        r"(?i:[?&](?:x-amz-signature|x-goog-signature|signature|sig)=)(?P<secret>[A-Za-z0-9%+/_=-]{24,}+)",
        _real,
    ),
    _shape(
        "password_hash",
        "$",
        r"""(?<![\w$])\$(?: 2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{53}
        | argon2(?:id?|d)\$[\w=,$]{1,60}\$[A-Za-z0-9+/]{10,}+\$[A-Za-z0-9+/]{20,}+
        | (?:1|5|6|y|7|apr1)\$(?:rounds=[0-9]{1,9}\$)?[./A-Za-z0-9]{1,32}\$(?:[./A-Za-z0-9]{1,32}\$)?
          [./A-Za-z0-9]{20,}+ )""",
    ),
    _shape("password", "jdbc:oracle", r"jdbc:oracle:\w{1,10}:[\w.$-]{1,60}/(?P<secret>[^\s@\"'<>]{1,128})@", _chosen),
    _shape(
        "password",
        ":5432: :6432: :5433: :*:",
        r"""(?m:^)[\w.*-]{1,80}:(?:[0-9]{2,5}|\*):[\w.*-]{1,60}:[\w.*-]{1,60}:(?P<secret>[^\s:]{6,128})(?m:$)""",
    ),
    *(_prefixed(*row) for row in PREFIXES),
)
