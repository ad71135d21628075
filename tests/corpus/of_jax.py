"""Right functions of JAX with its own gradients, through arrays."""

import jax
import jax.numpy as jnp
import jax.scipy as jsp
import numpy as np

from .case import Map, normal, uniform, words

REAL = normal(2, 3)
POSITIVE = uniform(0.4, 3.0, 2, 3)
INSIDE = uniform(-0.9, 0.9, 2, 3)
SHARE = uniform(0.05, 0.95, 2, 3)
OTHER = normal(2, 3, seed=1)
MATRIX = np.array([[2.0, 0.3, -0.1], [0.2, 1.5, 0.4], [0.1, -0.6, 1.2]])
DEFINITE = MATRIX @ MATRIX.T + np.eye(3)


def wrapped(name, f, *point):
    """Return a function of JAX as one of arrays."""

    def given(arrays):
        # As they come: whatever JAX does with complex numbers, it does.
        return list(map(jnp.asarray, arrays))

    def of_arrays(*arrays):
        with jax.enable_x64(True):
            return np.asarray(f(*given(arrays)))

    def vjp(g, *arrays):
        with jax.enable_x64(True):
            first, *rest = given((g, *arrays))
            found = jax.vjp(f, *rest)[1](first)
        parts = tuple(np.asarray(d) for d in found)
        return parts[0] if len(parts) == 1 else parts

    return Map(f"jax: {name}", of_arrays, vjp, point)


OF_REAL = words(
    "abs arctan arcsinh cos cosh deg2rad exp exp2 expm1 fabs negative rad2deg sin "
    "sinc sinh square tan tanh trunc cumsum cumprod sort sum mean std var prod "
    "max min ptp flip fliplr diff gradient median ediff1d trapezoid average "
    "nan_to_num unwrap cov"
)
OF_POSITIVE = words("log log10 log1p log2 sqrt cbrt reciprocal i0")
OF_INSIDE = words("arcsin arccos arctanh")
OF_TWO = words(
    "add subtract multiply divide arctan2 maximum minimum hypot logaddexp "
    "logaddexp2 fmax fmin copysign cross kron outer inner vdot"
)
ACTIVATIONS = words(
    "relu relu6 sigmoid softplus sparse_plus sparse_sigmoid soft_sign silu "
    "log_sigmoid leaky_relu hard_sigmoid hard_silu hard_tanh elu celu selu gelu "
    "squareplus mish softmax log_softmax logsumexp standardize"
)
SPECIAL = {
    "real": "erf erfc expit i0 i0e i1 i1e ndtr log_ndtr",
    "positive": "gammaln digamma entr expi exp1 gamma",
    "share": "logit ndtri erf_inv",
}
DENSITIES = {
    "real": "norm cauchy laplace logistic gumbel_l gumbel_r",
    "positive": "expon",
}
WITH_SHAPE = {"t": 3.5, "gamma": 2.3, "chi2": 5.0, "pareto": 2.5, "gennorm": 3.0}


