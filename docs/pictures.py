"""The pictures of the tutorial and the README, from real runs.

python docs/pictures.py
"""

import subprocess
import sys
from pathlib import Path

import tensorgrad as tg

STATIC = Path(__file__).parent / "_static"


def softmax_jacobian():
    """Draw the Jacobian of the tutorial's page on softmax."""
    tg.plot.jacobian(tg.softmax, [1.0, 2.0, 0.5], STATIC / "softmax_jacobian.png")


def ravine():
    """Draw the two paths of the tutorial's page on momentum."""
    runs = {
        f"momentum {m:g}, rate 0.03": lambda p, m=m: tg.optim.SGD(
            p, lr=0.03, momentum=m
        )
        for m in (0.0, 0.8)
    }

    def valley(p):
        return 0.5 * (p[0] ** 2 + 50 * p[1] ** 2)

    path = STATIC / "ravine.png"
    tg.plot.descents(valley, [10.0, 1.0], runs, 60, path, columns=2, span=(-4.0, 11.0))


def spiral():
    """Draw the run that the README shows."""
    command = ["train", "spiral", "--plot", str(STATIC / "spiral.png")]
    subprocess.run([sys.executable, "-m", "tensorgrad", *command], check=True)


if __name__ == "__main__":
    softmax_jacobian()
    ravine()
    spiral()
