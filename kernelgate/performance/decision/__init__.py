"""What the figures of a timing come to: statistics and the rule that says KEEP, no process and no GPU."""
