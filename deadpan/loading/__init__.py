"""Prepared faces -> pairs with neutral faces -> augmented batches."""
