"""Pages of one file each, which need no network: a report, two clips beside each other, a poll."""
