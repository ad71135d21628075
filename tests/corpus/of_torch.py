"""Right functions of PyTorch with its own gradients, through arrays.

Left out, as their gradients are not right: ``hardsigmoid``, whose slope of 1/6 has the
digits of float32, and ``vander``, whose gradient raises.
"""

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from .case import Map, normal, uniform, words

torch.set_num_threads(1)


def wrapped(name, f, *point, dtype=torch.float64, smooth=True):
    """Return a function of tensors, computed in `dtype`, as one of arrays."""

    def tensors(arrays):
        # As they come: whatever PyTorch does with complex numbers, it does.
        given = [torch.from_numpy(np.array(a)) for a in arrays]
        return given if dtype == torch.float64 else [t.to(dtype) for t in given]

    def forward(*arrays):
        with torch.no_grad():
            return f(*tensors(arrays)).numpy()

    def vjp(g, *arrays):
        given = [t.requires_grad_() for t in tensors(arrays)]
        y = f(*given)
        found = torch.autograd.grad(
            y, given, torch.from_numpy(np.array(g)).to(dtype), allow_unused=True
        )
        parts = tuple(None if d is None else d.numpy() for d in found)
        return parts[0] if len(parts) == 1 else parts

    return Map(f"torch: {name}", forward, vjp, point, smooth)


REAL = normal(2, 3)
POSITIVE = uniform(0.4, 3.0, 2, 3)
INSIDE = uniform(-0.9, 0.9, 2, 3)
SHARE = uniform(0.05, 0.95, 2, 3)
OTHER = normal(2, 3, seed=1)
MATRIX = np.array([[2.0, 0.3, -0.1], [0.2, 1.5, 0.4], [0.1, -0.6, 1.2]])
DEFINITE = MATRIX @ MATRIX.T + np.eye(3)
IMAGE = normal(1, 2, 5, 5)
SIGNAL = normal(1, 2, 9)
LABELS = torch.tensor([1, 2])

OF_REAL = words(
    "abs arctan asinh atan ceil cos cosh deg2rad erf erfc exp exp2 expm1 floor "
    "frac neg positive rad2deg relu round sigmoid sign sin sinc sinh square tan "
    "tanh trunc nan_to_num special.expit special.i0 special.i0e special.i1 "
    "special.i1e special.ndtr special.log_ndtr special.erfcx cumsum cumprod "
    "logcumsumexp sort msort sum mean std var prod logsumexp softmax log_softmax "
    "norm amax amin aminmax flip roll diff trapezoid cumulative_trapezoid"
)
OF_POSITIVE = words(
    "log log10 log1p log2 sqrt rsqrt reciprocal lgamma digamma mvlgamma "
    "special.entr special.gammaln special.xlog1py acosh"
)
OF_INSIDE = words("asin acos atanh erfinv special.erfinv")
OF_SHARE = words("logit special.ndtri special.logit")
ACTIVATIONS = words(
    "celu elu gelu hardswish hardtanh leaky_relu logsigmoid mish relu6 selu silu "
    "softplus softshrink softsign tanhshrink hardshrink"
)
OF_TWO = words(
    "add sub mul atan2 maximum minimum hypot logaddexp logaddexp2 fmax fmin dist "
    "fmod remainder div true_divide copysign ldexp float_power xlogy"
)
ARGUMENTS = {
    "cumsum": (1,),
    "cumprod": (1,),
    "logcumsumexp": (1,),
    "logsumexp": (1,),
    "softmax": (1,),
    "log_softmax": (1,),
    "flip": ((1,),),
    "roll": (1, 1),
    "mvlgamma": (2,),
}


def looked_up(name):
    found = torch
    for part in name.split("."):
        found = getattr(found, part)
    return found


def first(y):
    return y if isinstance(y, torch.Tensor) else y[0]


def of_name(name):
    function, more = looked_up(name), ARGUMENTS.get(name, ())
    return lambda t: first(function(t, *more))


