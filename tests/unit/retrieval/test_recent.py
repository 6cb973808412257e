"""What is kept for a while is bounded in time and number, whatever is asked."""

import random

from context_retrieval.recent import Recent


def test_nothing_is_kept_longer_than_it_may_or_lost_before_half_that() -> None:
    random_, now = random.Random(5), 0.0
    recent, written = Recent[str, int, float](10.0, 1_000_000), dict[tuple[str, int], float]()
    for _ in range(3_000):
        now += random_.choice([0.0, 0.01, 0.3, 1.0, 4.0]) * random_.random()
        scope, name = random_.choice("ab"), random_.randrange(50)
        held = recent.of(scope, now)
        for one in range(50):
            age = now - written.get((scope, one), -100.0)
            assert one not in held or (held[one] == written[scope, one] and age <= 10.0)
            assert one in held or age >= 5.0
        recent.keep(scope, {name: now}, now)
        written[scope, name] = now


def test_the_newest_are_kept_up_to_the_bound() -> None:
    recent = Recent[int, int, int](60.0, 100)
    for scope in range(50):
        recent.keep(scope, dict.fromkeys(range(7), scope), 1.0)
        assert len(recent) <= 100
        assert len(recent.of(scope, 1.0)) == 7
    assert len(recent.of(0, 1.0)) == 0
    assert len(recent) > 50
    recent.keep(99, dict.fromkeys(range(101), 0), 1.0)
    assert len(recent.of(99, 1.0)) == 0, "what is more than there is room for is not kept"
