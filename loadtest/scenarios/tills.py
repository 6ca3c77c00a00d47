"""People at tills: shops, a hotel's desk, a till on a bad line, a scanner that reads twice, a park's gate."""

import json
from typing import Any

import gevent
from locust import FastHttpUser, between, task

from loadtest.scenarios.world import players

JSON = "application/json"
WEDGE_PAUSE_SECONDS = (0.4, 1.2)
CAMERA_PAUSE_SECONDS = (1.0, 3.0)
DESK_PAUSE_SECONDS = (1.0, 4.0)
NOISY_PAUSE_SECONDS = (0.5, 2.0)
GATE_PAUSE_SECONDS = (2.0, 5.0)
GATE_BURST = 15


class Till(FastHttpUser):
    """A till: one terminal, its key, and its calls. Nothing is repeated unless a scenario does."""

    abstract = True
    connection_timeout = 5.0
    network_timeout = 5.0

    def on_start(self) -> None:
        self.terminal = players().terminal()

    def post(
        self, path: str, body: dict[str, Any], key: str, name: str, accepted: tuple[int, ...]
    ) -> tuple[int, dict[str, Any], bytes]:
        """Send a call; a status that is not `accepted` is an error of the load test."""
        headers = {
            "Authorization": f"Bearer {self.terminal.api_key}",
            "Content-Type": JSON,
            "Idempotency-Key": key,
        }
        with self.client.post(path, data=json.dumps(body), headers=headers, name=name, catch_response=True) as answer:
            content = answer.content or b"{}"
            if answer.status_code in accepted:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} {content[:200]!r}")
            return answer.status_code, json.loads(content) if answer.status_code else {}, content

    def scan(
        self,
        legs: list[dict[str, Any]],
        name: str,
        *,
        code: str | None = None,
        key: str | None = None,
        bill: dict[str, Any] | None = None,
        accepted: tuple[int, ...] = (201,),
        **more: Any,
    ) -> tuple[int, dict[str, Any], bytes]:
        """Scan once, somebody's fresh code unless one is given; acknowledged scans are noted for the audit."""
        here = players()
        key = key or here.key()
        body: dict[str, Any] = {"code": code or here.code(here.member()), "legs": legs, **more}
        if bill:
            body["bill"] = bill
        status, answer, content = self.post("/v1/verify", body, key, name, accepted)
        if status == 201:
            here.acknowledge(key, answer["redemption_id"])
        return status, answer, content

    def wrong(self, what: str, detail: str) -> None:
        """Report a failed check as an error of the load test."""
        self.environment.events.request.fire(
            request_type="CHECK",
            name=what,
            response_time=0,
            response_length=0,
            exception=AssertionError(detail),
            context={},
        )


def points(most: int = 500) -> list[dict[str, Any]]:
    """Return a leg of some points."""
    return [{"kind": "points", "points": players().chance.randint(1, most)}]


class ShopWithWedge(Till):
    """A cashier with a hand scanner: quick."""

    weight = 8
    wait_time = between(*WEDGE_PAUSE_SECONDS)

    @task(5)
    def pay_with_points(self) -> None:
        self.scan(points(), "verify: shop, points", bill=players().bill())

    @task(2)
    def pay_with_a_benefit(self) -> None:
        self.scan(
            [{"kind": "benefit", "benefit_id": "load-percent"}, *points(100)],
            "verify: shop, benefit and points",
            bill=players().bill(),
        )

    @task(1)
    def ask_first(self) -> None:
        here = players()
        code, bill = here.code(here.member()), here.bill()
        status, answer, _ = self.post("/v1/prepare", {"code": code, "bill": bill}, here.key(), "prepare", (200,))
        if status == 200:
            self.scan(answer["best"]["legs"], "verify: shop, best basket", code=code, bill=bill)


class ShopWithCamera(ShopWithWedge):
    """A cashier with a telephone's camera: slower."""

    weight = 4
    wait_time = between(*CAMERA_PAUSE_SECONDS)


class HotelDesk(Till):
    """Check-in holds, check-out captures; some leave early, some complain later."""

    weight = 3
    wait_time = between(*DESK_PAUSE_SECONDS)

    @task
    def stay(self) -> None:
        status, held, _ = self.scan(points(), "verify: hotel, hold", capture=False, hold_seconds=600)
        if status != 201:
            return
        path, chance, here = f"/v1/redemptions/{held['redemption_id']}", players().chance.random(), players()
        gevent.sleep(here.chance.uniform(0.2, 1.0))
        if chance < 0.2:
            self.post(f"{path}/void", {}, here.key(), "void", (200,))
            return
        self.post(f"{path}/capture", {}, here.key(), "capture", (200,))
        if chance > 0.9:
            self.post(f"{path}/refund", {}, here.key(), "refund", (200,))


class NoisyTill(Till):
    """A bad line: the till sends again with the same key, and has to get the same bytes."""

    weight = 2
    wait_time = between(*NOISY_PAUSE_SECONDS)

    @task
    def scan_and_repeat(self) -> None:
        here = players()
        key, code, bill, legs = here.key(), here.code(here.member()), here.bill(), points()
        first = self.scan(legs, "verify: noisy till", key=key, code=code, bill=bill)
        for _ in range(here.chance.randint(1, 3)):
            again = self.scan(legs, "verify: noisy till, repeat", key=key, code=code, bill=bill)
            if again != first:
                self.wrong("the same key gives the same bytes", f"{first[0]} then {again[0]}")


class DoubleScanner(Till):
    """A scanner that reads one code twice, each time as a scan of its own: one of them is refused."""

    weight = 1
    wait_time = between(*NOISY_PAUSE_SECONDS)

    @task
    def scan_twice(self) -> None:
        here = players()
        code = here.code(here.member())

        def once() -> int:
            return self.scan(points(), "verify: double scan", code=code, accepted=(201, 409))[0]

        both = [gevent.spawn(once) for _ in range(2)]
        gevent.joinall(both)
        taken = [each.value for each in both]
        if sorted(taken) != [201, 409]:
            self.wrong("a code works once", f"answers {taken}")


class ParkGate(Till):
    """A coach arrives: a row of people through one gate without a pause, then nobody."""

    weight = 2
    wait_time = between(*GATE_PAUSE_SECONDS)

    @task
    def coach(self) -> None:
        for _ in range(GATE_BURST):
            self.scan([], "verify: gate, identity")
