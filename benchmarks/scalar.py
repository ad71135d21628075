"""Scalar programs with their gradients, beside C by hand.

    python benchmarks/scalar.py

What each takes, in microseconds: compiled here, and called from Python; the C function,
called from Python through ctypes with an array, for a new array of slopes; the C
function in a loop of its own. The ratios are compiled over each. Asserts that values
and gradients agree. Needs a C compiler (CC, or cc) and the extra `fast`.
"""

import ctypes
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from fair import alternate, in_clean_child

import tensorgrad as tg

C = r"""
#include <math.h>

double sines(const double *x, double *g)
{
    double a = x[0], b = tan(x[1]), z[21], c[20], d = 1, by_a = 0, by_b = 0;
    z[0] = 0.3;
    for (int k = 0; k < 20; k++) {
        c[k] = cos(z[k]);
        z[k + 1] = sin(z[k] * a) + 0.1 * b * c[k];
    }
    for (int k = 19; k >= 0; k--) {
        double slope = d * cos(z[k] * a);
        by_a += slope * z[k];
        by_b += d * 0.1 * c[k];
        d = slope * a - d * 0.1 * b * sin(z[k]);
    }
    g[0] = by_a;
    g[1] = by_b * (1 + b * b);
    return z[20];
}

double likelihood(const double *x, double *g)
{
    double over = exp(-x[1]), squares = 0, sum = 0;
    for (int i = 0; i < 50; i++) {
        double r = (x[2 + i] - x[0]) * over;
        squares += r * r;
        sum += r;
    }
    g[0] = -sum * over;
    g[1] = 50 - squares;
    return squares / 2 + 50 * x[1];
}

double rosenbrock(const double *x, double *g)
{
    double value = 0;
    for (int i = 0; i < 10; i++)
        g[i] = 0;
    for (int i = 0; i < 9; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        value += 100 * a * a + b * b;
        g[i] += -400 * a * x[i] - 2 * b;
        g[i + 1] += 200 * a;
    }
    return value;
}

double predator(const double *x, double *g)
{
    const double *p = x + 2;
    g[0] = p[0] * x[0] - p[1] * x[0] * x[1];
    g[1] = p[2] * x[0] * x[1] - p[3] * x[1];
    return 0;
}

double kalman(const double *x, double *g)
{
    double q = exp(x[0]), r = exp(x[1]), m = 0, p = 1, value = 0;
    double m_q = 0, m_r = 0, p_q = 0, p_r = 0, v_q = 0, v_r = 0;
    for (int t = 0; t < 20; t++) {
        p += q;
        p_q += 1;
        double s = p + r, over = 1 / s, e = x[2 + t] - m, gain = p * over;
        double s_q = p_q, s_r = p_r + 1, e2 = e * e * over;
        value += (log(s) + e2) / 2;
        v_q += (s_q * over * (1 - e2)) / 2 - e * m_q * over;
        v_r += (s_r * over * (1 - e2)) / 2 - e * m_r * over;
        double gain_q = (p_q - gain * s_q) * over, gain_r = (p_r - gain * s_r) * over;
        m_q += gain_q * e - gain * m_q;
        m_r += gain_r * e - gain * m_r;
        m += gain * e;
        p_q = p_q * (1 - gain) - p * gain_q;
        p_r = p_r * (1 - gain) - p * gain_r;
        p *= 1 - gain;
    }
    g[0] = v_q * q;
    g[1] = v_r * r;
    return value;
}

double many(double (*f)(const double *, double *), const double *x, double *g, long n)
{
    double sum = 0;
    for (long i = 0; i < n; i++)
        sum += f(x, g);
    return sum;
}
"""


def sines(a, b):
    """A chain of 20 sines."""
    x, slope = 0.3, np.tan(b)
    for _ in range(20):
        x = np.sin(x * a) + 0.1 * slope * np.cos(x)
    return x


def likelihood(mean, log_scale, points):
    """Minus the logarithm of the likelihood of points of a normal distribution."""
    return np.sum(((points - mean) / np.exp(log_scale)) ** 2) / 2 + 50 * log_scale


