"""Across experiments: what this repository has run, side by side and question by question."""
