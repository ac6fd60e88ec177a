"""The study: every step of the published example computed again, and a report of it."""
