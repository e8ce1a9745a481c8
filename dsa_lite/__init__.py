"""Teach a local language model a new skill, offline (Dynamic Skill Adaptation, arXiv 2412.19361)."""

__version__ = "0.1.0"
