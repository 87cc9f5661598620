"""Measures one model on one table."""
