"""Calls of functions, whose arguments are valid under the whole schema."""
