"""Scenarios of people at tills and with the app, for Locust (`make load`)."""
