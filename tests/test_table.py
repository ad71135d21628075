import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.cli import table
from tensorgrad.cli.table import Table, TableError

PLAIN = "a,b,kind\n1,2,x\n3,4.5,y\n-5,6e1,x\n"


@pytest.fixture
def csv_file(tmp_path):
    def write(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def made(features, labels):
    features = np.asarray(features, dtype=np.float64).reshape(len(labels), -1)
    names = tuple(f"f{i}" for i in range(features.shape[1]))
    classes = tuple(map(str, range(max(labels) + 1)))
    y = np.asarray(labels, dtype=np.int64)
    return Table("made.csv", features, y, names, "label", classes)


def test_features_labels_and_names(csv_file):
    read = table.read(csv_file(PLAIN))
    assert read.features.tolist() == [[1, 2], [3, 4.5], [-5, 60]]
    assert read.features.dtype == np.float64
    assert read.labels.tolist() == [0, 1, 0]
    assert read.labels.dtype == np.int64
    assert (read.columns, read.target) == (("a", "b"), "kind")
    assert read.classes == ("x", "y")


def test_any_column_can_be_the_target(csv_file):
    read = table.read(csv_file("kind,a,b\ny,1,2\nx,3,4\n"), "kind")
    assert read.columns == ("a", "b")
    assert read.features.tolist() == [[1, 2], [3, 4]]
    assert read.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n  \n",
        "\n" + PLAIN.replace("\n", "\n\n"),
        PLAIN.replace("a,b,kind", " a ,b  , kind "),
        PLAIN.replace(",", " , "),
        '"a","b","kind"\n"1","2","x"\n3, "4.5","y"\n-5,6e1,x\n',
    ],
    ids=[
        "byte order mark",
        "CRLF",
        "CR",
        "no last line end",
        "blank lines after",
        "blank lines between",
        "spaces in the header",
        "spaces everywhere",
        "quoted",
    ],
)
def test_the_same_table_written_otherwise(csv_file, content):
    expected, read = table.read(csv_file(PLAIN)), table.read(csv_file(content))
    assert np.array_equal(read.features, expected.features)
    assert np.array_equal(read.labels, expected.labels)
    assert (read.columns, read.target) == (expected.columns, expected.target)
    assert read.classes == expected.classes


def test_quoted_cells_may_hold_commas_quotes_and_line_ends(csv_file):
    read = table.read(csv_file('"a,b",kind\n1,"x, ""y"""\n2,"two\nlines"\n'))
    assert read.columns == ("a,b",)
    assert read.classes == ("two\nlines", 'x, "y"')


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        (["10", "9", "-1"], ("-1", "9", "10"), [2, 1, 0]),
        (["1.0", "0", "01"], ("0", "1"), [1, 0, 1]),
        (["10", "9", "x"], ("10", "9", "x"), [0, 1, 2]),
        (["1.5", "x", "y"], ("1.5", "x", "y"), [0, 1, 2]),
        (["é", "z", "a"], ("a", "z", "é"), [2, 1, 0]),
    ],
)
def test_classes_are_sorted_names_or_integers(csv_file, labels, classes, y):
    lines = "".join(f"{i},{label}\n" for i, label in enumerate(labels))
    read = table.read(csv_file(f"a,t\n{lines}"))
    assert read.classes == classes
    assert read.labels.tolist() == y


