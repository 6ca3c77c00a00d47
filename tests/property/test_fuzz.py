"""Every decoder that faces what others send gives a value or its own refusal, whatever the bytes.

The seed is in the failure; `python -m tests.run_fuzzers --count 1000000` is the long run (docs/explanation/testing.md).
"""

import math
import random

import pytest

from tests.support.fuzzing.fuzz_targets import decoders
from tests.support.fuzzing.fuzzing import Finding, Fuzzer, Refusal, Target

INPUTS = 2_000
DECODERS = decoders()


@pytest.mark.parametrize("decoder", DECODERS)
def test_mutated_input_is_taken_or_refused_and_nothing_else(decoder: str) -> None:
    seed = random.randrange(2**32)
    targets = DECODERS[decoder]
    for target in targets:
        fuzzer = Fuzzer(target, seed)
        fuzzer.run(max(len(target.corpus) + 10, math.ceil(INPUTS / len(targets))))
        assert fuzzer.taken, f"{target.name}, seed {seed}: not even the valid inputs are taken"
        assert fuzzer.refused, f"{target.name}, seed {seed}: nothing was refused"


def test_a_decoder_that_lets_another_exception_out_is_found_and_its_input_named() -> None:
    def careless(data: bytes) -> None:
        try:
            int(data.decode("ascii"))
        except UnicodeDecodeError:
            raise Refusal from None

    with pytest.raises(Finding, match=r"careless, seed 7, input \d+: ValueError"):
        Fuzzer(Target("careless", [b"12", b"-3"], careless), 7).run(INPUTS)


def test_one_seed_makes_the_same_inputs_again() -> None:
    def inputs_of(seed: int) -> list[bytes]:
        seen: list[bytes] = []
        Fuzzer(Target("any", [b'{"a": [1, "b"]}'], seen.append), seed).run(500)
        return seen

    assert inputs_of(3) == inputs_of(3)
    assert inputs_of(3) != inputs_of(4)
