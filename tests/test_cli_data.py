"""The command on files: reading, training, and using what was trained."""

import io
import re
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import data
from tensorgrad.cli import encoders, models, table, tasks

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")


@pytest.fixture
def blobs(tmp_path):
    """Write a CSV file of three overlapping classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = rng.normal(100, 1, (90, 2)) + 2 * np.c_[y, -y]
    names = np.array(["ash", "birch", "cedar"])[y]
    lines = [f"{a},{b},{name}" for (a, b), name in zip(x, names, strict=True)]
    path = tmp_path / "blobs.csv"
    path.write_text("\n".join(["width,height,tree", *lines]))
    return path


# Training on a file.


def test_a_file_is_learned_and_what_is_saved_suffices_to_use_it(run, blobs, tmp_path):
    path = tmp_path / "model.tg"
    status, out, err = run("train", blobs, "--save", path, "--epochs", 60)
    assert (status, err) == (0, "")
    assert out.startswith(
        f"{blobs}: 72 rows, 18 held out; classification of 'tree': 3 classes\n"
        "features: 2 numbers\nmodel 2-64-3; adam with lr 0.05, decay 0.001\n"
    )
    saved = tg.train.load(path)
    assert [column["name"] for column in saved["columns"]] == ["width", "height"]
    assert (saved["target"], saved["classes"]) == ("tree", ["ash", "birch", "cedar"])

    # The model, from the file alone, on the rows that were held out.
    frame = pd.read_csv(blobs)
    y = pd.Categorical(frame["tree"]).codes.astype(int)
    held = tasks.held_out(y, 0.2, np.random.RandomState(0))
    mean, scale = (
        np.ravel([c[k] for c in saved["columns"]]) for k in ("mean", "scale")
    )
    assert np.allclose(mean, frame[["width", "height"]][~held].mean())
    x = ((frame[["width", "height"]].to_numpy()[held] - mean) / scale).astype("f")
    weights = saved["network"]
    h = np.maximum(0, x @ weights["layers.0.weight"] + weights["layers.0.bias"])
    scores = h @ weights["layers.2.weight"] + weights["layers.2.bias"]
    accuracy = data.accuracy(scores, y[held])
    loss = float(tg.softmax_cross_entropy(scores, y[held]))
    assert 0.7 < accuracy < 1
    assert out.endswith(
        f"held out: accuracy {accuracy:.3f}, loss {loss:.3f} on 18 samples\n"
        f"saved: {path}\n"
    )


def test_the_target_may_be_named(run, tmp_path):
    path = tmp_path / "first.csv"
    path.write_text("t,a\n" + "0,1\n1,2\n" * 10)
    status, out, _ = run("train", path, "--target", "t", "--epochs", 30)
    assert status == 0
    assert "held out: accuracy 1.000" in out


# What trains, and means nothing.


@pytest.fixture
def warned(run, tmp_path):
    """Train on lines of a file; return what is printed and the warnings."""

    def warned(lines, *options):
        path = tmp_path / "odd.csv"
        path.write_text("\n".join([*lines, ""]))
        status, out, err = run("train", path, "--epochs", 2, *options)
        assert status == 0
        head = f"tensorgrad: warning: {path}: "
        told = err.splitlines()
        assert all(line.startswith(head) for line in told)
        return out, [line.removeprefix(head) for line in told]

    return warned


def rows_of(*columns):
    return [",".join(map(str, row)) for row in zip(*columns, strict=True)]


RNG = np.random.default_rng(0)
N = 60
A, B = RNG.normal(size=(2, N)).round(3)
KIND = np.array(["ant", "bee", "cat"])[RNG.integers(0, 3, N)]

# Disease progression of the 442 patients of Efron et al. (2004): 25 to 346, a whole
# number. Here drawn alike.
PROGRESSION = RNG.integers(25, 347, 442)

QUANTITIES = {
    "progression": PROGRESSION,
    "floats that are whole": [f"{x}.0" for x in PROGRESSION],
    "few rows": [5, 9, 14, 3, 8, 11, 20, 17, 5, 30, 2, 41],
    # The waists of 20 men, in inches, in the data of Linnerud.
    "very few rows": [
        *(36, 37, 38, 35, 35, 36, 38, 34, 31, 33),
        *(34, 33, 34, 40, 36, 37, 38, 32, 46, 33),
    ],
    "prices": RNG.integers(50_000, 500_000, 300),
    "counts of some size": RNG.poisson(200, 900),
    "many values, many rows": RNG.integers(0, 3000, 9000),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_quantity_is_no_class(run, tmp_path, name):
    y = QUANTITIES[name]
    path = tmp_path / "quantity.csv"
    a = RNG.normal(size=len(y)).round(3)
    path.write_text("\n".join(["a,b,y", *rows_of(a, a * a, y)]))
    count = len(set(map(float, y)))
    words = f"regression of 'y', which holds {count} different numbers\n"
    status, out, err = run("train", path, "--epochs", 1)
    assert (status, err) == (0, "")
    assert words in out
    if count < len(y):
        out = run("train", path, "--epochs", 1, "--task", "classification")[1]
        assert f"classification of 'y': {count} classes" in out


@pytest.mark.parametrize(
    "labels",
    [
        [f"person {k}" for k in range(N)],
        [f"2024-01-{k % 31 + 1:02}" for k in range(N)],
        [f"{k:08x}" for k in RNG.integers(0, 2**32, N - 1)] + ["1e860838"],
    ],
)
def test_a_name_is_no_class(refused, tmp_path, labels):
    path = tmp_path / "names.csv"
    path.write_text("\n".join(["a,b,who", *rows_of(A, B, labels)]))
    words = f"column 'who' holds {len(set(labels))} different labels in {N} rows, as na"
    assert words in refused("train", path)


@pytest.mark.parametrize("count", [2, 10, 20])
def test_numbers_may_be_classes(warned, count):
    y = [*range(count)] * 20
    a = RNG.normal(size=len(y)).round(3)
    assert warned(["a,b,y", *rows_of(a, a * a, y)])[1] == []


@pytest.mark.parametrize(("first", "count"), [(18, 42), (2000, 12), (3, 6)])
def test_numbers_that_may_be_a_quantity_are_told(warned, first, count):
    y = [*range(first, first + count)] * 25
    a = RNG.normal(size=len(y)).round(3)
    (told,) = warned(["a,b,age", *rows_of(a, a * a, y)])[1]
    assert told.startswith(
        f"each of the {count} numbers in column 'age' is taken for a class"
    )


def test_a_first_row_of_data_is_data(warned):
    out, (told,) = warned(rows_of(A, B, KIND))
    assert "48 rows, 12 held out; classification of 'column 3': 3 classes" in out
    assert told.startswith("the first row is taken for data, which it reads like, and")
    numbers = RNG.integers(0, 2, N)
    assert warned(rows_of(A, B, numbers))[1] == [told]


@pytest.mark.parametrize(
    "header",
    [
        "a,b,kind",
        "0,1,kind",
        "1,2,kind",
        "0,1,2",
        "1,2,3",
        "x 1,2,kind",
        "nan,inf,kind",
    ],
)
def test_a_header_is_a_header(warned, header):
    out, told = warned([header, *rows_of(A, B, KIND)])
    assert "48 rows, 12 held out" in out
    assert told == []


def test_a_header_of_years_is_a_header(warned):
    columns = A, B, A * A, B * B
    out, told = warned(["2018,2019,2020,2021,kind", *rows_of(*columns, KIND)])
    assert "48 rows, 12 held out" in out
    assert told == []


@pytest.mark.parametrize("header", ["5.1,0.3,kind", "0,1,ant"])
def test_a_header_of_numbers_may_be_doubtful(warned, header):
    out, (told,) = warned([header, *rows_of(A, B, KIND)])
    assert "48 rows, 12 held out" in out
    assert told.startswith("the first row, of numbers, is taken for the names of the")


@pytest.mark.parametrize(
    ("name", "first"), [("Unnamed: 0", 0), ("", 0), ("index", 1), ("any", 1), ("n", 73)]
)
def test_a_column_that_numbers_the_rows_is_left_out(warned, name, first):
    count = range(first, first + N)
    out, told = warned([f"{name},a,b,kind", *rows_of(count, A, B, KIND)])
    assert "model 2-" in out
    assert told == [f"column {name!r} numbers the rows and is left out of the features"]


def test_an_index_whose_rows_were_shuffled_is_left_out(warned):
    _, told = warned(["Unnamed: 0,a,kind", *rows_of(RNG.permutation(N), A, KIND)])
    assert told == [
        "column 'Unnamed: 0' numbers the rows and is left out of the features"
    ]


def test_a_file_that_only_numbers_its_rows(refused, tmp_path):
    path = tmp_path / "index.csv"
    path.write_text("\n".join(["i,kind", *rows_of(range(N), KIND)]))
    words = "there is no feature to learn from: column 'i' numbers the rows"
    assert words in refused("train", path)


@pytest.mark.parametrize(
    ("name", "values", "is_told"),
    [
        ("customer_id", RNG.permutation(10**6)[:N], True),
        ("PatientID", RNG.permutation(10**6)[:N], True),
        ("rank", RNG.permutation(N), True),
        ("time", range(1600000000, 1600000000 + 60 * N, 60), True),
        ("left", range(N, 0, -1), True),
        ("price", RNG.permutation(10**6)[:N], False),
        ("id", RNG.integers(0, 20, N), False),
        ("acid", RNG.permutation(10**6)[:N], False),
    ],
)
def test_ids_are_told(warned, name, values, is_told):
    _, told = warned([f"{name},a,kind", *rows_of(values, A, KIND)])
    wanted = f"column {name!r} holds another whole number in every row, as an id does"
    assert [s.startswith(wanted) for s in told] == [True] * is_told


def test_constant_features_are_told(warned):
    one = [7] * N
    _, told = warned(["a,c,kind", *rows_of(A, one, KIND)])
    assert told == ["column 'c' is the same in every row and tells nothing"]
    _, told = warned(["a,c,d,e,f,kind", *rows_of(A, one, one, one, one, KIND)])
    assert told[0].startswith(
        "each of the columns 'c', 'd', 'e' and 1 more is the same"
    )


@pytest.mark.parametrize(
    ("values", "labels", "is_told"),
    [
        (np.unique(KIND, return_inverse=True)[1], KIND, True),
        (np.unique(KIND, return_inverse=True)[1] * -2.5, KIND, True),
        ([0, 1] * 30, ["no", "yes"] * 30, True),
        ([3, 5] * 30, [3, 5] * 30, True),
        ([5, 3] * 30, ["no", "yes"] * 30, False),
        ([1.5, 2.5] * 30, [0, 1] * 30, False),
    ],
)
def test_a_feature_that_is_the_label_is_told(warned, values, labels, is_told):
    _, told = warned(["a,code,kind", *rows_of(A, values, labels)])
    wanted = "column 'code' is another writing of the target, which is to be predicted"
    assert [s.startswith(wanted) for s in told] == [True] * is_told


def test_odd_names_of_classes_are_told(warned):
    labels = ["Yes", "yes", "no", "none"] * (N // 4)
    _, told = warned(["a,b,kind", *rows_of(A, B, labels)])
    assert told == [
        "column 'kind' holds 'none' in 15 rows, and it is taken for a class; if it "
        "stands for a missing label, leave it empty",
        "column 'kind' holds 'Yes' and 'yes', which are taken for different classes; "
        "write them alike if they are one",
    ]


@pytest.mark.parametrize(
    "name", ["iris", "wine", "breast_cancer", "digits", "diabetes"]
)
def test_data_sets_that_come_with_scikit_learn(run, tmp_path, name):
    datasets = pytest.importorskip("sklearn.datasets")
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    path, numbered = tmp_path / "plain.csv", tmp_path / "numbered.csv"
    frame.to_csv(path, index=False)
    frame.to_csv(numbered)
    status, out, err = run("train", path, "--epochs", 20)
    again, out_numbered, err_numbered = run("train", numbered, "--epochs", 20)
    assert (status, again) == (0, 0)
    score = "R2" if name == "diabetes" else "accuracy"
    assert out.splitlines()[-1].split()[:3] == ["held", "out:", score]
    assert "column '' numbers the rows and is left out of the features" in err_numbered
    model = re.search(r"model (\d+)-", out)[1]
    assert model == re.search(r"model (\d+)-", out_numbered)[1]
    told = err.count("\n")
    assert told == (1 if name == "digits" else 0)
    if name == "digits":
        assert (
            "each of the columns 'pixel_0_0', 'pixel_4_0', 'pixel_4_7' is the s" in err
        )


CELLS = st.one_of(
    st.integers(-3, 30).map(str),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:.3g}"),
    st.sampled_from(["", "NA", "?", "nan", "inf", "1e999", "x", "Y", "2024-05-01"]),
    st.sampled_from(["True", "1,5", "05.01.2024", "12:30", "none", "'", '"']),
    st.sampled_from(["é", '"a,b"', "'", "\t", "0x1", "1_0", "1e308", "-", " 7 "]),
)
COLUMNS = st.sampled_from(
    [
        lambda n, rng: range(n),
        lambda n, rng: range(1, n + 1),
        lambda n, rng: rng.normal(size=n).round(2),
        lambda n, rng: [1.5] * n,
        lambda n, rng: rng.integers(0, 4, n),
        lambda n, rng: rng.permutation(n),
        lambda n, rng: rng.integers(0, 500, n),
        lambda n, rng: np.array(["a", "b", "A", "NA"])[rng.integers(0, 4, n)],
        lambda n, rng: [f"id{k}" for k in range(n)],
        lambda n, rng: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n),
        lambda n, rng: [""] * n,
        lambda n, rng: np.array(["True", "False", ""])[rng.integers(0, 3, n)],
        lambda n, rng: [f"2024-{k % 12 + 1:02}-{k % 28 + 1:02}" for k in range(n)],
        lambda n, rng: np.array(["1", "2.5", "?", "x"])[rng.integers(0, 4, n)],
    ]
)


@given(
    st.lists(COLUMNS, min_size=1, max_size=5),
    st.integers(0, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["a,b,c,d,e", "0,1,2,3,4", "index,id,x,y,y", "", '"a,é,b,c,d']),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4), CELLS), max_size=2),
    st.sampled_from([",", ";", "\t", ", "]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_trains_a_model_or_is_refused_in_a_sentence(
    run, tmp_path, columns, rows, seed, header, changes, comma
):
    rng = np.random.default_rng(seed)
    cells = [list(map(str, column(rows, rng))) for column in columns]
    for row, column, cell in changes:
        if row < rows and column < len(cells):
            cells[column][row] = cell
    names = header.split(",")[: len(columns)] if header else []
    lines = [
        comma.join(row)
        for row in ([names] if names else []) + [*zip(*cells, strict=True)]
    ]
    path = tmp_path / "any.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    model = tmp_path / "model.tg"
    model.unlink(missing_ok=True)
    options = ["--epochs", 1, "--layers", 2, "--save", model]
    status, out, err = run("train", path, *options)
    told = err.splitlines()
    assert all(line.startswith("tensorgrad: ") for line in told)
    if status == 2:
        assert out == ""
        assert len(told) == 1
        return
    assert status == 0 or (status == 1 and "the loss became" in err)
    counted = re.search(r": (\d+) rows, (\d+) held out; (.*)\n", out)
    used, held = map(int, counted.groups()[:2])
    assert 2 <= used + held <= rows + 1
    assert all(": warning: " in line for line in told[: None if status == 0 else -1])
    # What was learned from can be predicted, in the same order and as many rows.
    assert run("info", model)[0] == 0
    status, out, err = run("predict", model, path)
    assert status == 0
    assert len(pd.read_csv(io.StringIO(out), skip_blank_lines=False)) >= used + held


def test_a_huge_held_out_value_is_no_traceback(run, tmp_path):
    path = tmp_path / "far.csv"
    for seed in range(8):
        rows = [f"{1e38 if i == 3 else i},{i % 2}\n" for i in range(10)]
        path.write_text("a,t\n" + "".join(rows))
        status, out, err = run("train", path, "--epochs", 2, "--seed", seed)
        assert status in (0, 2)
        assert err.count("\n") == (1 if status else 0)
        assert status or "held out: accuracy" in out


BAD_FILES = {
    "empty": ("", "got an empty file"),
    "only blank lines": ("\n\n", "got an empty file"),
    "header only": ("a,b\n", "expected rows of data below the header"),
    "no features": ("a\n1\n", "name what separates columns with --separator"),
    "long row": ("a,b\n1,x,2\n", "is no table: Error tokenizing data. C error: Exp"),
    "open quote": ('a,b\n1,x\n2,"y\n3,z\n', "EOF inside string"),
    "one class": ("a,b\n1,x\n2,x\n", "expected at least two classes, or numbers"),
    "one number": ("a,b\n1,2.5\n2,2.5\n", "expected at least two classes, or numb"),
    "no target": ("a,b\n1,\n2,nan\n", "column 'b', to be predicted, is empty"),
    "too few rows": ("a,b\n1,x\n2,y\n", "expected a class with at least two rows"),
    "twice": ("a,a\n1,x\n", "got 'a' more than once"),
    "too large": ("a,b\n" + "1,x\n1e308,x\n-1e308,y\n" * 9, "too large to standardise"),
    "large target": (
        "a,b\n0,0.5\n" + "1,1e308\n2,-1e308\n" * 9,
        "too large to standardise",
    ),
    "zeros": ("a,b\n1,\0\n", "is no text, or in an --encoding that must be named"),
    "no text": ("a,b\n1,\udc81\n", "the file is no text in UTF-8"),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file(refused, tmp_path, content, words):
    path = tmp_path / "bad.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    message = refused("train", path)
    assert words in message
    assert message.startswith(f"tensorgrad: {path}: ")


def test_other_bad_files(refused, tmp_path, blobs):
    assert "got a folder" in refused("train", tmp_path)
    assert "no such file" in refused("train", tmp_path / ("a" * 300))
    words = "no column 'bush' to use as the target; the columns are 'width', 'height'"
    assert words in refused("train", blobs, "--target", "bush")
    words = "and a regression needs numbers; choose another column with --target"
    assert words in refused("train", blobs, "--task", "regression")
    assert "no encoding 'morse'" in refused("train", blobs, "--encoding", "morse")
    for ending in (".gz", ".bz2", ".xz", ".zip", ".parquet"):
        path = tmp_path / f"broken{ending}"
        path.write_bytes(b"PK\3\4 no archive")
        assert refused("train", path)


def test_without_pandas_the_extra_is_named(refused, blobs, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    message = refused("train", blobs)
    assert f"reading {blobs} needs pandas; type pip install -e '.[data]'" in message


# Reading.

PLAIN = "a,b,kind\n1,2,x\n3,4.5,y\n-5,6e1,x\n"


def written(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n  \n",
        "\n" + PLAIN.replace("\n", "\n\n"),
        PLAIN.replace("a,b,kind", " a ,b  , kind "),
        PLAIN.replace(",", " , "),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        '"a","b","kind"\n"1","2","x"\n3, "4.5","y"\n-5,6e1,x\n',
    ],
)
def test_the_same_table_written_otherwise(tmp_path, content):
    expected = table.read(written(tmp_path, PLAIN)).frame
    pd.testing.assert_frame_equal(
        table.read(written(tmp_path, content)).frame, expected
    )
    assert list(expected.columns) == ["a", "b", "kind"]
    assert table.as_numbers(expected["b"]).tolist() == [2, 4.5, 60]


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zip", "parquet"])
def test_compressed_files_and_parquet(tmp_path, ending):
    expected = table.read(written(tmp_path, PLAIN)).frame
    path = str(tmp_path / f"table.csv.{ending}")
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        pd.read_csv(io.StringIO(PLAIN)).to_parquet(path)
    else:
        pd.read_csv(io.StringIO(PLAIN)).to_csv(path, index=False)
    frame = table.read(path).frame
    for name in expected:
        same = table.as_numbers if name != "kind" else table.as_text
        assert same(frame[name]).tolist() == same(expected[name]).tolist()


def test_types_of_parquet(run, refused, tmp_path):
    pytest.importorskip("pyarrow")
    path, other = tmp_path / "typed.parquet", tmp_path / "typed.csv"
    frame = pd.DataFrame(
        {
            "whole": pd.array([None, *range(1, N)], "Int64") // 7,
            "flag": pd.array([None, *(A[1:] > 0)], "boolean"),
            "kind": pd.Categorical(KIND),
            "when": pd.date_range("2024", periods=N, tz="Europe/Rome"),
            "length": pd.to_timedelta(A, unit="h"),
            7: [b"a", b"b"] * (N // 2),
            "y": pd.array([None, *(B[1:] > 0)], "boolean"),
        }
    )
    frame.columns = map(str, frame.columns)
    frame.to_parquet(path)
    model = tmp_path / "model.tg"
    status, out, _ = run("train", path, "--epochs", 2, "--save", model)
    assert status == 0
    assert "classification of 'y': 2 classes" in out
    assert "2 numbers, 3 categories as 7 columns of 0 and 1, 1 date as 3 " in out
    assert "'y'" in refused("train", path, "--task", "regression")
    assert "holds 60 different labels" in refused("train", path, "--target", "when")
    status, out, _ = run("predict", model, path)
    assert status == 0
    frame["length"] = frame["length"].dt.total_seconds()
    frame.to_csv(other, index=False)
    assert run("predict", model, other)[1] == out


def test_separators_and_encodings_may_be_named(tmp_path):
    path = written(tmp_path, "a kind\n1 é\n 2  y\n".encode("latin-1"))
    frame = table.read(path, separator=" ", encoding="latin-1").frame
    assert frame["kind"].tolist() == ["é", "y"]
    path = written(tmp_path, "a#kind\n1#é\n".encode("cp1252"))
    read = table.read(path, separator="#")
    assert read.frame["kind"].tolist() == ["é"]
    assert read.notes == ("the file is no UTF-8, and is read as Windows-1252",)


def test_quoted_cells_may_hold_separators_quotes_and_line_ends(tmp_path):
    path = written(tmp_path, '"a,b",kind\n1,"x, ""y"""\n2,"two\nlines"\n')
    frame = table.read(path).frame
    assert list(frame.columns) == ["a,b", "kind"]
    assert frame["kind"].tolist() == ['x, "y"', "two\nlines"]


