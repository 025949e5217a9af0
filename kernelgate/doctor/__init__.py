"""Whether this machine is fit to judge."""
