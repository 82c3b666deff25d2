"""Completions of a partial JSON document that satisfy its whole schema. Pure: no tokens."""