def by_name():
    """Yield functions that need a name and a point alone."""
    for names, x in (
        (OF_REAL, REAL),
        (OF_POSITIVE, POSITIVE),
        (OF_INSIDE, INSIDE),
        (OF_SHARE, SHARE),
    ):
        for name in names:
            if name in ("special.xlog1py", "acosh", "mvlgamma"):
                x = 1.5 + POSITIVE
            if name == "special.xlog1py":
                yield name, looked_up(name), POSITIVE, POSITIVE + 1
                continue
            yield name, of_name(name), x
    for name in ACTIVATIONS:
        yield f"F.{name}", getattr(F, name), REAL
    for name in OF_TWO:
        plain = name not in ("float_power", "xlogy", "fmod", "remainder", "ldexp")
        point = (REAL, OTHER) if plain else (POSITIVE, 0.7 + POSITIVE[::-1].copy())
        yield name, looked_up(name), *point


def layers():
    """Yield layers, poolings, paddings and losses."""
    w1, w2 = normal(3, 2, 3, seed=2), normal(3, 2, 2, 2, seed=2)
    x, t = REAL, OTHER
    yield "F.linear", F.linear, x, normal(4, 3, seed=2), normal(4, seed=3)
    yield "F.bilinear", F.bilinear, x, OTHER, normal(2, 3, 3, seed=2)
    yield "F.conv1d", F.conv1d, SIGNAL, w1
    yield (
        "F.conv1d, strided",
        lambda a, b: F.conv1d(a, b, stride=2, padding=1),
        SIGNAL,
        w1,
    )
    yield "F.conv1d, dilated", lambda a, b: F.conv1d(a, b, dilation=2), SIGNAL, w1
    yield "F.conv2d", F.conv2d, IMAGE, w2
    yield (
        "F.conv_transpose1d",
        lambda a, b: F.conv_transpose1d(a, b, stride=2),
        SIGNAL,
        normal(2, 2, 3, seed=2),
    )
    yield (
        "F.conv_transpose2d",
        lambda a, b: F.conv_transpose2d(a, b, stride=2),
        IMAGE[..., :3, :3],
        normal(2, 1, 2, 2, seed=2),
    )
    yield "F.avg_pool1d", lambda a: F.avg_pool1d(a, 3, 2, 1), SIGNAL
    yield (
        "F.avg_pool2d, ceil",
        lambda a: F.avg_pool2d(a, 2, 2, ceil_mode=True, count_include_pad=False),
        IMAGE,
    )
    yield "F.max_pool1d", lambda a: F.max_pool1d(a, 3, 2, 1), SIGNAL
    yield "F.max_pool2d", lambda a: F.max_pool2d(a, 2), IMAGE
    yield "F.lp_pool2d", lambda a: F.lp_pool2d(a, 3.0, 2), np.abs(IMAGE) + 0.1
    yield "F.adaptive_avg_pool2d", lambda a: F.adaptive_avg_pool2d(a, 3), IMAGE
    yield "F.adaptive_max_pool1d", lambda a: F.adaptive_max_pool1d(a, 4), SIGNAL
    for mode in ("reflect", "replicate", "circular", "constant"):
        yield f"F.pad, {mode}", lambda a, m=mode: F.pad(a, (2, 1), mode=m), SIGNAL
    for mode in ("bilinear", "bicubic", "nearest"):
        flag = {} if mode == "nearest" else {"align_corners": False}
        yield (
            f"F.interpolate, {mode}",
            lambda a, m=mode, k=flag: F.interpolate(a, scale_factor=1.6, mode=m, **k),
            IMAGE[:, :1],
        )
    yield (
        "F.interpolate, linear, aligned",
        lambda a: F.interpolate(a, 13, mode="linear", align_corners=True),
        SIGNAL,
    )
    grid = uniform(-0.95, 0.95, 1, 2, 3, 2, seed=4)
    yield (
        "F.grid_sample",
        lambda a, b: F.grid_sample(a, b, align_corners=False),
        IMAGE[:, :1],
        grid,
    )
    yield (
        "F.grid_sample, border",
        lambda a, b: F.grid_sample(a, b, padding_mode="border", align_corners=True),
        IMAGE[:, :1],
        1.3 * grid,
    )
    yield "F.unfold", lambda a: F.unfold(a, 2), IMAGE
    yield "F.fold", lambda a: F.fold(a, (4, 4), 2), normal(1, 4, 9)
    yield "F.pixel_shuffle", lambda a: F.pixel_shuffle(a, 2), normal(1, 4, 2, 2)
    yield "F.layer_norm", lambda a, w, b: F.layer_norm(a, (3,), w, b), x, t[0], t[1]
    yield "F.group_norm", lambda a: F.group_norm(a, 2), normal(2, 4, 3)
    yield "F.instance_norm", F.instance_norm, SIGNAL
    yield "F.rms_norm", lambda a, w: F.rms_norm(a, (3,), w, 1e-5), x, t[0]
    yield (
        "F.batch_norm, training",
        lambda a, w, b: F.batch_norm(a, None, None, w, b, training=True),
        normal(5, 3),
        t[0],
        t[1],
    )
    yield (
        "F.batch_norm, evaluation",
        lambda a: F.batch_norm(a, torch.zeros(3).double(), torch.ones(3).double()),
        normal(5, 3),
    )
    yield "F.local_response_norm", lambda a: F.local_response_norm(a, 2), SIGNAL
    yield "F.normalize", F.normalize, x
    yield "F.glu", lambda a: F.glu(a, 0), x
    yield "F.prelu", F.prelu, x, np.array([0.3])
    yield "F.softmin", lambda a: F.softmin(a, 1), x
    yield "F.threshold", lambda a: F.threshold(a, 0.1, 5.0), x
    yield "F.embedding", lambda w: F.embedding(torch.tensor([0, 2, 2]), w), normal(3, 2)
    yield (
        "F.embedding_bag",
        lambda w: F.embedding_bag(torch.tensor([[0, 2], [2, 1]]), w),
        normal(3, 2),
    )
    attention = F.scaled_dot_product_attention
    yield (
        "F.attention",
        attention,
        normal(1, 3, 2),
        normal(1, 4, 2),
        normal(1, 4, 2, seed=1),
    )
    yield (
        "F.attention, causal",
        lambda q, k, v: attention(q, k, v, is_causal=True),
        normal(1, 3, 2),
        normal(1, 3, 2, seed=1),
        normal(1, 3, 2, seed=2),
    )
    yield from losses()


