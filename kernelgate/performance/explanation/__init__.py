"""What explains a timing, and decides nothing: the GPU's counters, and what users will get of it."""
