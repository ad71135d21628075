"""The engine: tensors, the graph, primitives and the backward walk."""

from .warned import point_to_the_user

point_to_the_user()
