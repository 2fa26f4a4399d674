"""Source with derivatives beside it."""
