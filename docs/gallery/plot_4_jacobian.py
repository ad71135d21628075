"""
The Jacobian of softmax
=======================

Positive on the diagonal, negative elsewhere; rows and columns sum to 0. The more
certain the distribution, the smaller all of it.
"""

import tensorgrad as tg

tg.plot.jacobian(tg.softmax, [1.0, 2.0, 0.5], title="an undecided model")

# %%

tg.plot.jacobian(tg.softmax, [0.0, 6.0, 1.0], title="a model that is nearly sure")