def elementwise():
    """Yield functions that need a name and a point alone."""
    points = {"real": REAL, "positive": POSITIVE, "share": SHARE}
    for names, x in ((OF_REAL, REAL), (OF_POSITIVE, POSITIVE), (OF_INSIDE, INSIDE)):
        for name in names:
            f = getattr(jnp, name)
            yield (
                name,
                lambda a, f=f: jnp.stack(y) if isinstance(y := f(a), list) else y,
                x,
            )
    yield "arccosh", jnp.arccosh, 1.5 + POSITIVE
    for name in OF_TWO:
        yield name, getattr(jnp, name), REAL, OTHER
    yield "power", jnp.power, POSITIVE, REAL
    yield "float_power", jnp.float_power, POSITIVE, REAL
    yield "fmod", jnp.fmod, 3 * REAL, 0.7 + POSITIVE
    yield "remainder", jnp.remainder, 3 * REAL, 0.7 + POSITIVE
    yield "modf", lambda a: jnp.modf(a)[0], REAL
    for name in ACTIVATIONS:
        yield f"nn.{name}", getattr(jax.nn, name), REAL
    yield "nn.glu", lambda a: jax.nn.glu(a, 0), REAL
    for kind, names in SPECIAL.items():
        for name in names.split():
            f = getattr(jsp.special, name, None) or getattr(jax.lax, name)
            yield f"scipy.special.{name}", f, points[kind]
    for kind, names in DENSITIES.items():
        for name in names.split():
            law = getattr(jsp.stats, name)
            yield f"scipy.stats.{name}, logpdf", law.logpdf, points[kind]
            if hasattr(law, "cdf"):
                yield f"scipy.stats.{name}, cdf", law.cdf, points[kind]
    for name, shape in WITH_SHAPE.items():
        law = getattr(jsp.stats, name)
        x = REAL if name in ("t", "gennorm") else 1 + POSITIVE
        yield (
            f"scipy.stats.{name}, logpdf",
            lambda a, law=law, s=shape: law.logpdf(a, s),
            x,
        )
    yield (
        "scipy.stats.beta, logpdf",
        lambda a: jsp.stats.beta.logpdf(a, 2.0, 3.5),
        SHARE,
    )
    yield "scipy.special.betaln", jsp.special.betaln, POSITIVE, POSITIVE + 1
    yield "scipy.special.xlogy", jsp.special.xlogy, REAL, POSITIVE
    yield "scipy.special.xlog1py", jsp.special.xlog1py, REAL, POSITIVE
    yield "scipy.special.rel_entr", jsp.special.rel_entr, POSITIVE, POSITIVE + 1
    yield "scipy.special.kl_div", jsp.special.kl_div, POSITIVE, POSITIVE + 1
    yield "scipy.special.gammainc", jsp.special.gammainc, POSITIVE, POSITIVE + 1
    yield "scipy.special.gammaincc", jsp.special.gammaincc, POSITIVE, POSITIVE + 1
    yield "scipy.special.polygamma 1", lambda a: jsp.special.polygamma(1, a), POSITIVE
    yield "scipy.special.zeta in q", lambda a: jsp.special.zeta(2.0, a), POSITIVE
    yield (
        "scipy.special.multigammaln",
        lambda a: jsp.special.multigammaln(a, 2),
        1 + POSITIVE,
    )
    yield (
        "scipy.special.betainc in x",
        lambda a: jsp.special.betainc(2.0, 3.0, a),
        SHARE,
    )