def losses():
    """Yield losses."""
    x, t = REAL, OTHER
    share = torch.from_numpy(SHARE[::-1].copy())
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        yield f"F.{name}", getattr(F, name), x, t
    yield "F.cross_entropy", lambda z: F.cross_entropy(z, LABELS), x
    yield (
        "F.cross_entropy, smoothed",
        lambda z: F.cross_entropy(
            z,
            torch.tensor([1, -100]),
            torch.tensor([0.2, 1.0, 3.0], dtype=z.dtype),
            label_smoothing=0.2,
        ),
        x,
    )
    yield "F.nll_loss", lambda z: F.nll_loss(z, LABELS, reduction="none"), x
    yield "F.binary_cross_entropy", lambda p: F.binary_cross_entropy(p, share), SHARE
    yield (
        "F.binary_cross_entropy_with_logits",
        lambda z: F.binary_cross_entropy_with_logits(
            z, share.to(z.dtype), pos_weight=torch.tensor(3.0)
        ),
        x,
    )
    yield "F.kl_div", lambda z: F.kl_div(z, share.to(z.dtype), reduction="batchmean"), x
    yield "F.poisson_nll_loss", lambda z: F.poisson_nll_loss(z, share.to(z.dtype)), x
    yield "F.gaussian_nll_loss", F.gaussian_nll_loss, x, t, POSITIVE
    yield (
        "F.hinge_embedding_loss",
        lambda z: F.hinge_embedding_loss(z, torch.tensor([[1, -1, 1], [-1, 1, 1]])),
        x,
    )
    yield (
        "F.margin_ranking_loss",
        lambda a, b: F.margin_ranking_loss(a, b, torch.ones(2, 3), margin=0.3),
        x,
        t,
    )
    yield "F.multi_margin_loss", lambda z: F.multi_margin_loss(z, LABELS), x
    yield "F.soft_margin_loss", lambda z: F.soft_margin_loss(z, torch.ones(2, 3)), x
    yield "F.triplet_margin_loss", F.triplet_margin_loss, x, t, normal(2, 3, seed=2)
    yield "F.cosine_similarity", F.cosine_similarity, x, t
    yield (
        "F.cosine_embedding_loss",
        lambda a, b: F.cosine_embedding_loss(a, b, torch.tensor([1, -1])),
        x,
        t,
    )
    yield "F.pairwise_distance", F.pairwise_distance, x, t
    yield (
        "F.ctc_loss",
        lambda z: F.ctc_loss(
            torch.log_softmax(z, 2), torch.tensor([[1, 2]]), (5,), (2,)
        ),
        normal(5, 1, 3),
    )


