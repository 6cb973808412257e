"""Names of installations: long ones fit, and two of them in one namespace have nothing in common."""

from collections.abc import Iterator

import helm_python
import pytest

from tests.support.helm.chart import Rendering, load_set, render
from tests.support.helm.objects import matches, pods_of
from tests.support.helm.rules import broken
from tests.support.helm.rules.things import references

LONGEST = 53  # characters that Helm lets a release's name have
LONG = ("a" * (LONGEST - 2) + "-1", "a" * (LONGEST - 2) + "-2")  # alike until their end
PAIRS = (("blue", "green"), ("context", "context-2"), ("context", "x-context"), LONG)
FULL = ("read-replicas.yaml", "tls-cert-manager.yaml", "own-skills.yaml", "watched.yaml", "cloudnative-pg.yaml")


def selectors(chart: Rendering) -> Iterator[tuple[str, dict[str, object]]]:
    """Every selector of the chart's objects for pods of their own."""
    for found in chart.of("Deployment", "PodDisruptionBudget", "ServiceMonitor", "PodMonitor"):
        yield found.title, found.spec["selector"]
    for found in chart.of("NetworkPolicy"):
        yield found.title, found.spec["podSelector"]
    for found in chart.of("Service"):
        yield found.title, {"matchLabels": found.spec["selector"]}


@pytest.mark.parametrize("name", FULL)
def test_the_longest_name_of_a_release_fits(name: str) -> None:
    helm_python.validate_release_name(LONG[0])
    assert not broken(render(load_set(name), release=LONG[0]))


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("name", FULL)
def test_two_releases_in_one_namespace_have_nothing_in_common(name: str, first: str, second: str) -> None:
    one, other = (render(load_set(name), release=release) for release in (first, second))
    assert not {found.title for found in one.objects} & {found.title for found in other.objects}
    for title, selector in selectors(one):
        taken = [pod.owner.title for pod in pods_of(other.objects) if matches(selector, pod.labels)]
        assert not taken, f"{title} of {first} selects pods of {second}"
    made = {(found.kind, found.name) for found in other.objects}
    assert not [(found.title, each) for found in one.objects for each in references(found) if each in made]


def test_names_can_be_given() -> None:
    chart = render({"fullnameOverride": "memory", "nameOverride": "engine"})
    assert not broken(chart)
    assert {found.name.partition("-")[0] for found in chart.objects} == {"memory"}
