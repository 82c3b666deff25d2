"""A chat completions endpoint that honours every inference parameter exactly, or refuses it by name."""

__version__ = "0.1.0"
