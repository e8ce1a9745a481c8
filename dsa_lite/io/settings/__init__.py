"""Settings in TOML files, in the environment and as text."""
