"""Traces written by a larger model: requests, kept replies, what they contain, which are taught."""
