"""The rules of each instrument: pure functions of definitions, bill and leg. No server, no clock."""
