"""The feature networks published scores are computed with; weights come from the user alone."""
