"""A run -> a folder that others load with transformers or PEFT, and a repository of the hub."""
