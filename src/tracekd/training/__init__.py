"""Examples -> a fine-tuned student."""
