"""What docs/operations.md has run on a database before the chart is installed."""

import re

import psycopg

from tests.support.helm.chart import ROOT

DATABASE = "context_engineering"
NOT_EMBEDDED = "CREATE EXTENSION pg_stat_statements"  # the embedded server does not have it


def statements() -> tuple[list[str], list[str]]:
    """Those for the server, and those for the database that they make; but for what the embedded server has not."""
    document = (ROOT / "docs" / "operations.md").read_text()
    block = re.search(r"### Install by Helm\n.*?```sql\n( *CREATE ROLE context_owner .*?)```", document, re.DOTALL)
    assert block
    text = re.sub(r"--.*", "", block[1]).replace("…", "a password")
    of_server, of_database = (
        [each.strip() for each in part.split(";") if each.strip()] for part in text.split(f"\\c {DATABASE}")
    )
    of_database.remove(NOT_EMBEDDED)
    return of_server, of_database


def execute(url: str, *each: str) -> None:
    """Each statement for itself, as an operator does."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in each:
            connection.execute(statement.encode())
