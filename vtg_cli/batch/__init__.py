"""Batches: many jobs at once, the workers that make them, and the record of what was made."""
