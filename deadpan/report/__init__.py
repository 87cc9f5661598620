"""Figures -> report page and tables."""
