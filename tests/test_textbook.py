"""Every number of the textbook's worked examples, computed by the engine.

The text prints 7 or 8 significant digits of float32 results, some of them made with
products taken in float64; half a unit of the last of 6 digits is what reproduces.
"""

import numpy as np
import pytest
from reference import drawn_weights, spiral, worked_examples
from tensors import leaf

import tensorgrad as tg

TEXT = worked_examples()
DENSE = TEXT["dense"]


def single(values):
    return leaf(values, np.float32)


def close(ours, printed, *, atol=0.0):
    """Assert that `ours` is float32 and has the printed figures, to 6 digits."""
    ours = ours.numpy() if isinstance(ours, tg.Tensor) else ours
    assert ours.dtype == np.float32
    printed = np.asarray(printed, dtype=np.float64)
    assert ours.shape == printed.shape
    np.testing.assert_allclose(ours, printed, rtol=5e-6, atol=atol)


def test_close_sees_the_sixth_digit():
    printed = np.array([0.179515, 0.5003665])
    close(printed.astype(np.float32), printed)
    with pytest.raises(AssertionError):
        close((printed * (1 + 1e-5)).astype(np.float32), printed)
    with pytest.raises(AssertionError):
        close(printed, printed)


# One dense layer.


@pytest.fixture
def layer():
    inputs = single(DENSE["inputs"])
    weights = single(np.transpose(DENSE["weights_per_neuron"]))
    biases = single(DENSE["biases"][0])
    return inputs, weights, biases


ways_to_write_it = pytest.mark.parametrize(
    "affine",
    [
        tg.dense,
        lambda x, w, b: x @ w + b,
        lambda x, w, b: np.dot(x, w) + b,
        lambda x, w, b: tg.add(tg.dot(x, w), b),
    ],
    ids=["dense", "operators", "numpy", "functions"],
)


@ways_to_write_it
def test_dense_gradients(layer, affine):
    inputs, weights, biases = layer
    affine(*layer).backward(DENSE["dvalues"])
    # 0.2 + 0.5 - 0.26 and their like: the terms, below 5, are rounded to float32.
    close(inputs.grad, DENSE["dinputs"], atol=1e-6)
    close(weights.grad, DENSE["dweights"])
    close(biases.grad, DENSE["dbiases"][0])


def test_bias_kept_as_a_row_has_a_row_as_gradient(layer):
    inputs, weights, _ = layer
    row = single(DENSE["biases"])
    (inputs @ weights + row).backward(DENSE["dvalues"])
    close(row.grad, DENSE["dbiases"])


def test_dense_forward(layer):
    inputs, weights, biases = (np.asarray(t.detach(), np.float64) for t in layer)
    expected = np.einsum("ni,io->no", inputs, weights) + biases
    close(tg.dense(*layer), expected)


@pytest.mark.parametrize("relu", [tg.relu, lambda z: np.maximum(0, z)])
def test_relu(relu):
    z = single(TEXT["relu"]["z"])
    y = relu(z)
    close(y, np.clip(TEXT["relu"]["z"], 0, None))
    y.backward(TEXT["relu"]["dvalues"])
    close(z.grad, TEXT["relu"]["dinputs"])


def test_one_update_minimising_the_relu_output(layer):
    inputs, weights, biases = layer
    example = TEXT["one_update_minimising_relu_output"]
    optimizer = tg.optim.SGD([weights, biases], lr=example["learning_rate"])
    output = tg.relu(tg.dense(inputs.detach(), weights, biases))
    output.backward(output.detach())
    optimizer.step()
    close(weights, example["weights_after"])
    close(biases, example["biases_after"][0])


# Softmax and the loss.


def test_softmax_jacobian():
    example = TEXT["softmax_jacobian"]
    (jacobian,) = tg.softmax_jacobian(np.float32([example["output"]]))
    close(jacobian, example["jacobian"])


def logits_of(probabilities):
    """Return logits whose softmax is `probabilities`: their logarithms."""
    return single(np.log(probabilities))


def fused(probabilities, targets):
    logits = logits_of(probabilities)
    tg.softmax_cross_entropy(logits, targets).backward()
    return logits.grad


