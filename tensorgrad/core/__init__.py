"""The engine: tensors, the graph, primitives and the backward walk."""
