"""Models on this machine: where they lie, what they are, which one is meant."""