def separate(probabilities, targets):
    logits = logits_of(probabilities)
    tg.categorical_cross_entropy(tg.softmax(logits), targets).backward()
    return logits.grad


def jacobian_loop(probabilities, targets):
    """Return the gradient as the text first takes it: one Jacobian a sample."""
    p = single(probabilities)
    tg.categorical_cross_entropy(p, targets).backward()
    jacobians = tg.softmax_jacobian(p.numpy())
    return np.stack([j @ g for j, g in zip(jacobians, p.grad.numpy(), strict=True)])


@pytest.mark.parametrize("path", [fused, separate, jacobian_loop])
@pytest.mark.parametrize("one_hot", [False, True], ids=["classes", "one-hot"])
def test_fused_and_separate_gradient(path, one_hot):
    example = TEXT["fused_vs_separate"]
    targets = example["class_targets"]
    if one_hot:
        targets = tg.one_hot(targets, 3)
    gradient = path(example["softmax_outputs"], targets)
    # Printed to 8 decimals, a difference of numbers below 1/3 in float32.
    close(gradient, example["gradient"], atol=3e-8)


# The network of 2 inputs, 3 hidden neurons and 3 classes.


@pytest.fixture(scope="module")
def network():
    stream = np.random.RandomState(0)
    x, y = spiral(stream)
    w1, w2 = map(single, drawn_weights(stream, 2, 3, 3))
    b1, b2 = single(np.zeros(3)), single(np.zeros(3))
    logits = tg.dense(tg.relu(tg.dense(x, w1, b1)), w2, b2)
    loss = tg.softmax_cross_entropy(logits, y)
    loss.backward()
    grads = {
        "dense1_dweights": w1.grad,
        "dense1_dbiases": b1.grad,
        "dense2_dweights": w2.grad,
        "dense2_dbiases": b2.grad,
    }
    return tg.softmax(logits), loss, y, grads


def test_network_outputs(network):
    close(network[0][:5], TEXT["network_2_3_3"]["first_outputs"])


def test_network_loss(network):
    probabilities, loss, y, _ = network
    close(loss, TEXT["network_2_3_3"]["loss"])
    close(tg.categorical_cross_entropy(probabilities, y), loss.item())


def test_network_accuracy(network):
    probabilities, _, y, _ = network
    predictions = np.argmax(probabilities, axis=1)
    assert np.mean(predictions == y) == TEXT["network_2_3_3"]["accuracy"]


@pytest.mark.parametrize(
    "name", [k for k in TEXT["network_2_3_3"] if k.startswith("dense")]
)
def test_network_gradients(network, name):
    printed = np.array(TEXT["network_2_3_3"][name])
    if name.endswith("biases"):
        (printed,) = printed
    # The gradients are sums over 300 samples, class by class, in which most cancels.
    # What float32 loses is a step of the largest partial sum: 100 samples with 2/3 of
    # 1/300 each at the logits, that times a weight of 0.03 below them.
    largest = 100 * 2 / 3 / 300 * (1 if name == "dense2_dbiases" else 0.03)
    close(network[3][name], printed, atol=np.spacing(np.float32(largest)))


# The learning rate.


def rates(optimizer, parameter, steps):
    """Yield the rate of each step."""
    parameter.grad = np.zeros(parameter.shape, parameter.dtype)
    for _ in range(steps):
        optimizer.step()
        yield optimizer.lr


def test_learning_rate_decay():
    example = TEXT["learning_rate_decay"]
    w = single([1.0])
    optimizer = tg.optim.SGD([w], lr=example["lr0"], decay=example["decay"])
    assert optimizer.lr == example["lr0"]
    in_force = list(rates(optimizer, w, 21))
    assert in_force[:20] == example["first_20_steps"]
    assert in_force[1] == example["step_1"]
    assert in_force[20] == example["step_20"]


def test_schedule_gives_the_same_decay():
    example = TEXT["learning_rate_decay"]
    w = single([1.0])
    schedule = tg.optim.inverse_time(example["lr0"], example["decay"])
    in_force = list(rates(tg.optim.SGD([w], lr=schedule), w, 20))
    assert in_force == example["first_20_steps"]
