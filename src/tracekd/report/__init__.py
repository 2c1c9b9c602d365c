"""What an experiment shows: its page, plots and closing table."""
