"""The long run of the fuzzers: `python -m tests.run_fuzzers --count 1000000 --seed 1`.

Each decoder that faces what others send gets so many mutated inputs; it gives a value or its own refusal, or the run
ends with status 1 and says which input did what. docs/explanation/testing.md says what the last run came to.
"""

# ruff: noqa: T201 - a program whose result is what it prints

import argparse
import math
import sys
import time

from tests.support.fuzzing.fuzz_targets import decoders
from tests.support.fuzzing.fuzzing import Finding, Fuzzer


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=1_000_000, help="inputs of each decoder")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", default="", help="decoders whose name holds this text")
    wanted = asked.parse_args()
    findings = 0
    for decoder, targets in decoders().items():
        if wanted.only not in decoder:
            continue
        began, taken, refused = time.monotonic(), 0, 0
        for target in targets:
            fuzzer = Fuzzer(target, wanted.seed)
            try:
                fuzzer.run(math.ceil(wanted.count / len(targets)))
            except Finding as finding:
                findings += 1
                print(finding)
            taken, refused = taken + fuzzer.taken, refused + fuzzer.refused
        print(
            f"{decoder:28} seed {wanted.seed}: {taken + refused} inputs, {taken} taken, {refused} refused, "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