REFUSED = {
    "empty": ("", "expected a header and rows of data, got an empty file"),
    "only blank lines": ("\n\n", "got an empty file"),
    "only a byte order mark": (b"\xef\xbb\xbf", "got an empty file"),
    "header only": ("a,b\n", "expected rows of data below the header, got none"),
    "one column": ("a;b\n1;2\n", "the one column 'a;b'; separate columns by commas"),
    "same name twice": ("a,b, a\n1,2,3\n", "got 'a' more than once"),
    "short row": ("a,b\n1,x\n\n2\n", "line 4: expected 2 cells .*, got 1"),
    "long row": ("a,b\n1,x,\n", "line 2: expected 2 cells .*, got 3"),
    "text": ("a,b\n1,x\nred,y\n", "line 3, column 'a': expected a number, got 'red'"),
    "hexadecimal": ("a,b\n0x1,x\n", "line 2, column 'a': .* got '0x1'"),
    "underscore": ("a,b\n1_0,x\n", "line 2, column 'a': .* got '1_0'"),
    "empty cell": ("a,b,c\n1, ,x\n", "line 2, column 'b': the cell is empty"),
    "NaN": ("a,b\n1,x\nNaN,y\n", "line 3, column 'a': .* finite number, got NaN"),
    "infinite": ("a,b\n-inf,x\n", "line 2, column 'a': .* got -inf"),
    "too large": ("a,b\n1e999,x\n", "line 2, column 'a': .* got 1e999"),
    "after lines in quotes": ('a,b\n1,"x\ny"\n?,z\n', "line 4, column 'a'"),
    "empty label": ("a,b\n1,x\n2,\n", "line 3, column 'b': .* got an empty cell"),
    "NaN label": ("a,b\n1,x\n2,nan\n", "line 3, column 'b': .* got nan"),
    "fractional label": ("a,b\n1,2\n2,2.5\n", "line 3, column 'b': .* got 2.5"),
    "one class": ("a,b\n1,x\n2,x\n", "at least two classes in column 'b', .* 'x'"),
    "not UTF-8": (b"a,b\n1,x\n2,\xff\n", "line 3 is not UTF-8"),
    "UTF-16": ("a,b\n1,x\n".encode("utf-16"), "line 1 is not UTF-8"),
    "open quote": ('a,b\n1,x\n2,"y\n3,z\n', "line 3 is not CSV"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(csv_file, content, words):
    path = csv_file(content)
    with pytest.raises(TableError, match=words) as caught:
        table.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_unknown_target_lists_the_columns(csv_file):
    with pytest.raises(TableError, match="no column 'c' .* are 'a', 'b', 'kind'"):
        table.read(csv_file(PLAIN), "c")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(TableError, match=r"none\.csv: there is no such file"):
        table.read(tmp_path / "none.csv")
    with pytest.raises(TableError, match="expected a CSV file, got a folder"):
        table.read(tmp_path)
    with pytest.raises(TableError, match="cannot be read: .*too long"):
        table.read(tmp_path / ("a" * 300))


def test_standardised_by_the_training_part():
    rng = np.random.default_rng(0)
    whole = made(rng.normal(50, 7, (200, 3)), rng.integers(0, 3, 200))
    parts = table.split(whole, np.random.default_rng(1))
    assert (parts.x.shape, parts.held_x.shape) == ((160, 3), (40, 3))
    assert parts.x.dtype == parts.held_x.dtype == np.float32
    # The mean of 160 float32 numbers near 1 is good to about 1e-7.
    np.testing.assert_allclose(parts.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(parts.x.std(axis=0), 1, atol=1e-6)
    assert np.abs(parts.held_x.mean(axis=0)).min() > 1e-4
    back = np.r_[parts.x, parts.held_x] * parts.std + parts.mean
    order = np.lexsort(back.T)
    sorted_ = whole.features[np.lexsort(whole.features.T)]
    np.testing.assert_allclose(back[order], sorted_, rtol=1e-5)


@given(st.lists(st.integers(0, 4), min_size=2), st.floats(0.01, 0.99), st.integers(0))
def test_a_split_loses_nothing_and_keeps_every_class(labels, fraction, seed):
    labels = np.unique(labels, return_inverse=True)[1].tolist()
    whole = made(np.arange(len(labels)), labels)
    rng = np.random.default_rng(seed)
    if len(set(labels)) == len(labels):
        with pytest.raises(TableError, match="a class with at least two rows"):
            table.split(whole, rng, fraction)
        return
    parts = table.split(whole, rng, fraction)
    assert sorted([*parts.y, *parts.held_y]) == sorted(labels)
    assert set(parts.y) == set(labels)
    assert len(parts.held_y) >= 1
    most = len(labels) - len(set(labels))
    assert len(parts.held_y) == min(max(1, round(fraction * len(labels))), most)


def test_the_classes_share_in_what_is_held_out():
    labels = [0] * 500 + [1] * 50 + [2] * 10
    parts = table.split(made(np.arange(560), labels), np.random.default_rng(0))
    assert np.bincount(parts.held_y).tolist() == [100, 10, 2]


def test_the_seed_decides_what_is_held_out():
    whole = made(np.arange(100), [0, 1] * 50)
    first, again, other = (
        table.split(whole, np.random.RandomState(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.held_x, again.held_x)
    assert not np.array_equal(first.held_x, other.held_x)


@pytest.mark.parametrize("value", [0.1, 1e300, -7e-320])
def test_a_constant_feature_is_zero(value):
    parts = table.split(made([value] * 30, [0, 1] * 15), np.random.default_rng(0))
    assert parts.std.tolist() == [1]
    # The mean of equal numbers may miss them by a last bit.
    np.testing.assert_allclose(parts.x, 0, atol=abs(value) * 1e-15)


def test_differences_too_small_to_square_do_not_divide_by_zero():
    parts = table.split(made([1e-320, 0] * 10, [0, 1] * 10), np.random.default_rng(0))
    assert np.isfinite(parts.x).all()


@pytest.mark.parametrize("value", [1e308, -1e200])
def test_values_too_large_to_standardise(value):
    whole = made([value, *range(19)], [0, 1] * 10)
    with pytest.raises(TableError, match=r"column 'f0': .* too large to standardise"):
        table.split(whole, np.random.default_rng(0))


@pytest.mark.parametrize("fraction", [0, 1, -0.5, np.nan])
def test_a_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="held_out must be between 0 and 1"):
        table.split(made([1, 2], [0, 0]), np.random.default_rng(0), fraction)
