"""What a captured step refuses, because its replay would not do the same."""

import gc
import types

import numpy as np
import pytest
from tensors import parameter

import tensorgrad as tg
from tensorgrad.core.observe import current_recorder, observers

HERE = r"test_capture_refusals\.py:\d+ in "


def refused(step, *calls, match):
    """Call a step until it is refused, and check what is said."""
    step = tg.compile(step, fused=False)
    with pytest.raises(tg.CaptureError, match=match) as raised:
        called(step, calls or [()] * 4)
    return str(raised.value)


def called(step, calls):
    return [step(*args) for args in calls]


@pytest.fixture(autouse=True)
def clean():
    """Fail a test that leaves a recorder behind."""
    yield
    assert current_recorder() is None
    assert not observers


# Values that Python looks at.

READINGS = {
    "float": lambda t: float(np.sum(t)),
    "int": lambda t: int(np.sum(t)),
    "item": lambda t: np.sum(t).item(),
    "bool": lambda t: 1 if np.sum(t) > 0 else 0,
    "while": lambda t: next(i for i in range(3) if np.sum(t) > i),
    "and": lambda t: np.sum(t) and 1,
    "in": lambda t: 1.0 in t,
    "index": lambda t: [1, 2, 3, 4, 5, 6, 7][np.argmax(t)],
    "range": lambda t: list(range(np.argmax(t))),
    "max": lambda t: max(np.sum(t), 0.0),
    "asarray": lambda t: np.asarray(t),
    "numpy": lambda t: t.numpy(),
    "data": lambda t: t.data,
    "tolist": lambda t: t.tolist(),
    "print": lambda t: f"{np.sum(t):.3f}",
    "repr": lambda t: repr(t),
    "all": lambda t: np.allclose(t, 1.0) or 0,
}


@pytest.mark.parametrize("how", READINGS)
@pytest.mark.parametrize("of", ["an argument", "a result", "a parameter"])
def test_reading_a_value_is_refused(how, of):
    p = tg.Tensor(np.ones(3))
    made = {"an argument": lambda x: x, "a result": lambda x: x * 2}
    get = made.get(of, lambda x: p)
    message = refused(
        lambda x: READINGS[how](get(x)), (tg.Tensor(np.ones(3)),), match=HERE
    )
    assert "reads a value in Python" in message
    assert "np.where" in message


@pytest.mark.parametrize(
    "read", [float, int, bool, np.asarray, np.array, list, lambda x: x.tolist()]
)
def test_reading_an_array_is_refused(read):
    x = np.ones(1)
    if read is list:
        return  # elements of an array are arrays, and recorded
    refused(lambda x: read(x[0] if read is int else x), (x,), match="reads a value")


def test_reading_a_number_that_may_change_is_refused():
    refused(lambda lr: 1 if lr > 0.1 else 0, (0.5,), match="reads a value")
    refused(lambda lr: np.ones(3) * float(lr), (0.5,), match="reads a value")


def test_a_line_of_the_users_is_named():
    def step(x):
        y = tg.exp(x)
        return float(np.sum(y))  # this one

    message = refused(step, (tg.Tensor(np.ones(2)),), match=HERE)
    line = int(message.split("test_capture_refusals.py:")[1].split()[0])
    assert line == step.__code__.co_firstlineno + 2


# What differs from call to call.


def test_a_python_number_that_changes():
    rates = iter([0.1, 0.2, 0.3])
    message = refused(
        lambda x: x * next(rates), *[(tg.Tensor(np.ones(2)),)] * 3, match=HERE
    )
    assert "was 0.1 in the first call and is 0.2 in the second" in message
    assert "argument of type float" in message


def test_random_numbers_drawn_outside_the_engine():
    rng = np.random.default_rng(0)
    p = parameter()
    message = refused(lambda: np.sum(p * rng.random(3)), match=HERE)
    assert "differs from call to call" in message
    assert "tg.dropout" in message


def test_a_batch_picked_in_the_step():
    data, at = np.arange(12.0).reshape(4, 3), iter(range(4))
    p = parameter()
    refused(lambda: np.sum(p * data[next(at)]), match="pass it as an argument")


def test_other_operations_in_the_second_call():
    first = iter([True, False, False])
    p = parameter()
    refused(lambda: tg.exp(p) if next(first) else tg.log(p), match=HERE)


def test_more_operations_in_the_second_call():
    times = iter([1, 2, 3])

    start = parameter()

    def step():
        p = start
        for _ in range(next(times)):
            p = tg.exp(p)
        return p

    refused(step, match="computes otherwise in the second call")


def test_another_result_in_the_second_call():
    numbers = iter(range(5))
    p = parameter()
    refused(lambda: (tg.exp(p), next(numbers)), match="returns other values")


# What the step refers to.


