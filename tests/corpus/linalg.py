"""Faults of linear algebra and of Fourier transforms."""

import numpy as np

from .case import Cases, normal

case = Cases()

SQUARE = np.array([[2.0, 0.3, -0.1], [0.2, 1.5, 0.4], [0.1, -0.6, 1.2]])
POSITIVE = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])


def symmetrised(x):
    return 0.5 * (x + x.T)


def upper_factor(x):
    return np.linalg.cholesky(np.triu(x) + np.triu(x, 1).T).T


def of_the_matrix(g, x):
    """Return the gradient of the upper factor, of a symmetric matrix."""
    low = upper_factor(x).T
    inner = np.tril(low.T @ g.T)
    inner -= 0.5 * np.diag(np.diag(inner))
    inverse = np.linalg.inv(low)
    return symmetrised(inverse.T @ inner @ inverse)


case(
    "Cholesky's factor: gradient for the triangle that is not read",
    "jax #40421",
    upper_factor,
    lambda g, x: of_the_matrix(g, x),
    lambda g, x: (
        2 * np.triu(of_the_matrix(g, x)) - np.diag(np.diag(of_the_matrix(g, x)))
    ),
    POSITIVE,
)


def adjugate(x):
    minors = [
        [
            np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) * (-1) ** (i + j)
            for j in range(len(x))
        ]
        for i in range(len(x))
    ]
    return np.array(minors)


case(
    "the determinant of a singular matrix: its inverse is asked for",
    "tensorflow #119477",
    np.linalg.det,
    lambda g, x: g * np.linalg.det(x) * np.linalg.inv(x).T,
    lambda g, x: g * adjugate(x),
    [[1.0, 2.0], [2.0, 4.0]],
    faults="raises, tie",
)


def cofactors(x):
    return np.linalg.det(x) * np.linalg.inv(x).T


def through_inverse(g, x):
    inverse = np.linalg.inv(x)
    return -np.linalg.det(x) * inverse.T @ g.T @ inverse.T


case(
    "the second derivative of a determinant without one of its terms",
    "tensorflow #55230",
    cofactors,
    through_inverse,
    lambda g, x: through_inverse(g, x) + np.sum(g * np.linalg.inv(x).T) * cofactors(x),
    SQUARE,
)


def unit_lower(x):
    return np.tril(x, -1) + np.eye(len(x))


def unit_solve(x, b):
    return np.linalg.solve(unit_lower(x), b)


def unit_gradient(g, x, b, k):
    db = np.linalg.solve(unit_lower(x).T, g)
    return np.tril(-np.outer(db, unit_solve(x, b)), k), db


case(
    "a triangular solve with ones on the diagonal: gradient for the diagonal",
    "pytensor #1230",
    unit_solve,
    lambda g, x, b: unit_gradient(g, x, b, 0),
    lambda g, x, b: unit_gradient(g, x, b, -1),
    SQUARE,
    normal(3),
)


def solve_gradient(g, x, b):
    db = np.linalg.solve(x.T, g)
    return -np.outer(db, np.linalg.solve(x, b)), db


case(
    "a solve with the transposed matrix: the gradient of one without",
    "pytensor #1230",
    lambda x, b: np.linalg.solve(x.T, b),
    solve_gradient,
    lambda g, x, b: (
        -np.outer(np.linalg.solve(x.T, b), np.linalg.solve(x, g)),
        np.linalg.solve(x, g),
    ),
    SQUARE,
    normal(3),
    faults="transposed",
)
case(
    "a solve that has no gradient for the matrix",
    "tenferro-rs #772",
    np.linalg.solve,
    lambda g, x, b: (None, np.linalg.solve(x.T, g)),
    solve_gradient,
    SQUARE,
    normal(3),
    faults="zero",
)
case(
    "a solve that goes back with the matrix, not with its transpose",
    "no report",
    np.linalg.solve,
    lambda g, x, b: (
        -np.outer(np.linalg.solve(x, g), np.linalg.solve(x, b)),
        np.linalg.solve(x, g),
    ),
    solve_gradient,
    SQUARE,
    normal(3),
    faults="transposed",
)


def singular_values(x):
    return np.linalg.svd(x, compute_uv=False)


def values_gradient(g, x):
    u, _, vt = np.linalg.svd(x)
    return (u * g) @ vt


def divided_by_gaps(g, x):
    s = singular_values(x)
    gaps = s[:, None] ** 2 - s**2 + np.eye(3)
    return values_gradient(g, x) + 0.0 * (np.ones((3, 3)) - np.eye(3)) / gaps


case(
    "singular values of a tiny matrix: the gaps of their squares are 0",
    "pytorch #194705",
    singular_values,
    divided_by_gaps,
    values_gradient,
    1e-165 * np.array([[3.0, 0.2, 0.1], [0.0, 2.0, 0.3], [0.1, 0.0, 1.0]]),
    faults="not a number",
)
case(
    "batches of products with a transposed operand",
    "chainer #4349",
    lambda a, b: np.swapaxes(a, 1, 2) @ b,
    lambda g, a, b: (g @ np.swapaxes(b, 1, 2), a @ g),
    lambda g, a, b: (b @ np.swapaxes(g, 1, 2), a @ g),
    normal(2, 3, 3),
    normal(2, 3, 3, seed=1),
    faults="transposed",
)
case(
    "the inverse, transposed on one side alone",
    "no report",
    np.linalg.inv,
    lambda g, x: -np.linalg.inv(x).T @ g @ np.linalg.inv(x),
    lambda g, x: -np.linalg.inv(x).T @ g @ np.linalg.inv(x).T,
    SQUARE,
    faults="transposed",
)
case(
    "the logarithm of a determinant with the inverse not transposed",
    "no report",
    lambda x: np.linalg.slogdet(x)[1],
    lambda g, x: g * np.linalg.inv(x),
    lambda g, x: g * np.linalg.inv(x).T,
    SQUARE,
    faults="transposed",
)


