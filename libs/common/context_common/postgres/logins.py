"""Whom a service logs in as: one that row-level security holds, made beside the migrations, checked at the start."""

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from context_common.postgres.address import refuse_stranger, warn_unverified
from context_common.postgres.pool import KEEPALIVE, Options
from context_common.postgres.requirements import check_server
from context_common.settings import SettingsError

# Whatever it could become counts, as it could become it at any time. Views are left out: a role that spans
# namespaces owns them, and the service may take that role for what needs it.
FREEDOMS = """
SELECT session_user AS login,
    EXISTS (SELECT FROM pg_roles r WHERE r.rolsuper AND pg_has_role(session_user, r.oid, 'MEMBER')) AS superuser,
    EXISTS (SELECT FROM pg_roles r WHERE r.rolbypassrls AND pg_has_role(session_user, r.oid, 'MEMBER')) AS bypass,
    EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %s
            WHERE c.relkind IN ('r', 'p') AND pg_has_role(session_user, c.relowner, 'MEMBER')) AS owner
"""
WORDS = {"superuser": "is a superuser", "bypass": "has BYPASSRLS", "owner": "owns the tables"}

log = structlog.get_logger()


async def check_session(url: str, options: Options, *, strict: bool) -> None:
    """See whether row-level security holds whoever logs in at `url`; where the database is away, nobody can tell.

    Raises:
        SettingsError: It does not, and `strict` asks for it. Else that is only logged. Or the server is not one that
            our schema can live on.
    """
    if strict:
        warn_unverified("DATABASE_URL", url)
    try:
        with refuse_stranger(url):
            # As itself: on the wrong server there may be no such role.
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row, **KEEPALIVE)
        async with connection:
            await check_server(connection)
            found = await (await connection.execute(FREEDOMS, (options.schema,))).fetchone() or {}
    except psycopg.OperationalError as error:
        log.warning("session_not_checked", reason=str(error))
        return
    reasons = [words for name, words in WORDS.items() if found[name]]
    if not reasons:
        return
    if strict:
        raise SettingsError(
            f"DATABASE_URL logs in as {found['login']}, who {' and '.join(reasons)}: row-level security would not hold."
            " Name a login of the service's own in it, and the owner in MIGRATION_DATABASE_URL: `migrate` makes it"
        )
    log.warning("row_level_security_not_binding", login=found["login"], reasons=reasons)


async def make_login(owner_url: str, login_url: str, role: str) -> None:
    """Let the user named in `login_url` work as `role`; made, with the password there, where there is no such user.

    The password leaves this process as a SCRAM verifier only. That of a user who exists is left alone.
    """
    wanted = conninfo_to_dict(login_url)
    login, password = str(wanted.get("user") or ""), str(wanted.get("password") or "")
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True, **KEEPALIVE) as owner:
        if not login or login == owner.info.user:
            return
        name, group = sql.Identifier(login), sql.Identifier(role)
        if not await _one(owner, "SELECT 1 FROM pg_roles WHERE rolname = %s", login):
            verifier = owner.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
            secret = sql.SQL("PASSWORD {}").format(verifier.decode()) if password else sql.SQL("")
            try:
                await owner.execute(sql.SQL("CREATE ROLE {} LOGIN {}").format(name, secret))
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                pass  # the other service's migration made it meanwhile
            else:
                log.info("login_made", login=login)
        if not await _one(owner, "SELECT 1 WHERE pg_has_role(%s, %s, 'SET')", login, role):
            await owner.execute(sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(group, name))


async def _one(connection: psycopg.AsyncConnection, query: str, *values: str) -> bool:
    return await (await connection.execute(query.encode(), values)).fetchone() is not None
