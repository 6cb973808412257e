"""What schemas cannot say of a rendered chart: each rule is a function that answers what breaks it."""

from collections.abc import Callable, Iterator

from tests.support.helm.chart import Rendering
from tests.support.helm.rules import hooks, network, pods, scaling, settings, things

Rule = Callable[[Rendering], Iterator[str]]
RULES: tuple[Rule, ...] = (
    *things.RULES,
    *pods.RULES,
    *settings.RULES,
    *scaling.RULES,
    *network.RULES,
    *hooks.RULES,
)


def broken(chart: Rendering) -> list[str]:
    """What breaks any of the rules."""
    return [f"{rule.__name__}: {why}" for rule in RULES for why in rule(chart)]
