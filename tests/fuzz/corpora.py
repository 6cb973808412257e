"""Texts that break what takes them for more than text, by what they are aimed at."""

SQL = (
    "' OR '1'='1",
    "'; DROP TABLE items; --",
    "1; SELECT pg_sleep(8)--",
    "' UNION SELECT digest, name FROM keys --",
    "\\'; COPY items TO PROGRAM 'id' --",
    "%' AND 1=CAST(version() AS int) --",
    "$$; SET context.namespaces = '{secret}'; $$",
    "{secret}', 'x",
    "'||(SELECT string_agg(title, ',') FROM knowledge.items)||'",
    "%s %(namespace)s %% {0} :name $1",
    "a:* & !b | (c <-> d",
)
HEADERS = ("x\r\nX-Injected: 1", "x\nX-Injected: 1", "x\r\n\r\n<html>", "x\u2028X-Injected: 1", "%0d%0aX-Injected:%201")
PATHS = (
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "..\\..\\windows\\win.ini",
    "%00",
    "adr/../admin/keys",
    "%2e%2e/%2e%2e/metrics",
    "ADR-001/../../../api/admin/keys",
    "/proc/self/environ",
)
TEMPLATES = (
    "{{7777*7777}}",
    "${7777*7777}",
    "#{7777*7777}",
    "<%= 7777*7777 %>",
    "{7777*7777}",
    "{0.__class__.__mro__}",
    "%(__class__)s",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "${jndi:ldap://127.0.0.1/a}",
    "$(id) `id` ; id | id",
    "=cmd|'/C calc'!A0",
)
LOGS = (
    'x\n{"level": "error", "message": "forgedlogline"}',
    'x\r\n{"level":"critical","message":"forgedlogline"}',
    "\x1b[2J\x1b[31mforgedlogline",
    "x\u0085forgedlogline",
    '","message":"forgedlogline","x":"',
)
UNICODE = (
    "\u202e\u2066drow\u2069",
    "\ufeff",
    "\u0000",
    "a\u0000b",
    "\ud7ff\ue000\uffff",
    "e\u0301" * 50,
    "\N{ROCKET}\u200d" * 50,
    "İıſK",
    "ﷺ" * 20,
    "\U0010ffff",
    "\u200b\u200b",
    "𝕬𝕯𝕽-𝟎𝟎𝟏",
    "١٢٣",
)
NUMBERS = ("-1", "0", "9" * 40, "1e309", "NaN", "Infinity", "0x10", "١", "-0", "2147483648", "9223372036854775808")
CORPORA = {
    "SQL": SQL,
    "headers": HEADERS,
    "paths": PATHS,
    "templates": TEMPLATES,
    "logs": LOGS,
    "unicode and NUL": UNICODE,
    "numbers": NUMBERS,
}
EVERY = tuple(text for texts in CORPORA.values() for text in texts)
# What an answer shows only where one of them worked.
WORKED = ("60481729", "root:x:0:0", "uid=0", "\nx-injected:", "[extensions]", "PostgreSQL 1")
FORGED = "forgedlogline"
SLEEP = 6.0  # seconds; an answer that takes longer slept in SQL
