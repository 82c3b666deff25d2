"""Starts the catalog's deployments: engine processes, vLLM as an engine, and other servers."""
