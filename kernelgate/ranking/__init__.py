"""Which of many right kernels is the fastest: one race, by successive elimination."""
