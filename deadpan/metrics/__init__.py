"""Figures of one model on one table."""
