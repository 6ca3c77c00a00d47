"""`tong demo`: a tour of the whole engine on real input, against the stack that runs on this TONG_HOME.

Guarantees: nothing is taken for granted; each step compares what came with what must come, over HTTP and in the ledger
(gateway/development/demo/tour.py), and the first difference ends the run with the step's name and status 1. It can be
run any number of times: it gives back what it takes, under keys never used before. A new step is a function in
scan.py or life.py and a line in `STEPS`.
"""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from pydantic import SecretStr

from gateway.administration.running_stack import read_running
from gateway.development.demo import life, scan
from gateway.development.demo.environment import demo_environment, export_lines
from gateway.development.demo.tour import StepDiffered, Tour
from gateway.settings import Settings

STEPS: Final[tuple[tuple[str, Callable[[Tour], Awaitable[list[str]]]], ...]] = (
    ("The stack is ready", scan.is_ready),
    ("A member of the demo group", scan.finds_a_member),
    ("The app fetches codes", scan.fetches_codes),
    ("They are drawn as pictures", scan.draws_them),
    ("The picture files are scanned", scan.scans_the_pictures),
    ("The hotel's till takes the QR code", scan.pays_by_qr),
    ("The till repeats it, same key", scan.repeats_it),
    ("The same code under another key", scan.tries_the_code_again),
    ("The till takes the Code 128 digits", scan.pays_by_digits),
    ("The till looks both up", scan.looks_it_up),
    ("The ledger", scan.reads_the_ledger),
    ("The restaurant asks what may be used", life.prepares_dinner),
    ("Dinner: benefit, points, stored value", life.dines),
    ("A part of it is given back", life.refunds_a_part),
    ("Then the rest", life.refunds_the_rest),
    ("The hotel holds points for a stay", life.holds_for_a_stay),
    ("An extra charge on the same stay", life.charges_an_extra),
    ("A part of the hold is captured", life.captures_a_part),
    ("An answer is lost; the same key again", life.loses_an_answer),
    ("The till cancels it", life.cancels_it),
    ("A cancel before anything arrived", life.cancels_before_it_arrives),
    ("The late original", life.sends_it_late),
    ("A purchase at the mall earns points", life.earns_at_the_mall),
    ("It is reversed", life.reverses_it),
    ("Everything is given back", life.gives_everything_back),
)


async def demo(settings: Settings) -> int:
    """Run the steps. Returns the exit status: 0 where all had the expected result."""
    tour = Tour(read_running(settings.home), settings.home / "demo")
    for number, (title, step) in enumerate(STEPS, 1):
        try:
            line, *details = await step(tour)
        except StepDiffered as difference:
            _say(f"{number:2}. {title}: FAILED. {difference}", bad=True)
            return 1
        except ImportError as missing:
            _say(f"{number:2}. {title}: FAILED. {missing}; `pip install tong[development]` brings it", bad=True)
            return 1
        except Exception as fault:  # every fault of a step is printed with its name
            _say(f"{number:2}. {title}: FAILED. {fault!r}", bad=True)
            return 1
        _say(f"{number:2}. {title}: {line}")
        for detail in details:
            _say(f"      {detail}")
    _say("Every step had the expected result; every step that moved value is in the ledger, in balance.")
    return 0


async def codes(settings: Settings, refusal: str | None, *, as_json: bool) -> int:
    """Print how to get each refusal, or one (refusal_codes.py). Returns the exit status."""
    from gateway.development.demo.refusal_codes import NoSuchRefusal, refusal_lines  # noqa: PLC0415 - not for the tour

    content = read_running(settings.home)
    of_the_stack = {
        "valkey_url": SecretStr(content["valkey_url"]),
        "postgres_dsn": SecretStr(content["postgres_dsn"]),
    }
    try:
        lines = await refusal_lines(settings.model_copy(update=of_the_stack), refusal, as_json=as_json)
    except NoSuchRefusal as fault:
        _say(f"tong: {fault}", bad=True)
        return 1
    _say("\n".join(lines))
    return 0


async def environment(settings: Settings, business: str, member_id: str | None, *, as_json: bool) -> int:
    """Print the variables that the samples of the documentation use. Returns the exit status."""
    variables = demo_environment(read_running(settings.home), business=business, member_id=member_id)
    _say(json.dumps(variables, indent=2) if as_json else "\n".join(export_lines(variables)))
    return 0


def pages(settings: Settings) -> int:
    """Print the address of the pages, with the token that lets them offer the demo's identities."""
    _say(read_running(settings.home)["pages_url"])
    return 0


def _say(text: str, *, bad: bool = False) -> None:
    print(text, file=sys.stderr if bad else sys.stdout, flush=True)