def others():
    """Yield linear algebra, indexing, convolution, transforms and control flow."""
    one, two = jnp.linalg, jsp.linalg
    yield "linalg.inv", one.inv, MATRIX
    yield "linalg.det", one.det, MATRIX
    yield "linalg.slogdet", lambda a: one.slogdet(a)[1], MATRIX
    yield "linalg.solve", one.solve, MATRIX, normal(3)
    yield "linalg.cholesky", lambda a: one.cholesky(a @ a.T + jnp.eye(3)), MATRIX
    yield "linalg.eigvalsh", lambda a: one.eigvalsh(a + a.T), DEFINITE
    yield "linalg.svdvals", lambda a: one.svd(a, compute_uv=False), MATRIX
    yield "linalg.qr, R", lambda a: one.qr(a)[1], MATRIX
    yield "linalg.pinv", one.pinv, normal(4, 2)
    yield "linalg.lstsq", lambda a, b: one.lstsq(a, b)[0], normal(4, 2), normal(4)
    yield "linalg.matrix_power", lambda a: one.matrix_power(a, 3), MATRIX
    for order in (1, 2, "fro", "nuc", np.inf):
        yield f"linalg.norm {order}", lambda a, o=order: one.norm(a, o), MATRIX
    yield "scipy.linalg.expm", two.expm, 0.5 * MATRIX
    yield "scipy.linalg.lu, U", lambda a: two.lu(a)[2], MATRIX
    yield "scipy.linalg.solve_triangular", two.solve_triangular, MATRIX, normal(3)
    yield "scipy.linalg.block_diag", two.block_diag, MATRIX, REAL
    yield "scipy.linalg.toeplitz", two.toeplitz, normal(4)
    yield "matmul", jnp.matmul, normal(2, 2, 3), normal(3, 2)
    yield "einsum", lambda a, b: jnp.einsum("ij,kj->ik", a, b), REAL, MATRIX
    yield "tensordot", lambda a, b: jnp.tensordot(a, b, 2), normal(2, 2, 3), REAL
    yield "where", lambda a, b: jnp.where(a > 0, a, b), REAL, OTHER
    yield "clip", lambda a: jnp.clip(a, -0.3, 0.4), REAL
    yield "select", lambda a: jnp.select([a < -0.5, a < 0.5], [a**2, a**3], 2 * a), REAL
    yield "piecewise", lambda a: jnp.piecewise(a, [a > 0], [jnp.sin, jnp.exp]), REAL
    yield (
        "interp",
        lambda a, b: jnp.interp(a, jnp.linspace(-3, 3, 4), b),
        REAL,
        normal(4),
    )
    yield "take", lambda a: jnp.take(a, jnp.array([0, 2, 2]), axis=1), REAL
    yield "take_along_axis", lambda a: jnp.take_along_axis(a, a.argsort(1), 1), REAL
    yield "at, add", lambda a, b: a.at[jnp.array([0, 1, 1])].add(b), REAL, normal(3, 3)
    yield "at, set", lambda a, b: a.at[0].set(b), REAL, OTHER[0]
    yield "at, max", lambda a, b: a.at[0].max(b), REAL, OTHER[0]
    yield "at, multiply", lambda a, b: a.at[0].multiply(b), REAL, OTHER[0]
    segments = jnp.array([0, 1, 0, 1, 1])
    for name in ("segment_sum", "segment_max"):
        f = getattr(jax.ops, name)
        yield name, lambda a, f=f: f(a, segments, 2), normal(5)
    yield "quantile", lambda a: jnp.quantile(a, 0.3), REAL
    yield "percentile", lambda a: jnp.percentile(a, 60.0, axis=1), REAL
    yield "pad, reflected", lambda a: jnp.pad(a, 1, mode="reflect"), REAL
    yield "pad, wrapped", lambda a: jnp.pad(a, ((1, 0), (2, 1)), mode="wrap"), REAL
    yield "roll", lambda a: jnp.roll(a, 1, 1), REAL
    yield "repeat", lambda a: jnp.repeat(a, 2, 1), REAL
    yield "tile", lambda a: jnp.tile(a, (2, 2)), REAL
    yield "convolve", jnp.convolve, normal(6), normal(3)
    yield "correlate", jnp.correlate, normal(6), normal(3)
    yield "scipy.signal.convolve2d", jsp.signal.convolve2d, MATRIX, REAL
    yield "scipy.signal.detrend", jsp.signal.detrend, normal(7)
    yield "scipy.fft.dct", jsp.fft.dct, normal(6)
    yield "polyval", jnp.polyval, normal(4), REAL
    yield "vander", jnp.vander, normal(3)
    yield "corrcoef", jnp.corrcoef, normal(3, 5)
    yield (
        "fft",
        lambda a: jnp.stack([jnp.fft.fft(a).real, jnp.fft.fft(a).imag]),
        normal(7),
    )
    yield "rfft", lambda a: jnp.abs(jnp.fft.rfft(a)) ** 2, normal(8)
    yield "irfft", lambda a: jnp.fft.irfft(a[0] + 1j * a[1]), normal(2, 4)
    yield (
        "scipy.ndimage.map_coordinates",
        lambda a, c: jsp.ndimage.map_coordinates(a, [c[0], c[1]], 1),
        normal(4, 4),
        uniform(0.1, 2.9, 2, 5),
    )
    yield "lax.cumlogsumexp", jax.lax.cumlogsumexp, normal(5)
    yield "lax.cummax", jax.lax.cummax, normal(5)
    yield "lax.conv", _convolution, normal(1, 2, 4, 4), normal(2, 2, 3, 3)
    yield "lax.reduce_window", _largest_of_two, REAL
    yield (
        "lax.associative_scan",
        lambda a: jax.lax.associative_scan(jnp.multiply, a),
        normal(5),
    )
    yield "lax.scan", _recurrence, normal(3), normal(3, 3)
    yield "lax.map", lambda a: jax.lax.map(jnp.sin, a), REAL
    yield "checkpoint", jax.checkpoint(lambda a: jnp.sin(jnp.exp(a))), REAL
    yield "vmap of a norm", jax.vmap(jnp.linalg.norm), REAL
    yield (
        "the Hessian of a sum of tanh",
        jax.hessian(lambda a: jnp.tanh(a).prod()),
        normal(3),
    )


def _convolution(a, w):
    return jax.lax.conv(a, w, (1, 1), "SAME")


def _largest_of_two(a):
    return jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, (1, 2), (1, 1), "VALID")


def _recurrence(h, w):
    def step(state, _):
        new = jnp.tanh(w @ state)
        return new, new

    return jax.lax.scan(step, h, None, length=3)[1]


def functions():
    """Return all functions, in float64."""
    made = [elementwise(), others()]
    return [wrapped(name, f, *point) for some in made for name, f, *point in some]
