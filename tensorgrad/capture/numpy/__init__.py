"""The NumPy interpreter: a program replayed as straight-line calls into buffers."""
