"""Synthetic people: renders one person with a neutral face and with every expression, with exact ground truth."""
