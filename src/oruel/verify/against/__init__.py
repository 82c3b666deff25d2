"""Whether two endpoints serve the same model with the same settings."""
