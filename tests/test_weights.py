"""Weights in files: both ways, in our convention and PyTorch's."""

import pickle

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.formats import load_weights, read_weights, save_weights

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


class Network(tg.nn.Module):
    def __init__(self, seed=0, dtype=np.float32):
        self.body = tg.nn.Sequential(
            tg.nn.Dense(4, 5, rng=seed, dtype=dtype),
            tg.nn.ReLU(),
            tg.nn.Sequential(tg.nn.Dense(5, 5, rng=seed + 1, dtype=dtype)),
        )
        self.file = tg.nn.Dense(5, 2, rng=seed + 2, dtype=dtype)

    def forward(self, x):
        return self.file(self.body(x))


def saved(tmp_path, ending):
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"model{ending}"


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize("pytorch", [False, True])
def test_what_is_saved_is_loaded(tmp_path, ending, pytorch):
    path = saved(tmp_path, ending)
    model, other = Network(), Network(seed=5)
    save_weights(path, model, pytorch=pytorch)
    load_weights(path, other, pytorch=pytorch)
    assert (model(X).numpy() == other(X).numpy()).all()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_names_and_layout_of_pytorch(tmp_path):
    path = tmp_path / "model.npz"
    model = Network()
    save_weights(path, model, pytorch=True)
    with np.load(path) as arrays:
        names = ["body.0.weight", "body.0.bias", "body.2.0.weight", "body.2.0.bias"]
        assert [*arrays] == [*names, "file.weight", "file.bias"]
        weight = model.body[0].weight.numpy()
        assert (arrays["body.0.weight"] == weight.T).all()


def test_the_names_of_pytorch_without_being_told_so(tmp_path):
    path = tmp_path / "model.npz"
    save_weights(path, Network(), pytorch=True)
    with pytest.raises(ValueError, match="names of a PyTorch model; pass pytorch=True"):
        load_weights(path, Network())


def test_a_pytorch_model_loads(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from safetensors.torch import load_file, save_file

    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)
    )
    path = tmp_path / "model.safetensors"
    save_file(theirs.state_dict(), path)
    ours = tg.nn.Sequential(tg.nn.Dense(4, 5), tg.nn.ReLU(), tg.nn.Dense(5, 2))
    load_weights(path, ours, pytorch=True)
    expected = theirs(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(ours(X).numpy(), expected, rtol=1e-5, atol=1e-6)
    again = tg.nn.Sequential(tg.nn.Dense(4, 5), tg.nn.ReLU(), tg.nn.Dense(5, 2))
    save_weights(path, again, pytorch=True)
    theirs.load_state_dict(load_file(path))
    np.testing.assert_allclose(
        theirs(torch.from_numpy(X)).detach().numpy(), again(X).numpy(), 1e-5, 1e-6
    )


def test_other_precision(tmp_path):
    path, model = tmp_path / "model.npz", Network(dtype=np.float64)
    save_weights(path, model)
    other = Network(seed=3)
    load_weights(path, other)
    assert other.file.weight.dtype == np.float32
    assert (other.file.weight.numpy() == model.file.weight.numpy().astype("f4")).all()


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_damaged_and_foreign_files(tmp_path, ending):
    path = saved(tmp_path, ending)
    save_weights(path, Network())
    right, model = path.read_bytes(), Network(seed=4)
    before = model(X).numpy()
    for content in (b"", right[: len(right) // 2], b"hello", pickle.dumps(model)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no file of arrays, or damaged"):
            load_weights(path, model)
    assert (model(X).numpy() == before).all()


def test_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="is no file of arrays"):
        read_weights(path)


def test_another_model(tmp_path):
    path = tmp_path / "model.npz"
    save_weights(path, tg.nn.Dense(2, 3))
    with pytest.raises(ValueError, match="missing"):
        load_weights(path, Network())


@pytest.mark.parametrize("name", ["model.pt", "model.txt", "model"])
def test_endings(tmp_path, name):
    with pytest.raises(ValueError, match=r"ends in \.npz or \.safetensors") as error:
        save_weights(tmp_path / name, Network())
    assert ("a pickle" in str(error.value)) == name.endswith(".pt")
    with pytest.raises(ValueError, match="expected a file"):
        load_weights(tmp_path / name, Network())


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "none.npz", Network())


def test_layers_of_pytorch_load(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    for theirs, ours, x in (
        (
            torch.nn.Sequential(
                *(torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.BatchNorm2d(3)),
                *(torch.nn.Flatten(), torch.nn.LayerNorm(48), torch.nn.Linear(48, 2)),
            ),
            tg.nn.Sequential(
                *(tg.nn.Conv2d(2, 3, 3, padding=1), tg.nn.BatchNorm2d(3)),
                *(tg.nn.Flatten(), tg.nn.LayerNorm(48), tg.nn.Dense(48, 2)),
            ),
            np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 2, 4, 4),
        ),
        (
            torch.nn.LSTM(4, 3, num_layers=2, bidirectional=True),
            tg.nn.LSTM(4, 3, num_layers=2, bidirectional=True),
            X[:, None],
        ),
    ):
        path = tmp_path / "model.safetensors"
        save_file(theirs.state_dict(), path)
        load_weights(path, ours, pytorch=True)
        expected, found = theirs.eval()(torch.from_numpy(x)), ours.eval()(x)
        if isinstance(expected, tuple):
            expected, found = expected[0], found[0]
        np.testing.assert_allclose(
            found.numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5
        )
