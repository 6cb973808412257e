"""Markers come from folders, so that no test can forget its own; fixtures come from support, a file per subject."""

import gc
from importlib.util import find_spec
from pathlib import Path

import pytest

KINDS = ("unit", "integration", "e2e", "quality", "deploy")
SUPPORT = ("tests.support.postgres", "tests.support.model", "tests.support.stack", "tests.support.guarded")

pytest_plugins = [name for name in SUPPORT if find_spec(name)]


def pytest_configure() -> None:
    """Collect no garbage while tests are found: a third of that time, for what all stays until the end."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From now on, but none of what is there already."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of the folder it stands in."""
    here = Path(__file__).parent
    for item in items:
        kind = item.path.relative_to(here).parts[0]
        if kind in KINDS:
            item.add_marker(kind)
