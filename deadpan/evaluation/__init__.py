"""Protocol -> folds -> answers."""
