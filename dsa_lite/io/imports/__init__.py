"""Exercises and held-out questions from files as the field keeps them: JSONL, JSON, CSV, Parquet, in usual layouts."""
