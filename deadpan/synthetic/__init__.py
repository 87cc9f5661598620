"""The people deadpan can draw: the same person neutral and with every expression, with exact ground truth."""
