"""Run folder -> ONNX file with its card."""
