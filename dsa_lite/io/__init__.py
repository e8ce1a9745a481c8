"""Everything that touches the outside: run folders, skill and config files, plugins, answer checking, exports."""
