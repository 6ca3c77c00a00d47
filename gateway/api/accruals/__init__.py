"""Earning: purchases earn points, and are reversed."""
