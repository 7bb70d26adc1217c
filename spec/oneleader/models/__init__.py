"""The models, one file each. `MODELS` lists those that every reader runs on."""
