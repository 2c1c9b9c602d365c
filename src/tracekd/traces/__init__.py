"""The trace before the answer: gold steps, their text, and the regimes that vary them."""
