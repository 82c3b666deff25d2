"""Oru'el's sampling and constraints inside vLLM."""

__version__ = "0.1.0"
