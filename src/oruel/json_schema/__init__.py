"""JSON Schemas as data: where subschemas lie, and what references point to."""
