"""Training: rendered clips, one resumable loop, losses from the same levels as sampling."""
