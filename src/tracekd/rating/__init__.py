"""A study of how people rate traces: the plan, the page, and what came back."""