# Columns of all kinds, and their use.


def mixed(rows, seed=0):
    """Return a data frame of numbers, categories and dates, with gaps."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows).round(1),
            "city": rng.choice(["Rome", "Oslo", "Lima"], rows),
            "when": pd.date_range("2023-01-01", periods=rows).strftime("%d.%m.%Y"),
            "vip": rng.random(rows) > 0.5,
            "name": [f"person {k}" for k in range(rows)],
            "empty": "",
        }
    )
    score = frame["age"] + 20 * (frame["city"] == "Rome") + 5 * frame["vip"]
    frame["spent"] = (score + rng.normal(0, 2, rows)).round(2)
    frame["bought"] = np.where(score > 47, "yes", "no")
    frame["age"] = frame["age"].mask(rng.random(rows) < 0.1)
    frame["city"] = frame["city"].mask(rng.random(rows) < 0.1)
    return frame


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    mixed(300).to_csv(path, index=False)
    return path


@pytest.fixture
def buyers(run, people, tmp_path):
    """Train a classifier of people; return its file."""
    path = tmp_path / "buyers.tg"
    frame = mixed(300).drop(columns="spent")
    frame.loc[3, "bought"] = None
    frame.to_csv(people, index=False)
    assert run("train", people, "--epochs", 60, "--save", path)[0] == 0
    return path


def test_what_is_done_with_columns_is_said(run, people):
    status, out, err = run("train", people, "--epochs", 40)
    assert status == 0
    assert err.splitlines() == [
        f"tensorgrad: warning: {people}: column {name} and is left out of the features"
        for name in (
            "'empty' is empty",
            "'name' holds another text in nearly every row",
        )
    ]
    first, second, third = out.splitlines()[:3]
    gaps = mixed(300).isna().sum()
    assert first == (
        f"{people}: 240 rows, 60 held out; classification of 'bought': 2 classes"
    )
    assert second == (
        "features: 2 numbers, 2 categories as 6 columns of 0 and 1, 1 date as 3 "
        f"numbers, missing values ('age' {gaps['age']}, 'city' {gaps['city']}) "
        "replaced by the median, or a category of their own"
    )
    assert third == "model 12-64-2; adam with lr 0.05, decay 0.001"
    assert float(re.search(r"held out: accuracy ([\d.]+)", out)[1]) > 0.8


def test_a_regression(run, people, tmp_path):
    path = tmp_path / "model.tg"
    frame = mixed(300).drop(columns="bought")
    frame.to_csv(people, index=False)
    status, out, _ = run("train", people, "--save", path, "--layers", 16)
    assert status == 0
    assert "regression of 'spent', which holds " in out
    r2, error = re.search(r"held out: R2 ([\d.]+), error ([\d.]+) on 60", out).groups()
    assert float(r2) > 0.7
    assert float(error) < 6
    status, out, _ = run("predict", path, people)
    predicted = pd.read_csv(io.StringIO(out))["spent"]
    r2 = 1 - ((predicted - frame["spent"]) ** 2).mean() / frame["spent"].var(ddof=0)
    assert run("evaluate", path, people)[1].startswith(f"R2 {r2:.4f}, root mean squ")


def test_the_encoding_is_that_of_scikit_learn(tmp_path):
    compose = pytest.importorskip("sklearn.compose")
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(0)
    frame = mixed(400)[["age", "city"]]
    frame["rare"] = [f"c{k}" for k in rng.geometric(0.03, 400)]
    train, new = frame[:300], frame[300:]
    columns = [
        encoders.Column("age", "number"),
        encoders.Column("city", "category"),
        encoders.Column("rare", "category"),
    ]
    learned = encoders.fit(columns, train, "here")
    one_hot = OneHotEncoder(
        max_categories=encoders.MOST_CATEGORIES,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    )
    theirs = compose.ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
             ["age"]),
            ("c", one_hot, ["city", "rare"]),
        ]
    )  # fmt: skip
    theirs.fit(train.fillna({"city": ""}))
    for rows in (train, new):
        expected = theirs.transform(rows.fillna({"city": ""}))
        np.testing.assert_allclose(
            encoders.encode(learned, rows, "here"), expected, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%d.%m.%Y", "%m/%d/%Y",
     "%d/%m/%Y", "%d.%m.%Y %H:%M", "%d %b %Y", "%Y/%m/%d", "%B %d, %Y"],
)  # fmt: skip
def test_dates_in_many_forms(form):
    times = pd.Series(pd.date_range("2023-01-05 06:00", periods=60, freq="31h"))
    text = times.dt.strftime(form)
    written = encoders.date_format(text)
    read = encoders.as_times(text, written)
    day = times if "H" in form else times.dt.normalize()
    assert (read == day).all()
    column = encoders.Column("when", "date", encoders.PARTS, written)
    days, of_year, weekday, hour = column.numbers(text).T
    assert days[0] == pytest.approx(19362 + (0.25 if "H" in form else 0))
    assert (of_year[0], weekday[0]) == (5, 3)
    assert hour[0] == (6 if "H" in form else 0)


@pytest.mark.parametrize("text", ["12-34", "v1.2.3", "a", "May", "10:30", "1/2"])
def test_what_is_no_date(text):
    assert encoders.date_format(pd.Series([text, None])) == ""


def test_predict_takes_columns_in_any_order_and_says_what_is_new(
    run, refused, buyers, tmp_path
):
    frame = mixed(50, seed=1).drop(columns=["bought", "spent"])
    plain, other = tmp_path / "plain.csv", tmp_path / "other.csv"
    frame.to_csv(plain, index=False)
    frame[frame.columns[::-1]].to_csv(other, index=False, sep=";")
    status, out, err = run("predict", buyers, plain)
    assert (status, err) == (0, "")
    labels = pd.read_csv(io.StringIO(out))["bought"]
    assert len(labels) == 50
    assert set(labels) == {"yes", "no"}
    assert run("predict", buyers, other) == (0, out, "")

    target = tmp_path / "out.csv"
    status, printed, _ = run(
        "predict", buyers, plain, "--probabilities", "--output", target
    )
    assert printed == f"written: {target}, 50 rows\n"
    chances = pd.read_csv(target)
    assert list(chances.columns) == ["no", "yes"]
    assert np.allclose(chances.sum(axis=1), 1)
    assert (chances.idxmax(axis=1) == labels).all()

    frame["age"] = frame["age"].astype(object)
    frame.loc[[1, 2], "city"] = "Paris"
    frame.loc[4, "age"] = "old"
    frame.loc[5, "when"] = "soon"
    frame.to_csv(plain, index=False)
    status, _, err = run("predict", buyers, plain)
    assert status == 0
    assert err.splitlines() == [
        f"tensorgrad: warning: {plain}: column {sentence}"
        for sentence in (
            "'age': 'old' is no number, and is taken for missing",
            "'city': 'Paris' is no category that the training had, nor are those of 1 "
            "more rows",
            "'when': 'soon' is no date, and is taken for missing",
        )
    ]
    frame.drop(columns="age").to_csv(plain, index=False)
    assert "there is no column 'age', which the model was trained with" in refused(
        "predict", buyers, plain
    )
    assert "no such file" in refused("predict", buyers, tmp_path / "none.csv")


def test_evaluate(run, refused, buyers, people, tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    pytest.importorskip("matplotlib")
    picture = tmp_path / "confusion.png"
    status, out, err = run("evaluate", buyers, people, "--plot", picture)
    assert status == 0
    assert "rows without a value of 'bought' left out: 1" in err
    assert picture.read_bytes()[1:4] == b"PNG"
    truth = pd.read_csv(people)["bought"]
    predicted = pd.read_csv(io.StringIO(run("predict", buyers, people)[1]))["bought"]
    known = truth.notna()
    report = metrics.classification_report(truth[known], predicted[known], digits=4)
    assert report in out
    pd.read_csv(people).drop(columns="bought").to_csv(people, index=False)
    assert "there is no column 'bought' to compare with" in refused(
        "evaluate", buyers, people
    )


def test_evaluate_counts_classes_that_are_new(run, buyers, people):
    frame = pd.read_csv(people)
    frame.loc[:9, "bought"] = "perhaps"
    frame.to_csv(people, index=False)
    status, out, _ = run("evaluate", buyers, people)
    assert status == 0
    assert re.search(r"perhaps +0.0000 +0.0000 +0.0000 +10\n", out)


def test_early_stopping_goes_back_to_the_best_epoch(run, people, tmp_path):
    path = tmp_path / "model.tg"
    _, out, _ = run("train", people, "--patience", 5, "--save", path)
    best, done = map(int, re.search(r"of (\d+) epochs, after (\d+) epo", out).groups())
    assert done == best + 5
    plain = tmp_path / "plain.tg"
    run("train", people, "--epochs", best, "--save", plain)
    weights = tg.train.load(plain)["network"]
    for name, array in tg.train.load(path)["network"].items():
        assert np.array_equal(array, weights[name])


def test_a_file_without_names_is_predicted_by_place(run, tmp_path):
    path, model = tmp_path / "plain.csv", tmp_path / "model.tg"
    path.write_text("\n".join(rows_of(A, B, KIND)))
    assert run("train", path, "--epochs", 5, "--save", model)[0] == 0
    assert len(run("predict", model, path)[1].splitlines()) == N + 1
    path.write_text("\n".join(rows_of(A, B)))
    assert len(run("predict", model, path)[1].splitlines()) == N + 1


def test_export_to_onnx_computes_the_same(run, buyers, people, tmp_path):
    onnx = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    pytest.importorskip("onnx")
    status, out, _ = run("export", buyers, "--onnx", path)
    assert status == 0
    assert "inputs are the 11 encoded features" in out
    model = models.load(str(buyers))
    x, _ = model.encoded(table.read(str(people)))
    session = onnx.InferenceSession(str(path))
    (logits,) = session.run(None, {"input_0": x})
    assert np.allclose(logits, model.network(x).numpy(), atol=1e-5)


def test_large_files_are_trained_in_batches(run, tmp_path):
    path = tmp_path / "large.csv"
    x = RNG.normal(size=(2600, 2))
    np.savetxt(path, np.c_[x, x[:, 0] > 0], "%.3f", ",", header="a,b,y", comments="")
    _, out, _ = run("train", path, "--epochs", 9)
    assert "steps are" not in out
    _, out, _ = run("train", path, "--epochs", 250)
    assert "steps are recorded and replayed" in out
    assert float(re.search(r"held out: accuracy ([\d.]+)", out)[1]) > 0.97
