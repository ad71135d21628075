"""The picture of the README and of the first page, from a real run.

python docs/pictures.py
"""

import subprocess
import sys
from pathlib import Path

PATH = Path(__file__).parent / "_static" / "spiral.png"

if __name__ == "__main__":
    command = ["train", "spiral", "--plot", str(PATH)]
    subprocess.run([sys.executable, "-m", "tensorgrad", *command], check=True)
