"""Numerical methods: differences, interpolation, convolution, polynomials."""