def test_a_counter_in_a_variable():
    count, p = 0, parameter()

    def step():
        nonlocal count
        count += 1
        return np.sum(p)

    assert "count" in refused(step, match="changes while the step runs")


def test_a_counter_in_an_object():
    state, p = types.SimpleNamespace(count=0), parameter()

    def step():
        state.count += 1
        return np.sum(p)

    assert "state.count" in refused(step, match="was 1 and is 2")


def test_a_list_that_grows():
    losses, p = [], parameter()

    def step():
        losses.append(np.sum(p))
        return losses[-1]

    assert "losses" in refused(step, match="return what is new from the step")


def test_a_number_that_changes_between_calls():
    p, scale = parameter(), 1.0
    step = tg.compile(lambda: np.sum(p * scale), fused=False)
    for _ in range(4):
        step()
    scale = 2.0
    with pytest.raises(tg.CaptureError, match=r"scale.*was 1\.0 and is 2\.0"):
        step()
    scale = 1.0
    assert step().item() == 6.0


def test_a_number_that_changes_between_the_first_two_calls():
    p, scale = parameter(), 1.0
    step = tg.compile(lambda: np.sum(p * scale), fused=False)
    step()
    scale = 2.0
    with pytest.raises(tg.CaptureError, match=r"scale"):
        step()


def test_an_array_that_is_replaced():
    data, p = np.ones(3), parameter()
    step = tg.compile(lambda: np.sum(p * data), fused=False)
    for _ in range(3):
        step()
    data = np.zeros(3)
    with pytest.raises(tg.CaptureError, match="data.*was replaced"):
        step()


def test_a_tensor_that_is_replaced():
    p = parameter()
    step = tg.compile(lambda: np.sum(p * 2), fused=False)
    for _ in range(3):
        step()
    p = parameter()
    with pytest.raises(tg.CaptureError, match="p, which"):
        step()


def test_the_array_of_a_parameter_that_is_replaced():
    p = parameter()
    step = tg.compile(lambda: np.sum(p * 2), fused=False)
    for _ in range(3):
        step()
    p.data = np.zeros(3)
    with pytest.raises(tg.CaptureError, match="a Tensor"):
        step()


def test_a_layer_that_is_replaced():
    model = tg.nn.Sequential(tg.nn.Dense(2, 2, rng=0), tg.nn.ReLU())
    step = tg.compile(lambda x: model(x), fused=False)
    x = np.ones((1, 2), np.float32)
    for _ in range(3):
        step(x)
    model.layers[0].weight = tg.Tensor(np.zeros((2, 2), np.float32), True)
    with pytest.raises(tg.CaptureError, match="weight"):
        step(x)


@pytest.mark.parametrize(("name", "value"), [("momentum", 0.5), ("weight_decay", 0.1)])
def test_a_hyperparameter_that_is_changed(name, value):
    p = parameter()
    opt = tg.optim.SGD([p], 0.1, momentum=0.9)

    def step():
        loss = np.sum(p * p)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    step = tg.compile(step, fused=False)
    for _ in range(3):
        step()
    setattr(opt, name, value)
    with pytest.raises(tg.CaptureError, match=f"opt.{name}"):
        step()


# Gradients and writes.


def test_gradients_carried_over():
    p = parameter()

    def step():
        loss = np.sum(p * p)
        loss.backward()
        return loss

    message = refused(step, match="left over")
    assert "zero_grad" in message


def test_gradients_left_from_before():
    p = parameter()
    np.sum(p * p).backward()
    refused(lambda: np.sum(p * p).backward(), match="zero_grad")


def test_gradients_may_be_forgotten_outside():
    p = parameter()
    step = tg.compile(lambda: np.sum(p * p).backward(), fused=False)
    for _ in range(4):
        p.grad = None
        step()


def test_writing_to_an_argument():
    def step(x):
        x += 1
        return x

    assert "write to a copy" in refused(step, (np.ones(3),), match=HERE)


def test_writing_to_an_array_with_plain_numpy():
    data, p = np.ones(3), parameter()

    def step():
        y = np.sum(p * data)
        data[0] += 1
        return y

    assert "plain NumPy" in refused(step, match="is written to by the step")


def test_writing_to_an_array_that_is_made_in_each_call():
    def step(x):
        total = np.zeros(3)
        total += x
        return total

    assert "x = x + y" in refused(step, *[(np.ones(3),)] * 3, match=HERE)


def test_assigning_data():
    p = parameter()

    def step():
        p.data = np.ones(3)

    refused(step, match="assigns")


def test_a_shape_that_values_decide():
    refused(lambda x: x[x > 0], (np.ones(3),), match="as many elements as values say")
    refused(lambda x: np.nonzero(x), (np.ones(3),), match="np.where")


