"""Who computed the answer: operations, launches, graphs and events of the process."""
