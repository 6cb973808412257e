"""Backups in a bucket of an S3-compatible server."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from context_client.errors import CommandFailed
from context_ops.settings import S3
from context_ops.storage import AWAY, CHUNK, Exists, Missing

CONFIG = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60)
UNKNOWN_CONDITION = ("NotImplemented", "InvalidArgument")  # servers without conditional writes


class Bucket:
    """`s3://bucket/prefix`."""

    def __init__(self, url: str, settings: S3) -> None:
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self.where = url.rstrip("/")
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.endpoint or None,
            region_name=settings.region or None,
            aws_access_key_id=settings.key_id or None,
            aws_secret_access_key=settings.secret or None,
            config=CONFIG,
        )

    def names(self, prefix: str = "") -> dict[str, int]:
        """All names with a prefix, and their sizes."""
        with self._failing(prefix or "the list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return {
                entry["Key"][len(self._prefix) :]: entry["Size"] for page in pages for entry in page.get("Contents", ())
            }

    def read(self, name: str) -> Iterator[bytes]:
        """The content, in pieces."""
        with self._failing(name):
            body = self._client.get_object(**self._at(name))["Body"]
            yield from body.iter_chunks(CHUNK)

    def put(self, path: Path, name: str) -> None:
        """Store a file of `staging()`, in parts where it is large."""
        with self._failing(name):
            if self._is_there(name):
                raise Exists(f"{name} is there already, and is not overwritten")
            self._client.upload_file(str(path), self._bucket, self._prefix + name)
        path.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Store some bytes, where the name is free."""
        with self._failing(name):
            try:
                self._client.put_object(**self._at(name), Body=content, IfNoneMatch="*")
            except ClientError as error:
                if error.response["Error"]["Code"] not in UNKNOWN_CONDITION:
                    raise
                if self._is_there(name):
                    raise Exists(f"{name} is there already, and is not overwritten") from None
                self._client.put_object(**self._at(name), Body=content)

    def delete(self, name: str) -> None:
        """Remove a file."""
        with self._failing(name):
            self._client.delete_object(**self._at(name))

    @contextmanager
    def at_hand(self, name: str) -> Iterator[Path]:
        """A copy where temporary files go (`TMPDIR`)."""
        with self.staging() as folder:
            path = folder / name.rpartition("/")[2]
            with path.open("wb") as file:
                file.writelines(self.read(name))
            yield path

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A directory where temporary files go (`TMPDIR`)."""
        with tempfile.TemporaryDirectory(prefix="context-backup-") as made:
            yield Path(made)

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}

    def _is_there(self, name: str) -> bool:
        return name in self.names(name)

    @contextmanager
    def _failing(self, name: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "404"):
                raise Missing(f"{self.where} has no {name}") from None
            if code in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise Exists(f"{name} is there already, and is not overwritten") from None
            raise CommandFailed(f"{self.where} refused {name}: {code}", AWAY) from error
        except (BotoCoreError, Boto3Error) as error:
            raise CommandFailed(f"{self.where} is not reachable for {name}: {error}", AWAY) from error
