"""Constraints on the next token: masks from llguidance, and completion of documents before the budget ends."""
