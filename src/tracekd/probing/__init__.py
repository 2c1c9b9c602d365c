"""Probes: other traces in place of the student's own, and what becomes of the answer.

After T. Lanham et al., Measuring Faithfulness in Chain-of-Thought Reasoning (2023, arXiv
2307.13702): early answering, added mistakes, filler tokens. `plans` chooses the traces,
`engine` computes the answers given them, `asking` joins the two for one experiment.
"""
