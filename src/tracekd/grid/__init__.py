"""Many experiments at once: a grid of cells, run by a launcher, collected as DVC experiments."""
