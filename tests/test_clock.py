"""Time, and the ids that sort by it."""

from __future__ import annotations

from datetime import UTC, timedelta
from random import Random
from uuid import RFC_4122

from oneshelf.clock import SystemClock, uuid7


def test_an_id_has_the_version_and_the_variant_whatever_chance_says() -> None:
    for randomness in (bytes(10), b"\xff" * 10, bytes(range(10))):
        made = uuid7(unix_ms=1_700_000_000_000, randomness=randomness)
        assert made.version == 7
        assert made.variant == RFC_4122


def test_an_id_keeps_its_millisecond_and_all_other_bits_of_chance() -> None:
    # The example of RFC 9562, appendix A.6.
    made = uuid7(unix_ms=0x017F22E279B0, randomness=bytes.fromhex("0cc318c4dc0c0c07398f"))
    assert str(made) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert uuid7(unix_ms=0, randomness=b"\xff" * 10).int == 0x7FFF_BFFF_FFFF_FFFF_FFFF
    assert uuid7(unix_ms=(1 << 48) - 1, randomness=bytes(10)).int >> 80 == (1 << 48) - 1


def test_ids_sort_by_the_millisecond_in_which_they_were_made() -> None:
    seed = 11
    print(f"seed {seed}")
    random = Random(seed)
    instants = sorted(random.sample(range(1 << 48), 500))
    made = [uuid7(unix_ms=at, randomness=random.randbytes(10)) for at in instants]
    assert sorted(made) == made
    assert sorted(str(each) for each in made) == [str(each) for each in made]


def test_the_clock_of_this_machine_is_aware_and_its_ids_are_of_now() -> None:
    clock = SystemClock()
    before = clock.now()
    made = [clock.new_id() for _ in range(100)]
    after = clock.now()
    assert before.tzinfo is UTC
    assert len(set(made)) == 100
    first_ms, last_ms = made[0].int >> 80, made[-1].int >> 80
    assert (before - timedelta(milliseconds=1)).timestamp() * 1000 <= first_ms <= last_ms <= after.timestamp() * 1000
    assert clock.monotonic() <= clock.monotonic()
