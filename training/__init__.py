"""Makes the bundled demo model: text, tokenizer, network, export and checks. Not a run-time dependency."""