def rosenbrock(x):
    """Rosenbrock's valley in many dimensions."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def predator(y, p):
    """The right-hand side of Lotka and Volterra's equations."""
    y0, y1 = y
    return np.stack([p[0] * y0 - p[1] * y0 * y1, p[2] * y0 * y1 - p[3] * y1])


def kalman(log_q, log_r, points):
    """Minus the logarithm of the likelihood of a walk seen with noise."""
    q, r, mean, p, value = np.exp(log_q), np.exp(log_r), 0.0, 1.0, 0.0
    for t in range(len(points)):
        p = p + q
        s, error = p + r, points[t] - mean
        value = value + (np.log(s) + error**2 / s) / 2
        mean, p = mean + p / s * error, p * (1 - p / s)
    return value


RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=50)
PROGRAMS = {
    "chain of 20 sines": (tg.value_and_grad(sines, (0, 1)), (0.7, 0.2)),
    "likelihood of 50 points": (
        tg.value_and_grad(likelihood, (0, 1)),
        (0.3, -0.2, POINTS),
    ),
    "Rosenbrock, 10 variables": (tg.value_and_grad(rosenbrock), (RNG.normal(size=10),)),
    "right-hand side, 2 equations": (
        predator,
        (np.array([1.0, 2.0]), np.array([1.0, 0.5, 0.3, 0.7])),
    ),
    "Kalman filter, 20 steps": (
        tg.value_and_grad(kalman, (0, 1)),
        (-1.0, 0.2, POINTS[:20]),
    ),
}
BY_HAND = "sines", "likelihood", "rosenbrock", "predator", "kalman"
LOOP = 1000


def library(folder):
    """Return the C functions, compiled for this processor."""
    source, made = Path(folder, "scalar.c"), Path(folder, "scalar.so")
    source.write_text(C, "utf-8")
    options = ["-O3", "-march=native", "-shared", "-fPIC", "-o"]
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, *options, made, source, "-lm"], check=True)
    return ctypes.CDLL(str(made))


def compare(title, program, arguments, by_hand, many):
    """Assert that both agree, time them, print a row."""
    x = np.concatenate([np.ravel(argument) for argument in arguments])
    compiled = tg.compile(program, fused=True)
    for _ in range(3):
        found = compiled(*arguments)
    value, slopes = found if isinstance(found, tuple) else (0.0, found)
    slopes = np.ravel(slopes)
    by_hand.restype, by_hand.argtypes = ctypes.c_double, [ctypes.c_void_p] * 2
    many.restype = ctypes.c_double

    def called():
        out = np.empty(len(slopes))
        return by_hand(x.ctypes.data, out.ctypes.data), out

    expected = called()
    np.testing.assert_allclose(value, expected[0], rtol=1e-12)
    np.testing.assert_allclose(slopes, expected[1], rtol=1e-12)
    pointers = ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(expected[1].ctypes.data)
    times = alternate(
        {
            "compiled": lambda: compiled(*arguments),
            "called": called,
            "alone": lambda: many(by_hand, *pointers, ctypes.c_long(LOOP)),
        }
    )
    ours, called, alone = (1e6 * min(t) for t in times.values())
    alone /= LOOP
    print(
        f"{title:30}{ours:10.2f}{called:10.2f}{alone:10.3f}"
        f"{ours / called:13.1f}{ours / alone:13.1f}",
        flush=True,
    )


def main():
    """Print the table."""
    titles = f"{'compiled':>10}{'C called':>10}{'C alone':>10}"
    print(f"{'us':30}{titles}{'over called':>13}{'over alone':>13}")
    with tempfile.TemporaryDirectory() as folder:
        functions = library(folder)
        for (title, case), name in zip(PROGRAMS.items(), BY_HAND, strict=True):
            compare(title, *case, getattr(functions, name), functions.many)


if __name__ == "__main__":
    in_clean_child(main)
