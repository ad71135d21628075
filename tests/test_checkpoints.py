"""Checkpoints: whole, checked, or refused in one sentence."""

import io
import json
import os
import pickle
import zipfile
from hashlib import sha256

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.train import CheckpointError, Checkpoints, load, save

STATE = {
    "arrays": [
        np.ones((2, 3)),
        np.arange(6.0).reshape(2, 3).T,
        np.asfortranarray(np.arange(6, dtype=np.int8).reshape(2, 3)),
        np.zeros((0, 3), np.float32),
        np.array(2.5),
        np.arange(10)[::-3],
    ],
    "array": 1,
    "": {"array": 2},
    "numbers": [2**130, -1.5, float("inf"), True, None, "é"],
    "random": np.random.default_rng(0).bit_generator.state,
    "legacy": np.random.RandomState(0).get_state(legacy=False),
}


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
    return a == b and type(a) is type(b)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


def test_what_is_saved_is_loaded(path):
    save(path, STATE)
    loaded = load(path)
    assert same(STATE, loaded)
    loaded["arrays"][0][:] = 7  # the caller's own
    assert os.listdir(path.parent) == [path.name]


def test_numpy_reads_the_arrays(path):
    save(path, STATE)
    with np.load(path) as archive:
        assert (archive["1"] == STATE["arrays"][1]).all()


def test_tensors_and_numbers_of_numpy_come_back_as_arrays(path):
    save(path, [tg.Tensor([1.0, 2.0], requires_grad=True), np.float32(3)])
    tensor, number = load(path)
    assert tensor.tolist() == [1.0, 2.0]
    assert number.dtype == np.float32


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [object()]}, r"state\['a'\]\[0\] is object"),
        ({1: 2}, "has the key 1"),
        (np.array([None]), "is ndarray"),
        ({"f": len}, "is builtin_function_or_method"),
    ],
)
def test_what_cannot_be_saved(path, state, message):
    with pytest.raises(TypeError, match=message):
        save(path, state)
    assert not os.listdir(path.parent)


def test_every_damage_is_seen(path):
    save(path, STATE)
    right = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        wrong = bytearray(right)
        if rng.random() < 0.5:
            del wrong[rng.integers(len(wrong)) :]
        else:
            wrong[rng.integers(len(wrong))] ^= 1 << int(rng.integers(8))
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError) as error:
            load(path)
        assert str(path) in str(error.value)


def with_checksum(path, members, **options):
    """Write an archive whose checksum is right, and whose content is not ours."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = b"0" * 64
    content = path.read_bytes()[:-64]
    path.write_bytes(content + sha256(content).hexdigest().encode())


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


HEADER = npy(np.zeros(0)).replace(b"(0,), }          ", b"(99999999999,), }")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"state.json": "{"},
        {"state.json": "[" * 100_000},
        {"state.json": '{"array": 0}'},
        {"state.json": '{"array": "x"}'},
        {"state.json": '{"array": null}'},
        {"state.json": '{"array": 0}', "0.npy": b""},
        {"state.json": '{"array": 0}', "0.npy": b"\x93NUMPY\x09\x00"},
        {"state.json": '{"array": 0}', "0.npy": HEADER},
        {"state.json": '{"array": 0}', "0.npy": pickle.dumps(Evil())},
        {
            "state.json": '{"array": 0}',
            "0.npy": npy(np.array([Evil()], dtype=object), allow_pickle=True),
        },
    ],
)
def test_malicious_files(path, members, monkeypatch):
    monkeypatch.chdir(path.parent)
    with_checksum(path, members)
    with pytest.raises(CheckpointError, match="no checkpoint that"):
        load(path)
    assert not os.path.exists("evil")


def test_compressed_members_are_refused(path):
    members = {"state.json": json.dumps({"x": " " * 10**6})}
    with_checksum(path, members, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps(Evil())])
def test_foreign_files(path, content, monkeypatch):
    monkeypatch.chdir(path.parent)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="expected a file that tg.train.save"):
        load(path)
    assert not os.path.exists("evil")


def test_a_full_disk_leaves_what_was_there(path, monkeypatch):
    save(path, {"epoch": 1})
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="cannot be written: No space left") as error:
        save(path, {"x": np.ones(3)})
    assert error.value.errno == 28
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


class Counter:
    """The least that can be resumed."""

    def __init__(self):
        self.steps = 0

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def test_the_newest_are_kept_and_the_newest_whole_one_is_used(tmp_path):
    run, checkpoints = Counter(), Checkpoints(tmp_path / "new", every_steps=2, keep=3)
    assert not checkpoints.resume(run)
    for _ in range(11):
        run.steps += 1
        checkpoints.after_step(run)
    names = [p.name for p in checkpoints.paths()]
    assert names == [f"step-{n:012d}.ckpt" for n in (10, 8, 6)]
    newest = checkpoints.paths()[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(RuntimeWarning, match="is damaged"):
        assert checkpoints.resume(run)
    assert run.steps == 8
    for path in checkpoints.paths():
        path.write_bytes(b"")
    with (
        pytest.warns(RuntimeWarning, match="is empty"),
        pytest.raises(CheckpointError, match="remove them to begin anew"),
    ):
        checkpoints.resume(run)


def test_a_full_disk_does_not_end_a_training(tmp_path, monkeypatch):
    run, checkpoints = Counter(), Checkpoints(tmp_path, every_steps=1)
    run.steps = 1
    checkpoints.after_step(run)
    run.steps = 2

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.warns(RuntimeWarning, match="No space left .* the training goes"):
            checkpoints.after_step(run)
    assert checkpoints.latest() == {"steps": 1}


def test_checkpoints_of_another_training(tmp_path):
    save(tmp_path / "step-000000000001.ckpt", {"other": 1})
    with pytest.raises(CheckpointError, match="of another training"):
        Checkpoints(tmp_path).resume(Counter())


@pytest.mark.parametrize("options", [{"keep": 0}, {"every_steps": 0}])
def test_counts(tmp_path, options):
    with pytest.raises(ValueError, match="counts of at least 1"):
        Checkpoints(tmp_path, **options)
