"""Statistics of right and wrong: pure functions over counts and arrays."""
