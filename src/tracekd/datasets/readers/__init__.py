"""One module per upstream format; `reader` in datasets.yaml names it."""
