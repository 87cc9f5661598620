"""The version of deadpan."""

__version__ = "0.1.0"
