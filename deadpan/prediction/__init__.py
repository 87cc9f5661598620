"""Aligned face -> expression and neutral face, on ONNX Runtime, without torch."""
