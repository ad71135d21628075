"""Recording: one real call of a step, and the program of what it computed.

A `Traced` value stands for an array while the step runs. It holds the array, makes each
call that NumPy's protocols bring to it, and has the `Recorder` write the call down::

    def step(x):                 what happens                   what is written down
        y = x @ w                Traced.__array_ufunc__         r1 = matmul(x1, p1)
        z = y[1:]                operator.getitem, a view       v1 = getitem(r1, 1:)
        return np.sum(z)         Traced.__array_function__      r2 = sum(v1)

``x`` is an argument (`x1`); ``w`` is an array from outside (`p1`), adopted where the
step first meets it; what a call returns is new (`r1`) or memory of an argument seen
otherwise (`v1`). Python asking for a value (``if``, ``float``) is refused, with the
line.

The step is recorded twice, and the two programs are compared call by call: what differs
would be frozen in a replay, so it is refused as well. What Python read meanwhile is
searched for and watched from then on.

    recorder, traced, outside    the calls, and what stands for arrays
    views, refusal               memory seen otherwise; the error that names the line
    twins, questions, structure  operations, and functions of NumPy's with a will of
                                 their own, in a form that can be written down
    signature, bundles           arguments taken apart, results put together
    recording, compare           one recording; two side by side
    reads, bytecode, search      what Python read in the step
    watch                        the table of holders: how what is in them is read
                                 and compared, and whether all is as it was
"""
