"""Many jobs at once: what is to be made, who makes it, and what is remembered about it."""
