"""The faults that drills inject, a file for each kind."""
