"""Trains the bundled demo model: corpus, tokenizer, network, export and checks. `oruel` doesn't need it at run time."""
