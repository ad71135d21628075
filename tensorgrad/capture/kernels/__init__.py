"""The interpreter in kernels: runs of calls become loops, compiled by LLVM.

1. **A call becomes elements** (`fusible`): what it does for one element, over a space
   of iteration. ``d = x * w - y; return (d * d).sum(axis=1)``, of arrays of 40 x 10::

       call            space    strides of what it writes and reads     element
       r1 = x1 * p1    (400,)   1; 1, 1                                 ({} * {})
       r2 = r1 - x2    (400,)   1; 1, 1                                 ({} - {})
       r3 = r2 * r2    (400,)   1; 1, 1                                 ({} * {})
       r4 = sum(r3)    (40, 10) (1, 0); (10, 1)                         plus({}, {})

   Axes that are one run of memory are merged into one. A stride of 0 in what is written
   says that the elements along that axis are joined.

2. **Elements become nests** (`nests`). A nest is a loop over rows, and in it one over
   columns. An element joins a nest if its space can be that of the nest, and if it and
   those before it touch at the same place what they share. The first three elements are
   a nest of 400 rows; the sum makes it 40 rows of 10 columns, and all four are in it.

3. **A nest becomes a loop** (`codegen`). What nobody reads after the group is never
   written to memory: r1, r2 and r3 are variables::

       def kernel(n0, a0, a1, a2, a3):
           for i in range(n0):
               v7 = float32(0.0)
               for j in range(10):
                   v1 = get(a0, 10 * i + j)
                   v2 = get(a1, 10 * i + j)
                   v3 = (v1 * v2)
                   v4 = get(a2, 10 * i + j)
                   v5 = (v3 - v4)
                   v6 = (v5 * v5)
                   v7 = plus(v7, v6)
               put(a3, i, v7)

   `get` and `put` know no bounds and no strides; `plus` may add in any order, so that
   the sum is vectorised (`intrinsics`). No two arrays share memory: without that
   promise the loop is not vectorised.

4. **Kernels that follow one another become one call** (`chain`): a table says where
   their machine code and their arrays lie. Turns of a loop are a few rows of it each.

    groups     the order of calls in which fusible ones stand together
    scratch    memory of optimizers that becomes variables; memory of several arrays
    elements   what a call does for one element; ``place`` says where operands lie
    small      products of matrices with a side of 4 or less, as elements
    translate  the text of a kernel to LLVM; `intrinsics` are the functions in it
    elementary exp, log, tanh and the like, without branches
    machine    machine code, and where it lies in this process
    disk       machine code that is kept between processes
    compile    kernels where llvmlite is installed
    fuse       the whole: a program with kernels in place of groups
"""
