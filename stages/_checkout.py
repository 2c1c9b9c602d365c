"""Import first: puts this checkout's `src` ahead of an editable install.

Queue and `--temp` runs happen in another checkout; an editable install would import the live one.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
