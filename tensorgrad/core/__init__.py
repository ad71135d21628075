"""The engine: tensors, the graph, primitives and the backward walk."""

import numpy as np

from .warned import point_to_the_user

point_to_the_user()

# glibc gives the memory of large arrays back to the system when they are freed, and the
# next ones come anew, page by page, until it has seen one of this size. Nothing is
# written to it. Measured, a step of LeNet: 9 of 35 ms.
np.empty(31 << 20, np.uint8)
