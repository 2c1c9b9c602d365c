"""What stands in front of the answer: gold steps, their text, and the regimes that vary them."""
