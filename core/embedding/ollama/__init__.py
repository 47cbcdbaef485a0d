"""Embeds through an Ollama server, over its own HTTP API."""
