"""XLA: a program lowered to one function of JAX arrays, and state on a device."""
