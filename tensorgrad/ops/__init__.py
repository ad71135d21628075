"""The operations: each a NumPy forward with its gradient rules beside it."""
