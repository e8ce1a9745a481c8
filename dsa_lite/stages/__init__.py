"""The stages of a run, one file each, and the two loops they share."""
