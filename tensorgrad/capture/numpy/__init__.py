"""The NumPy interpreter: a program becomes straight-line Python over fixed buffers.

The program of ``d = x * w - y; return (d * d).sum(axis=1)``, for arrays of 40 x 10::

    1  r1 = multiply(x1, p1)          float32(40, 10)
    2  r2 = subtract(r1, x2)          float32(40, 10)
    3  r3 = multiply(r2, r2)          float32(40, 10)
    4  r4 = sum(r3, axis=1)           float32(40)

`prune` takes out what nobody reads and computes once what is constant. `buffers` gives
each result memory: nobody reads r1 after call 2, so r2 is written onto it, and r3 onto
r2. Two buffers of 1,600 and 160 bytes do, where four results of their own take 4,960.
`replay` writes and compiles::

    def run(inputs, numbers):
        x1, x2, = inputs
        multiply_1(x1, p1, out=r1)
        subtract_1(r1, x2, out=r2)
        multiply_1(r2, r2, out=r3)
        add_reduce_1(r3, axis=1, keepdims=False, out=r4)
        return [r4.copy("K")]

Each name is bound to an array or a function once and for all: a call is a lookup and
the call itself. Views are made once, too, where their memory stays where it is.

    prune      what need not be computed
    into       which calls can be told where to write
    buffers    which results share memory
    scalars    Python numbers as arrays of the dtype NumPy gives them
    replay     the source, and its names
    plan       all of that as text: ``print(step.plan)``
"""