def exponential(x):
    y = term = np.eye(len(x), dtype=x.dtype)
    for k in range(1, 30):
        term = term @ x / k
        y = y + term
    return y


def exponential_gradient(g, x):
    n = len(x)
    block = np.block([[x.T, g], [np.zeros((n, n)), x.T]])
    return exponential(block)[:n, n:]


case(
    "the exponential of a matrix as if it commuted with the gradient",
    "no report",
    exponential,
    lambda g, x: exponential(x).T @ g,
    exponential_gradient,
    0.5 * SQUARE,
)
case(
    "eigenvalues of a symmetric matrix with eigenvectors in rows",
    "no report",
    lambda x: np.linalg.eigvalsh(symmetrised(x)),
    lambda g, x: (
        np.linalg.eigh(symmetrised(x))[1].T * g @ np.linalg.eigh(symmetrised(x))[1]
    ),
    lambda g, x: (
        np.linalg.eigh(symmetrised(x))[1] * g @ np.linalg.eigh(symmetrised(x))[1].T
    ),
    POSITIVE,
    faults="transposed",
)


def pinv_gradient(g, x, *, whole):
    p = np.linalg.pinv(x)
    found = -p.T @ g @ p.T
    if whole:
        m, n = x.shape
        found += (np.eye(m) - x @ p) @ g.T @ p @ p.T
        found += p.T @ p @ g.T @ (np.eye(n) - p @ x)
    return found


case(
    "the pseudoinverse of a tall matrix as if it were square",
    "no report",
    np.linalg.pinv,
    lambda g, x: pinv_gradient(g, x, whole=False),
    lambda g, x: pinv_gradient(g, x, whole=True),
    normal(4, 2),
)
case(
    "a quadratic form whose matrix is not symmetric",
    "no report",
    lambda x: x @ SQUARE @ x,
    lambda g, x: 2 * g * SQUARE @ x,
    lambda g, x: g * (SQUARE + SQUARE.T) @ x,
    normal(3),
)
case(
    "an outer product taken back by the same factor",
    "no report",
    np.outer,
    lambda g, a, b: (g @ b, g @ a),
    lambda g, a, b: (g @ b, g.T @ a),
    normal(3),
    normal(3, seed=1),
    faults="transposed",
)

# Fourier transforms, of real arrays to the real and imaginary parts.


def both(z):
    return np.stack([z.real, z.imag])


def as_complex(g):
    return g[0] + 1j * g[1]


case(
    "the Fourier transform is its own transpose but for a conjugation",
    "autograd #185",
    lambda x: both(np.fft.fft(x)),
    lambda g, x: np.fft.fft(as_complex(g)).real,
    lambda g, x: np.fft.fft(np.conj(as_complex(g))).real,
    normal(5),
)
case(
    "the Fourier transform of real numbers, inner frequencies halved",
    "pytorch_fft #38",
    lambda x: both(np.fft.rfft(x)),
    lambda g, x: (
        np.fft.irfft(as_complex(g) * np.array([1, 0.25, 0.25, 0.25, 1]), 8) * 8
    ),
    lambda g, x: np.fft.irfft(as_complex(g) * np.array([1, 0.5, 0.5, 0.5, 1]), 8) * 8,
    normal(8),
)


def back_to_real(g, doubled):
    z = np.fft.rfft(g) / 6
    return both(z * np.array([1, 2, 2, 1]) if doubled else z)


def of_parts(p):
    return np.fft.irfft(as_complex(p), 6)


INSIDE = np.array([[1.0, 1, 1, 1], [0.0, 1, 1, 0]])

case(
    "the inverse transform to real numbers: frequencies that stand for two",
    "Zygote.jl #1158",
    of_parts,
    lambda g, p: back_to_real(g, doubled=False) * INSIDE,
    lambda g, p: back_to_real(g, doubled=True) * INSIDE,
    normal(2, 4),
)
case(
    "an orthonormal transform taken back without its scale",
    "no report",
    lambda x: both(np.fft.fft(x, norm="ortho")),
    lambda g, x: np.fft.fft(np.conj(as_complex(g))).real,
    lambda g, x: np.fft.fft(np.conj(as_complex(g)), norm="ortho").real,
    normal(6),
    faults="factor",
)
case(
    "the squared magnitude of a complex product without the conjugate",
    "no report",
    lambda p: np.abs(as_complex(p) * (1 + 2j)) ** 2 + as_complex(p).real,
    lambda g, p: both(2 * g * 5 * np.conj(as_complex(p)) + g),
    lambda g, p: both(2 * g * 5 * as_complex(p) + g),
    normal(2, 3),
)
