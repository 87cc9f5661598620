"""Prepared file -> pairs -> batches."""
