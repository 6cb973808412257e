"""Every set of values renders to objects that Kubernetes takes, old and new, and that keep every rule."""

import pytest

from tests.support.helm import schemas
from tests.support.helm.chart import rendered, set_names
from tests.support.helm.rules import broken

EVERY_SET = pytest.mark.parametrize("name", set_names())
INSTALL_AND_UPGRADE = pytest.mark.parametrize("upgrade", [False, True], ids=["install", "upgrade"])


@EVERY_SET
@INSTALL_AND_UPGRADE
def test_kubernetes_takes_every_object(name: str, upgrade: bool) -> None:
    assert not schemas.refused(rendered(name, upgrade=upgrade).objects)


@EVERY_SET
@INSTALL_AND_UPGRADE
def test_every_rule_is_kept(name: str, upgrade: bool) -> None:
    assert not broken(rendered(name, upgrade=upgrade))


def test_kinds_of_operators_are_checked_by_schemas_of_ours() -> None:
    every = {f"{found['apiVersion']} {found.kind}" for name in set_names() for found in rendered(name).objects}
    print("not Kubernetes' own, checked by schemas of ours:", *sorted(every & schemas.custom().keys()), sep="\n  ")
    assert schemas.custom().keys() <= every


def test_there_is_a_set_for_whatever_can_be_turned_on() -> None:
    assert len(set_names()) >= 12
