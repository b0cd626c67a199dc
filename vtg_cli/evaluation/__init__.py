"""Evaluation: distances between sets of clips, scores of single clips, the networks they need."""
