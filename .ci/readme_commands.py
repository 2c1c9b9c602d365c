"""Print the two commands that the README promises, in order.

Each stands alone in a shell block right after a line `<!-- command: NAME -->`.
"""

import re
import sys
from pathlib import Path

MARKED = re.compile(r"<!-- command: (?P<name>\w+) -->\s*```(?:sh|bash)\n(?P<command>[^\n]+)\n```")
EXPECTED = ["run", "test"]


def main() -> None:
    """Print the marked commands; fail if they are not the two expected."""
    readme = Path(__file__).resolve().parents[1] / "README.md"
    found = {m["name"]: m["command"] for m in MARKED.finditer(readme.read_text(encoding="utf-8"))}
    if list(found) != EXPECTED:
        sys.exit(f"README.md: expected commands marked {EXPECTED}, found {list(found)}")
    print("\n".join(found.values()))


if __name__ == "__main__":
    main()
