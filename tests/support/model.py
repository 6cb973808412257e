"""The real model and the real embedding service, for tests."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from context_embedding import files
from context_local.health import LOOPBACK, free_ports
from tests.support.trust import SECRET

SERVICE = "context.v1.EmbeddingService"
STARTS_WITHIN = 30.0  # seconds


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The directory with the model's files; exported first where the cache has none."""
    subprocess.run([sys.executable, "-m", "context_embedding.export"], check=True)
    return files.default_directory(os.environ)


@pytest.fixture(scope="session")
def embedding_addr(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of an embedding service with the int8 model."""
    with embedding_service(tmp_path_factory.mktemp("embedding"), {"MODEL_DIR": str(model_dir)}) as addr:
        yield addr


@contextmanager
def embedding_service(directory: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """An embedding service of one's own, with these settings; its log lies in `directory`."""
    addr = f"{LOOPBACK}:{free_ports(1)[0]}"
    log = directory / "embedding.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "context_embedding"],
            env={**os.environ, "SERVICE_SECRET": SECRET, **environ, "LISTEN": addr},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_serving(addr, process, log)
        yield addr
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_serving(addr: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while not _serves(addr):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the embedding service did not start: {log.read_text()}")
        time.sleep(0.05)


def _serves(addr: str) -> bool:
    with grpc.insecure_channel(addr) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=2)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
