"""Values and rules that need no server: commands, outcomes, identifiers, limits, clock."""
