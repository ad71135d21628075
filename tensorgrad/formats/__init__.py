"""Files of models that other programs read and write."""

from .onnx import export_onnx
from .weights import load_weights, read_weights, save_weights

__all__ = ["export_onnx", "load_weights", "read_weights", "save_weights"]
