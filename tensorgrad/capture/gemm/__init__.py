"""Products of matrices, compiled where that is faster than NumPy's BLAS.

Measured against the OpenBLAS of NumPy, both on one thread of a processor with AVX-512,
in microseconds (``python benchmarks/products.py`` prints them)::

    product                          BLAS    here
    32 x 64 by 64 x 64                3.2     2.6
    the same, second transposed       5.9     3.3
    128 x 784 by 784 x 128            253     225
    256 x 784 by 784 x 512           2000    1850

A training step of 20 layers of 64 units took 440 us with BLAS and takes 236.

The result is computed in tiles of 8 rows and two registers of columns. The sums of a
tile stay in registers over the whole depth, so each is stored once::

              two registers              for k in depth:
             +----+----+                     load 2 vectors of b[k, :]
    8 rows   | sums    |   of the result     for each of 8 rows:
             +----+----+                         repeat a[row, k]; multiply and add

Where the rows of b are far apart in memory, those that a strip of columns needs are
gathered first; where b is transposed they are turned on the way. Sums are taken in
order, so the bound on their error is that of BLAS. Of a stack of matrices all products
are one call: 25 of 1000 x 32 by 32 x 32 take 0.40 ms, by BLAS one by one 0.73.

In a convolution, b is windows: row k of it, what tap k of each window takes. It is not
made but gathered, strip by strip, by two tables of where taps and windows lie.

    matmul     which products, and their source: loops over strips of columns
    sliding    where the windows of convolutions and their gradients lie
    strips     their source: strips of windows, or filter by filter where few share them
    tiles      the instructions: a tile, a turned square, vectors of the processor
    processor  how large its tiles are
"""
