"""Members with the app open: codes that change, a look at the balance."""

import json

from locust import FastHttpUser, between, task

from loadtest.scenarios.world import players

APP_PAUSE_SECONDS = (1.0, 4.0)  # twenty seconds in life; a load test has a member stand for several


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
        headers = {**self.headers, "Content-Type": "application/json"}
        self.client.post("/v1/me/codes", data=json.dumps({"count": 1}), headers=headers, name="codes")

    @task(1)
    def codes_for_a_car_park(self) -> None:
        headers = {**self.headers, "Content-Type": "application/json"}
        self.client.post("/v1/me/codes", data=json.dumps({"count": 5}), headers=headers, name="codes, five")

    @task(2)
    def look(self) -> None:
        self.client.get("/v1/me", headers=self.headers, name="me")

    @task(1)
    def benefits(self) -> None:
        self.client.get("/v1/me/benefits", headers=self.headers, name="me, benefits")