def test_a_mask_that_is_closed_over_may_choose():
    mask, p = np.array([True, False, True]), parameter()
    step = tg.compile(lambda: np.sum(p[mask]), fused=False)
    assert [step().item() for _ in range(4)] == [4.0] * 4


def test_a_mask_that_chooses_another_number_is_an_error():
    mask, p = np.array([True, False, True]), parameter()
    step = tg.compile(lambda: p[mask] * 2, fused=False)
    for _ in range(3):
        step()
    mask[1] = True
    with pytest.raises(tg.CaptureError, match="shape"):
        step()


@pytest.mark.parametrize("kind", [np.ma.MaskedArray, np.recarray])
def test_arrays_of_other_classes(kind):
    x = np.ones((2, 2)).view(kind)
    refused(lambda x: x * x, (x,), match="NumPy's own class")


def test_a_parameter_also_used_detached():
    p = parameter()

    def step():
        loss = np.sum(p * p.detach())
        p.grad = None
        loss.backward()
        return loss

    step = tg.compile(step, fused=False)
    step()
    np.testing.assert_array_equal(p.grad.numpy(), p.numpy())
    for _ in range(3):
        step()
    p.data = np.zeros(3)
    with pytest.raises(tg.CaptureError, match="a Tensor"):
        step()


def test_a_tensor_kept_from_a_recorded_call():
    kept = {}

    def step(x):
        kept["y"] = tg.exp(x)
        return np.sum(kept["y"])

    tg.compile(step, fused=False)(tg.Tensor(np.ones(2)))
    with pytest.raises(tg.CaptureError, match="return it from the step"):
        kept["y"] * 2


def test_too_many_signatures():
    step = tg.compile(lambda x, i: x * i, fused=False)
    with pytest.raises(tg.CaptureError, match="pass integers that change as floats"):
        called(step, [(tg.Tensor(1.0), i) for i in range(1000)])


# Errors of the step itself.


def test_an_error_in_the_step_leaves_the_engine_clean():
    p = parameter()

    def step(fail):
        loss = np.sum(p * p)
        loss.backward()
        if fail:
            raise KeyError("the step's own")
        p.grad = None
        return loss

    step = tg.compile(step, fused=False)
    with pytest.raises(KeyError, match="the step's own"):
        step(True)
    np.testing.assert_array_equal(p.grad.numpy(), 2 * p.numpy())
    p.grad = None
    assert [step(False).item() for _ in range(4)] == [14.0] * 4
    assert np.sum(p * p).item() == 14.0


def test_an_error_of_the_engine_is_that_of_eager():
    step = tg.compile(lambda x: np.matmul(x, np.ones((4, 4))), fused=False)
    with pytest.raises(ValueError, match="matmul"):
        step(tg.Tensor(np.ones((2, 3))))


def test_a_missing_gradient_is_the_error_of_eager():
    opt = tg.optim.SGD([parameter()], 0.1)
    with pytest.raises(tg.GraphError, match="has a gradient"):
        tg.compile(opt.step, fused=False)()


# Beside eager.


@pytest.fixture
def unseen():
    """Yield a number that no recording can see change, and what changes it."""
    before = gc.get_threshold()
    yield lambda: float(gc.get_threshold()[2]), lambda: gc.set_threshold(*before[:2], 9)
    gc.set_threshold(*before)


def test_check_catches_what_the_recording_did_not_see(unseen):
    (hidden, change), p, x = unseen, parameter(), np.ones(3)
    step = tg.compile(lambda x: np.sum(p * x) * hidden(), check=True, fused=False)
    called(step, [(x,)] * 3)
    change()
    with pytest.raises(tg.CaptureError, match="differs between replay and eager"):
        called(step, [(x,)] * 4)


def test_check_catches_a_parameter_that_differs(unseen):
    (hidden, change), p = unseen, parameter()
    opt = tg.optim.SGD([p], 0.1)

    def step():
        loss = np.sum(p * p)
        opt.zero_grad()
        (loss * hidden()).backward()
        opt.step()

    step = tg.compile(step, check=True, fused=False)
    called(step, [()] * 3)
    change()
    with pytest.raises(tg.CaptureError, match="an array of shape .3,. that the step"):
        called(step, [()] * 6)


def test_check_does_the_step_once():
    def made(check):
        p = parameter()
        rng = np.random.default_rng(0)
        opt = tg.optim.Adam([p], lambda step: 0.1 / (1 + step))

        def step():
            loss = np.sum(tg.dropout(p * p, 0.5, rng=rng))
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss, opt.lr, opt.steps

        return p, tg.compile(step, check=check, fused=False)

    (p, checked), (q, plain) = made(True), made(False)
    for _ in range(8):
        found, expected = checked(), plain()
        assert found[0].item() == expected[0].item()
        assert found[1:] == expected[1:]
        np.testing.assert_array_equal(p.numpy(), q.numpy())
