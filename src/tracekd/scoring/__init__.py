"""Scores: each answer by its data set's official metric, each trace step against its own gold."""
