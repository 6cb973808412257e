"""What the environment says of backups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from context_client.errors import CommandFailed
from context_common.scrub import hide
from context_common.settings import Env, SettingsError

USAGE = 2  # exit code
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class S3:
    """How to reach an S3-compatible server; what is empty boto3 finds by itself."""

    endpoint: str = ""
    region: str = ""
    key_id: str = ""
    secret: str = ""


@dataclass(frozen=True)
class Settings:
    """What operators' commands need to know."""

    database_url: str = ""
    owner_url: str = ""  # of the tables, as migrations log in
    restore_url: str = ""  # the owner of the database that a restore fills
    to: str = ""
    keep_days: int = 30
    s3: S3 = S3()
    authority: str = ""  # the file with the certificate that the database's must be signed by
    programs: Mapping[str, str] = field(default_factory=dict)  # the environment of Postgres's own programs

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, to: str = "", url: str = "") -> Self:
        """The settings in `environ`, but for what is given here.

        Raises:
            CommandFailed: Names everything that is wrong.
        """
        read = Env(environ)
        owner = read.secret("MIGRATION_DATABASE_URL", "") or read.secret("DATABASE_URL", "")
        settings = cls(
            database_url=url or read.secret("BACKUP_DATABASE_URL", "") or owner,
            owner_url=url or owner,
            restore_url=read.secret("RESTORE_DATABASE_URL", ""),
            to=to or read.text("BACKUP_TO", ""),
            keep_days=read.integer("BACKUP_KEEP_DAYS", 30, least=1, most=36_500),
            s3=S3(
                read.text("AWS_ENDPOINT_URL_S3", ""),
                read.text("AWS_REGION", ""),
                read.secret("AWS_ACCESS_KEY_ID", ""),
                read.secret("AWS_SECRET_ACCESS_KEY", ""),
            ),
            authority=read.text("DATABASE_CA_CERT", ""),
            programs={k: v for k, v in environ.items() if k in INHERITED or k.startswith("PG")} | {"LC_MESSAGES": "C"},
        )
        _complain(read)
        return settings

    def database(self) -> str:
        """Where the database is.

        Raises:
            CommandFailed: Nothing says where.
        """
        if not self.database_url:
            raise CommandFailed("missing: BACKUP_DATABASE_URL, MIGRATION_DATABASE_URL or DATABASE_URL", USAGE)
        return self.complete(self.database_url)

    def owner(self) -> str:
        """Where the database is, for its owner.

        Raises:
            CommandFailed: Nothing says where.
        """
        if not self.owner_url:
            raise CommandFailed("missing: MIGRATION_DATABASE_URL or DATABASE_URL", USAGE)
        return self.complete(self.owner_url)

    def restore_into(self) -> str:
        """Where a restore goes: never by default into what is backed up.

        Raises:
            CommandFailed: Nothing says where.
        """
        if not self.restore_url:
            raise CommandFailed("missing: --into or RESTORE_DATABASE_URL", USAGE)
        return self.complete(self.restore_url)

    def complete(self, url: str) -> str:
        """A database's address with DATABASE_CA_CERT, as the services complete theirs."""
        hide(url)  # it may have come as an option
        if not self.authority:
            return url
        from context_common.postgres.address import completion  # a driver that archiving WAL does without

        read = Env({"DATABASE_CA_CERT": self.authority})
        completed = completion(read)(url)
        _complain(read)
        return completed


def _complain(read: Env) -> None:
    try:
        read.complain()
    except SettingsError as error:
        raise CommandFailed(str(error), USAGE) from error
