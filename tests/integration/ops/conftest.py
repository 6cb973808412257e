"""A database that has been used, and places for its backups."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
from moto.server import ThreadedMotoServer

from context_ops.settings import S3, Settings
from tests.support import loopback
from tests.support.backups import Make
from tests.support.postgres import scratch_database
from tests.support.stack import run_stack

RECORDS = Path(__file__).parents[2] / "quality" / "records.ndjson"
BULK = {"content-type": "application/x-ndjson", "prefer": "wait=60", "x-context-namespace": "records"}

FEEDBACK = """
WITH given AS (
    INSERT INTO knowledge.feedback (namespace, id, principal, query_text, overall_rating, items_helpful,
        items_not_helpful, items_used, missing_context, agent_id, session_id, metadata)
    VALUES ('records', gen_random_uuid(), 'ada', 'why', 4, '{ADR-0014}', '{}', '{}', '', '', '', '{"turn": 1.50}')
    RETURNING namespace, id, principal)
INSERT INTO knowledge.feedback_votes (namespace, item_id, feedback_id, principal, day, helpful)
SELECT namespace, 'ADR-0014', id, principal, current_date, true FROM given"""


@pytest.fixture(scope="session")
def used(postgres_url: str, model_dir: Path) -> Iterator[str]:
    """The name of a database in which the real services recorded and indexed some items."""
    with scratch_database(postgres_url) as url:
        with run_stack(url, MODEL_DIR=str(model_dir)) as stack:
            answer = loopback.post(f"{stack.url}/api/bulk", content=RECORDS.read_bytes(), headers=BULK, timeout=120)
            assert all(json.loads(line)["indexed"] for line in answer.text.splitlines()), answer.text
        with psycopg.connect(url) as owner:
            owner.execute(FEEDBACK)
        yield urlsplit(url).path.lstrip("/")


@pytest.fixture
def database(postgres_url: str, used: str) -> Iterator[str]:
    """A copy of it, this test's own."""
    with scratch_database(postgres_url, used) as url:
        yield url


@pytest.fixture
def make_settings(tmp_path: Path) -> Make:
    """Settings that back up to a directory of this test's own."""

    def make(url: str = "", **more: str) -> Settings:
        (tmp_path / "backups").mkdir(exist_ok=True)
        environ = {
            "PATH": os.environ["PATH"],
            "BACKUP_TO": str(tmp_path / "backups"),
            "BACKUP_DATABASE_URL": url,
            **more,
        }
        return Settings.from_env(environ)

    return make


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3-compatible server with the bucket `backups`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = S3(f"http://{host}:{port}", "us-east-1", "test", "test")
    client = boto3.client(
        "s3",
        endpoint_url=found.endpoint,
        region_name=found.region,
        aws_access_key_id=found.key_id,
        aws_secret_access_key=found.secret,
    )
    client.create_bucket(Bucket="backups")
    yield found
    server.stop()
