"""An entry of models.yaml -> tokenizer, weights, adapter."""
