"""Products of matrices, compiled where that is faster than BLAS."""
