"""Pure functions over records and arrays: everything the engine decides, nothing it touches."""
