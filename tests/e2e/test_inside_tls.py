"""The whole stack with certificates: it works as without, changes them under way, and hears nobody who has none."""

import asyncio
from pathlib import Path

import grpc

from tests.support import loopback
from tests.support.certificates import Authority, Folder
from tests.support.matrix import ask, bearer, targets
from tests.support.stack import Stack, run_stack
from tests.support.trust import admin


def record(stack: Stack, title: str) -> str:
    """Record a decision and find it; answers its id."""
    answer = loopback.post(f"{stack.url}/api/adr", json={"title": title, "decision": f"We chose {title}."}, timeout=30)
    assert answer.status_code == 201, answer.text
    recorded: str = answer.json()["id"]
    assert recorded in search(stack, title)
    return recorded


def search(stack: Stack, query: str) -> list[str]:
    """The ids of what is found."""
    answer = loopback.post(f"{stack.url}/api/search", json={"query": query, "top_k": 5}, timeout=30)
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["results"]]


async def refusal(stack: Stack, process: str) -> grpc.StatusCode:
    """What a caller with a good token and no certificate meets."""
    target = targets(process, stack.service_secret)[0]
    with grpc.insecure_channel(stack.addr(process)) as channel:
        return await ask(channel, target, bearer(target.token(admin())))


def test_certificates_keep_strangers_out_and_can_be_changed_while_it_runs(model_dir: Path, tmp_path: Path) -> None:
    ours, folder = Authority("ours"), Folder(tmp_path)
    folder.write(ours.issue("first"), ours)
    with run_stack(MODEL_DIR=str(model_dir), **folder.environ) as stack:
        old = record(stack, "mutual trust")
        for process in ("knowledge", "embedding", "retrieval"):
            assert asyncio.run(refusal(stack, process)) is grpc.StatusCode.UNAVAILABLE
        folder.write(ours.issue("second"), ours)
        # What changes them is a call; there are as many as it takes, so none of them records one more of the same.
        stack.wait_until(lambda: old in search(stack, "mutual trust") and "certificates_loaded" in stack.log("gateway"))
        record(stack, "new papers")
        for process in ("knowledge", "embedding", "retrieval"):
            stack.end(process)
            stack.start(process)
        stack.wait_ready()
        record(stack, "papers of the second issue")
