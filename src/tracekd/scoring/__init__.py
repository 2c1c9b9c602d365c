"""Scores: each answer by its dataset's official metric, each trace step against its own gold."""
