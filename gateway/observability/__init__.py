"""Metrics, logs, alarms, counters and the statistics that workers share."""
