"""How often the gate and its peers err: a pool of recorded replicates, and decisions drawn from it."""
