"""Markers come from folders, so that no test can forget its own; fixtures come from support, a file per subject."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

# Tests serve and call gRPC in the process that starts others. Its handlers for forks, read when it is imported, bring
# its poller up in the child, which then closes the poller's descriptors before it runs its program: one in fifty died.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

KINDS = ("unit", "integration", "e2e", "quality", "deploy")
SUPPORT = ("tests.support.postgres", "tests.support.model", "tests.support.stack", "tests.support.guarded")

pytest_plugins = [name for name in SUPPORT if find_spec(name)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of the folder it stands in."""
    here = Path(__file__).parent
    for item in items:
        kind = item.path.relative_to(here).parts[0]
        if kind in KINDS:
            item.add_marker(kind)
