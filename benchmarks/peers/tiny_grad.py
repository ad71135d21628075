"""tinygrad: the whole step under TinyJit, on the processor. It needs clang."""

import os

os.environ.setdefault("DEV", "CPU")

from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn import optim


def finish(value):
    """Return what a step returned as an array, waiting for it."""
    return value.numpy()


def training(case):
    """Return a step."""
    x, labels = (Tensor(a).realize() for a in case.data())
    parameters = [Tensor(p).realize() for p in case.start()]
    optimizer = OPTIMIZERS[case.optimizer](parameters, case)

    @TinyJit
    @Context(TRAINING=1)
    def step():
        optimizer.zero_grad()
        loss = logits_of(x, parameters).sparse_categorical_crossentropy(labels)
        loss.backward()
        return loss.realize(*optimizer.schedule_step())

    return step


def logits_of(x, parameters):
    """Return the logits of dense layers with ReLU between them."""
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2], strict=True)
    for w, b in hidden:
        x = x.linear(w, b).relu()
    return x.linear(weight, bias)


OPTIMIZERS = {
    "sgd": lambda p, case: optim.SGD(p, case.rate, momentum=case.momentum),
    "adam": lambda p, case: optim.Adam(
        p, case.rate, b1=case.beta1, b2=case.beta2, eps=case.eps
    ),
}
