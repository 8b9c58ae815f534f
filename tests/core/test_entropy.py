"""The sources of randomness and time."""

import time

from ostiary.core.clock import SystemClock
from ostiary.core.entropy import SystemRandom, identifier


def test_an_identifier_has_its_prefix_and_128_bits_from_the_given_source():
    class Counting:
        def token(self, size):
            assert size == 16
            return bytes(range(size))

    assert identifier("acc", Counting()) == "acc_aaaqeayeaudaocajbifqydiob4"


def test_identifiers_and_secrets_are_unique():
    random = SystemRandom()
    assert len({identifier("ses", random) for _ in range(1000)}) == 1000
    assert len({random.token(16) for _ in range(1000)}) == 1000
    assert len(random.token(32)) == 32


def test_the_clock_counts_microseconds():
    before = time.time_ns() // 1000
    now = SystemClock().now()
    assert before <= now <= time.time_ns() // 1000
