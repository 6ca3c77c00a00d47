"""Members with the app open: codes that change, a look at the balance, the notice when a till has taken something."""

import json
import time
from collections import deque
from typing import Any, Final

import gevent
from gevent.event import Event
from geventhttpclient.response import HTTPParseError
from locust import FastHttpUser, between, task
from locust.contrib.fasthttp import FastHttpSession
from locust.exception import RescheduleTask

from loadtest.scenarios.tills import JSON, Till, points
from loadtest.scenarios.world import players
from loadtest.verdict import NOTICE

APP_PAUSE_SECONDS = (1.0, 4.0)  # twenty seconds in life; in a load test one member plays several
LISTENER_PAUSE_SECONDS = (1.0, 3.0)
OPEN_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 40.0  # the stream has a heartbeat every 15 s
HEARD_MAX: Final = 64
EVENT_END: Final = b"\n\n"


class MemberApp(FastHttpUser):
    """One telephone."""

    weight = 6
    wait_time = between(*APP_PAUSE_SECONDS)
    connection_timeout = 5.0
    network_timeout = 5.0

    def on_start(self) -> None:
        here = players()
        self.headers = {"Authorization": f"Bearer {here.access_token(here.member())}"}

    @task(6)
    def fresh_code(self) -> None:
        headers = {**self.headers, "Content-Type": JSON}
        self.client.post("/v1/me/codes", data=json.dumps({"count": 1}), headers=headers, name="codes")

    @task(1)
    def codes_for_a_car_park(self) -> None:
        headers = {**self.headers, "Content-Type": JSON}
        self.client.post("/v1/me/codes", data=json.dumps({"count": 5}), headers=headers, name="codes, five")

    @task(2)
    def look(self) -> None:
        self.client.get("/v1/me", headers=self.headers, name="me")

    @task(1)
    def benefits(self) -> None:
        self.client.get("/v1/me/benefits", headers=self.headers, name="me, benefits")


class Stream:
    """A member's open stream of events, read by a greenlet of its own. `over` names how it ended, once it has.

    It remembers the last `HEARD_MAX` notices: (redemption id, points taken, moment it was heard by time.perf_counter).
    """

    def __init__(self, answer: Any) -> None:
        self.ready = Event()
        self.over = ""
        self._answer = answer
        self._heard: deque[tuple[str, int, float]] = deque(maxlen=HEARD_MAX)
        self._news = Event()
        self._reading = gevent.spawn(self._read)

    def close(self) -> None:
        """End the stream; the server notices it."""
        self._reading.kill()

    def heard(self, redemption_id: str, until: float) -> tuple[int, float] | None:
        """Return the points and the moment of the notice of a redemption; None where it has not come yet."""
        while True:
            self._news.clear()
            for subject, taken, moment in self._heard:
                if subject == redemption_id:
                    return taken, moment
            left = until - time.perf_counter()
            if left <= 0 or self.over:
                return None
            self._news.wait(left)

    def _read(self) -> None:
        try:
            while event := self._answer.readline(EVENT_END):
                self._take(event)
            self.over = "the server ended it"
        except (OSError, HTTPParseError, LookupError, ValueError) as fault:  # the stream was cut, silent or malformed
            self.over = f"{type(fault).__name__}: {fault}"
        finally:
            self._answer.release()
            self._news.set()

    def _take(self, event: bytes) -> None:
        fields = dict(line.partition(b": ")[::2] for line in event.splitlines())
        kind = fields.get(b"event")
        if kind == b"ready":
            self.ready.set()
        elif kind == b"notice":
            notice = json.loads(fields[b"data"])
            taken = -sum(change["available"] for change in notice["changes"] if change["kind"] == "points")
            self._heard.append((notice["subject_id"], taken, time.perf_counter()))
            self._news.set()


class ListeningMember(Till):
    """A member at a till, telephone in hand: a code from the app, the scan, and the notice of it on the screen in time.

    Each has one stream, of a member of its own; they are about a tenth of the users, so about a tenth of `USERS_MAX`
    (loadtest/__main__.py) at most. A notice that does not come within `World.notice_seconds` or names other points,
    and a stream that ends by itself, are errors of the load test.
    """

    weight = 3
    wait_time = between(*LISTENER_PAUSE_SECONDS)

    def on_start(self) -> None:
        super().on_start()
        here = players()
        self.headers = {"Authorization": f"Bearer {here.access_token(here.listening_member())}"}
        self.listening = FastHttpSession(
            self.host,
            self.environment.events.request,
            self,
            connection_timeout=OPEN_SECONDS,
            network_timeout=SILENCE_SECONDS,
        )
        self.stream: Stream | None = None

    def on_stop(self) -> None:
        if self.stream is not None:
            self.stream.close()

    @task
    def pay_and_look_at_the_phone(self) -> None:
        here, stream = players(), self.open_stream()
        headers = {**self.headers, "Content-Type": JSON}
        answer = self.client.post("/v1/me/codes", data=json.dumps({"count": 1}), headers=headers, name="codes")
        if answer.status_code != 200:
            return
        asked, legs = time.perf_counter(), points()
        code = json.loads(answer.content or b"{}")["codes"][0]["code"]
        status, taken, _ = self.scan(legs, "verify: member who listens", code=code, bill=here.bill())
        if status != 201:
            return
        found = stream.heard(taken["redemption_id"], asked + here.world.notice_seconds)
        fault = None
        if found is None:
            fault = f"none within {here.world.notice_seconds:g} s of a scan"
        elif found[0] != legs[0]["points"]:
            fault = f"it tells of {found[0]} points, {legs[0]['points']} were taken"
        self.environment.events.request.fire(
            request_type="SSE",
            name=NOTICE,
            response_time=((found[1] if found else time.perf_counter()) - asked) * 1_000,
            response_length=0,
            exception=AssertionError(fault) if fault else None,
            context={},
        )

    def open_stream(self) -> Stream:
        """Return the open stream, or a new one once it is ready."""
        if self.stream is not None:
            if not self.stream.over:
                return self.stream
            self.wrong("a stream of events stays open", self.stream.over)
            self.stream = None
        answer = self.listening.get("/v1/me/events", headers=self.headers, stream=True, name="events, opened")
        if answer.status_code != 200:
            raise RescheduleTask
        self.stream = Stream(answer.stream)
        if not self.stream.ready.wait(OPEN_SECONDS):
            self.stream.close()
            self.stream.over = f"not ready after {OPEN_SECONDS:g} s"
            raise RescheduleTask
        return self.stream
