"""Rewrites schemas, before the grammar library sees them, into equivalent ones that it can enforce."""
