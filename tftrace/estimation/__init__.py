"""The time of a network on this machine, without running it."""