def others():
    """Yield linear algebra, indexing, scans and transforms."""
    one = torch.linalg
    for name in ("inv", "det", "slogdet", "matrix_exp", "pinv", "svdvals", "cond"):
        f = getattr(one, name)
        yield (
            f"linalg.{name}",
            lambda a, f=f: f(a) if f is not one.slogdet else f(a)[1],
            MATRIX,
        )
    yield (
        "linalg.cholesky",
        lambda a: one.cholesky(a @ a.T + torch.eye(3).to(a)),
        MATRIX,
    )
    yield "linalg.eigvalsh", lambda a: one.eigvalsh(a + a.T), DEFINITE
    yield "linalg.qr, R", lambda a: one.qr(a)[1], MATRIX
    yield "linalg.solve", one.solve, MATRIX, normal(3)
    yield (
        "linalg.solve_triangular",
        lambda a, b: one.solve_triangular(a, b, upper=True),
        MATRIX,
        normal(3, 2),
    )
    yield "linalg.lstsq", lambda a, b: one.lstsq(a, b)[0], normal(4, 3), normal(4, 2)
    yield "linalg.lu, U", lambda a: one.lu(a)[2], MATRIX
    yield "linalg.matrix_power", lambda a: one.matrix_power(a, 3), MATRIX
    yield "linalg.multi_dot", lambda a, b: one.multi_dot([a, b, a]), MATRIX, DEFINITE
    yield "linalg.cross", one.cross, REAL, OTHER
    for order in (1, 2, 3, float("inf"), "fro", "nuc", -2):
        matrix = order in ("fro", "nuc", -2)
        norm = one.matrix_norm if matrix else one.vector_norm
        yield f"linalg.norm {order}", lambda a, o=order, n=norm: n(a, o), MATRIX
    yield "logdet", torch.logdet, DEFINITE
    yield "trace", torch.trace, MATRIX
    yield "matmul", torch.matmul, normal(2, 2, 3), normal(3, 2)
    yield "bmm", torch.bmm, normal(2, 2, 3), normal(2, 3, 2)
    yield "baddbmm", torch.baddbmm, normal(2, 2, 2), normal(2, 2, 3), normal(2, 3, 2)
    yield (
        "addmm",
        lambda a, b, c: torch.addmm(a, b, c, beta=0.3, alpha=1.7),
        MATRIX,
        MATRIX,
        DEFINITE,
    )
    yield "outer", torch.outer, normal(3), normal(4)
    yield "kron", torch.kron, MATRIX, REAL
    yield "einsum", lambda a, b: torch.einsum("ij,kj->ik", a, b), REAL, MATRIX
    yield "tensordot", lambda a, b: torch.tensordot(a, b, 2), normal(2, 2, 3), REAL
    yield "cdist", torch.cdist, REAL, normal(4, 3, seed=3)
    yield (
        "cdist of order 3",
        lambda a, b: torch.cdist(a, b, 3.0),
        REAL,
        normal(4, 3, seed=3),
    )
    yield "pdist", F.pdist, normal(4, 3)
    yield "where", lambda a, b: torch.where(a > 0, a, b), REAL, OTHER
    yield "clamp", lambda a: torch.clamp(a, -0.3, 0.4), REAL
    yield "lerp", torch.lerp, REAL, OTHER, SHARE
    yield "addcmul", torch.addcmul, REAL, OTHER, POSITIVE
    yield "addcdiv", torch.addcdiv, REAL, OTHER, POSITIVE
    yield "pow", torch.pow, POSITIVE, REAL
    yield (
        "igamma in x",
        lambda a: torch.special.gammainc(torch.tensor(1.5).to(a), a),
        POSITIVE,
    )
    yield "polygamma 2", lambda a: torch.polygamma(2, a), POSITIVE
    yield "zeta in q", lambda a: torch.special.zeta(2.0, a), POSITIVE
    yield "gather", lambda a: a.gather(1, torch.tensor([[0, 0], [2, 1]])), REAL
    yield "index_select", lambda a: a.index_select(1, torch.tensor([0, 2, 2])), REAL
    yield (
        "index_add",
        lambda a, b: a.index_add(1, torch.tensor([0, 2, 2]), b),
        REAL,
        OTHER,
    )
    yield "index_put", lambda a, b: a.index_put((torch.tensor([1]),), b), REAL, OTHER[0]
    yield (
        "scatter_add",
        lambda a, b: a.scatter_add(1, torch.tensor([[0, 0, 2]]), b[:1]),
        REAL,
        OTHER,
    )
    for how in ("sum", "prod", "mean", "amax"):
        yield (
            f"scatter_reduce, {how}",
            lambda a, b, h=how: a.scatter_reduce(
                1, torch.tensor([[0, 0, 2]]), b[:1], h
            ),
            REAL,
            OTHER,
        )
    yield "masked_fill", lambda a: a.masked_fill(a > 0.5, 2.0), REAL
    yield "masked_select", lambda a: a.masked_select(torch.ones(2, 3) > 0), REAL
    yield "take_along_dim", lambda a: torch.take_along_dim(a, a.argsort(1), 1), REAL
    yield "topk", lambda a: a.topk(2)[0], REAL
    yield "kthvalue", lambda a: a.kthvalue(2)[0], REAL
    yield "median", torch.median, REAL
    yield "quantile", lambda a: torch.quantile(a, 0.3), REAL
    yield "cummax", lambda a: torch.cummax(a, 1)[0], REAL
    yield "cov", torch.cov, normal(3, 5)
    yield "corrcoef", torch.corrcoef, normal(3, 5)
    yield "renorm", lambda a: torch.renorm(a, 2, 0, 0.5), REAL
    yield "repeat_interleave", lambda a: a.repeat_interleave(2, 1), REAL
    yield "tile", lambda a: torch.tile(a, (2, 2)), REAL
    yield "tril", torch.tril, MATRIX
    yield "rot90", torch.rot90, REAL
    yield "unfold", lambda a: a.unfold(1, 2, 1), REAL
    yield "cartesian_prod", torch.cartesian_prod, normal(2), normal(3)
    yield "fft", lambda a: torch.view_as_real(torch.fft.fft(a)), REAL
    yield "rfft", lambda a: torch.view_as_real(torch.fft.rfft(a)), SIGNAL
    yield "irfft", lambda a: torch.fft.irfft(torch.view_as_complex(a)), normal(4, 2)
    yield "stft", lambda a: torch.view_as_real(
        torch.stft(a, 4, 2, window=torch.ones(4).to(a), return_complex=True)
    ), normal(9)  # fmt: skip


def functions():
    """Return all functions, in float64."""
    made = [by_name(), layers(), others()]
    return [wrapped(name, f, *point) for some in made for name, f, *point in some]


def in_low_precision(dtype):
    """Return what PyTorch computes element by element, and reductions, in a precision
    below float64.
    """
    kind = torch.zeros(0, dtype=dtype).numpy().dtype
    made = []
    for name, f, *point in by_name():
        low = [np.asarray(x).astype(kind) for x in point]
        function = wrapped(name, f, *low, dtype=dtype)
        try:
            function.vjp(function.f(*low), *low)
        except RuntimeError:  # not implemented in this precision
            continue
        made.append(function)
    return made
