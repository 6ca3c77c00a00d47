"""What people do at tills and with the app, for Locust (`make load`)."""
