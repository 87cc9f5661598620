"""Samples of a data set -> the prepared Parquet file, and that file in memory."""
