"""Stage performance: whether the candidate is really faster."""
