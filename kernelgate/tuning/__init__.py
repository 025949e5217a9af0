"""Command tune: the best configurations that final micro-tuning allows."""
