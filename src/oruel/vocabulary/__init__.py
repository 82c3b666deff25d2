"""What a model's vocabulary offers, whatever file it comes from, and what all vocabularies share."""
