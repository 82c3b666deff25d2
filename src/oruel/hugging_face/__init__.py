"""Models in Hugging Face form: a folder with a tokenizer, its settings and a chat template. Weights are not read."""
