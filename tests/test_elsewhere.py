"""Names of other libraries raise with what to write, and that is there."""

import re

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.core import elsewhere

X = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
OWNERS = {
    "TENSOR": X,
    "PACKAGE": tg,
    "LAYERS": tg.nn,
    "OPTIMIZERS": tg.optim,
    "MODULE": tg.nn.Dense(2, 2),
}
NAMES = [(table, name) for table in OWNERS for name in getattr(elsewhere, table)]
FOUND = [
    (X, "exp", "np.exp(x)"),
    (X, "relu", "tg.relu(x)"),
    (X, "det", "np.linalg.det(x)"),
    (X, "layer_norm", "tg.nn.functional.layer_norm(x)"),
    (X, "add_", "x[...] = new in tg.no_grad()"),
    (tg, "zeros", "np.zeros"),
    (tg, "float32", "np.float32"),
    (tg.nn, "MSELoss", "tg.nn.functional.mse_loss"),
    (tg.nn, "CrossEntropyLoss", "tg.nn.functional.cross_entropy"),
    (tg.nn, "L1Loss", "tg.nn.functional.l1_loss"),
    (tg.nn, "InstanceNorm2d", "tg.nn.functional.instance_norm"),
    (tg.nn, "PReLU", "tg.nn.functional.prelu"),
]
NOTHING = [(X, "shapee"), (X, "_add_"), (X, "__exp__"), (tg, "relu6"), (tg.nn, "Foo")]


def told(owner, name):
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    return str(caught.value)


@pytest.mark.parametrize(("table", "name"), NAMES)
def test_what_is_advised_is_there(table, name):
    text = told(OWNERS[table], name)
    assert text.endswith(f"; {getattr(elsewhere, table)[name]}")
    for path in re.findall(r"(?:np|tg)(?:\.\w+)+", text):
        found = {"np": np, "tg": tg}[path[:2]]
        for part in path.split(".")[1:]:
            found = getattr(found, part)


@pytest.mark.parametrize(("owner", "name", "advice"), FOUND)
def test_functions_of_the_same_name_are_found(owner, name, advice):
    assert f"has no attribute {name!r}; write {advice}" in told(owner, name)


@pytest.mark.parametrize(("owner", "name"), NOTHING)
def test_for_other_names_there_is_no_advice(owner, name):
    assert told(owner, name).endswith(f"has no attribute {name!r}")


def test_an_attribute_error_of_a_property_is_its_own():
    class Model(tg.nn.Module):
        @property
        def width(self):
            return self.nothing

    assert "'nothing'" in told(Model(), "width")


def test_layers_stay_where_they_are():
    with pytest.raises(TypeError, match=r"Module.to: tensors lie on the processor"):
        tg.nn.Dense(2, 2).to("cuda")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: X.sum(dim=1), "takes no argument 'dim'; NumPy's name for it is axis"),
        (lambda: X.mean(keepdim=True), "keepdims"),
        (lambda: tg.optim.Adam([X], betas=(0.9, 0.9)), "give beta1 and beta2"),
        (lambda: tg.optim.RMSprop([X], alpha=0.9), "its name is rho"),
        (lambda: tg.optim.SGD([X], 0.1, foreach=True), "leave it out"),
    ],
)
def test_arguments_of_other_names(call, text):
    with pytest.raises(TypeError, match=text):
        call()


def test_an_optimizer_may_have_an_argument_of_such_a_name():
    tg.optim.ASGD([X], alpha=0.8)
