"""`tensorgrad predict`, `evaluate`, `info` and `export`: a model that was saved."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import extras, formats
from ..files import replacement
from . import save, table
from .columns import labels_of
from .errors import UsageError
from .models import Model, load
from .tasks import read, warn
from .train import words_of

Array = NDArray[Any]


def predict(args: argparse.Namespace) -> int:
    """Write what a model predicts for the rows of a file, as CSV."""
    model = load(args.model)
    if args.probabilities and not model.classes:
        raise UsageError(
            f"--probabilities are those of classes, but {args.model} predicts numbers; "
            "leave it out"
        )
    path = args.output and save.checked(args.output, "--output", ("",))
    y, _ = _computed(model, args)
    pandas = extras.load("pandas", "data", "predict")
    if args.probabilities:
        frame = pandas.DataFrame(y, columns=model.classes)
    else:
        values = np.array(model.classes)[y.argmax(axis=1)] if model.classes else y
        frame = pandas.DataFrame({model.target: values})
    text = frame.to_csv(index=False, float_format="%.7g", lineterminator="\n")
    if not path:
        print(end=text)
        return 0
    with save.writing("--output"), replacement(path) as file:
        file.write(text.encode())
    print(f"written: {path}, {len(frame)} rows")
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Print how well a model predicts the target of a file."""
    model = load(args.model)
    picture = args.plot and save.checked(args.plot, "--plot", (".png", ".svg", ".pdf"))
    metrics = extras.load("sklearn.metrics", "data", "evaluate")
    plot = extras.load("matplotlib.figure", "plot", "--plot") if picture else None
    outputs, frame = _computed(model, args)
    if model.target not in frame.columns:
        raise UsageError(
            f"{args.data}: there is no column {model.target!r} to compare with; "
            "tensorgrad predict needs none"
        )
    truth = frame[model.target]
    known = truth.notna().to_numpy()
    if model.classes:
        truth = labels_of(truth, model.classes).to_numpy(object)
        pairs = truth[known], np.array(model.classes, object)[outputs.argmax(1)][known]
    else:
        numbers = table.as_numbers(truth).to_numpy()
        known = ~np.isnan(numbers)
        pairs = numbers[known], outputs[known]
    if not known.any():
        raise UsageError(f"{args.data}: column {model.target!r} holds no value")
    if not known.all():
        rows = int((~known).sum())
        warn(args.data, [f"rows without a value of {model.target!r} left out: {rows}"])
    _report(model, metrics, *pairs)
    if plot:
        figure = plot.Figure(layout="constrained")
        _draw(model, metrics, figure.subplots(), *pairs)
        with save.writing("--plot"):
            figure.savefig(picture)
        print(f"drawn: {picture}")
    return 0


def _computed(model: Model, args: argparse.Namespace) -> tuple[Array, table.Frame]:
    """Return the outputs of a model for a file, and the file's table."""
    whole = read(args, model.has_header)
    x, notes = model.encoded(whole)
    warn(args.data, notes)
    return model.outputs(x), whole.frame


def _report(model: Model, metrics: Any, truth: Array, predicted: Array) -> None:
    if model.classes:
        print(f"accuracy {np.mean(truth == predicted):.4f} on {len(truth)} rows\n")
        report = metrics.classification_report(
            *(truth, predicted), labels=_names(model, truth), digits=4, zero_division=0
        )
        print(end=report)
        return
    error = np.abs(truth - predicted)
    r2 = metrics.r2_score(truth, predicted) if len(truth) > 1 else np.nan
    print(
        f"R2 {r2:.4f}, root mean square error "
        f"{metrics.root_mean_squared_error(truth, predicted):.4g}, mean absolute error "
        f"{error.mean():.4g}, largest {error.max():.4g} on {len(truth)} rows"
    )


def _draw(model: Model, metrics: Any, ax: Any, truth: Array, predicted: Array) -> None:
    """Draw the confusion of classes, or predicted numbers above the true ones."""
    if model.classes:
        names = _names(model, truth)
        metrics.ConfusionMatrixDisplay.from_predictions(
            truth, predicted, labels=names, ax=ax, cmap="Blues", colorbar=False,
            xticks_rotation="vertical" if len(names) > 5 else "horizontal",
        )  # fmt: skip
    else:
        kind = {"kind": "actual_vs_predicted"}
        metrics.PredictionErrorDisplay.from_predictions(truth, predicted, ax=ax, **kind)
    ax.set_title(f"{model.target}: {len(truth)} rows")


def _names(model: Model, truth: Array) -> list[str]:
    """Return the classes of a model, and those that only the file has."""
    return [*model.classes, *sorted({*truth} - {*model.classes})]


def info(args: argparse.Namespace) -> int:
    """Print what a file of a model holds."""
    model = load(args.model)
    parameters = sum(p.size for p in model.network.parameters())
    kind = "classification" if model.classes else "regression"
    dropout = f", dropout {model.dropout:g}" if model.dropout else ""
    print(f"{kind} of {model.target!r}")
    print(f"model {model.shape}, {model.activation}{dropout}: {parameters} parameters")
    if model.classes:
        print(f"classes: {', '.join(model.classes)}")
    training = model.training
    epochs = training.get("epochs", "some")
    print(f"trained on {training['data']}: {training['optimizer']}, {epochs} epochs")
    for part, figures in training.get("scores", {}).items():
        print(f"{part}: {words_of(figures)}")
    print("columns:")
    for column in model.columns:
        print(f"  {column.name}: {column.kind}, {_encoding(column)}")
    return 0


def _encoding(column: Any) -> str:
    if column.kind == "category":
        names = [name.removeprefix(f"{column.name}=") for name in column.features]
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return ", ".join(names[:8]) + more
    numbers = zip(column.parts, column.mean, column.scale, strict=True)
    return ", ".join(f"{part} ({m:.4g} ± {s:.4g})".strip() for part, m, s in numbers)


def export(args: argparse.Namespace) -> int:
    """Write the network of a model as other programs read it."""
    model = load(args.model)
    if not (args.onnx or args.weights):
        raise UsageError("export: name a file to write: --onnx FILE or --weights FILE")
    features = len(model.features)
    model.network.eval()
    if args.onnx:
        path = save.checked(args.onnx, "--onnx", (".onnx",))
        with save.writing("--onnx"):
            formats.export_onnx(model.network, path, np.zeros((1, features), "f"))
        print(f"written: {path}")
    if args.weights:
        path = save.checked(args.weights, "--weights", (".npz", ".safetensors"))
        with save.writing("--weights"):
            formats.save_weights(path, model.network)
        print(f"written: {path}")
    print(f"inputs are the {features} encoded features of tensorgrad info")
    return 0
