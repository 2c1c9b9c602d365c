"""Prompts -> predictions."""
