"""Generations made elsewhere, scored like our own."""
