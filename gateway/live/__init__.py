"""Live pages: a member's notices and the operations page, as streams of one worker."""
