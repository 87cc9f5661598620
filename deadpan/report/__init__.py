"""Figures -> page and tables."""
