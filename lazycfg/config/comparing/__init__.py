"""What differs: between two configs, and between a saved config and the code of today."""
