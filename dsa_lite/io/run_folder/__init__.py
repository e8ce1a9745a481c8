"""A run's folder: what lies in it, its ledger, checkpoints and lock."""
