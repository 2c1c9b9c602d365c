"""HTML in one file that needs no network: script and style inside, data as compressed JSON.

A page's content security policy names the hashes of its script and style, so that nothing else
runs, and refuses every request. Data lie in an element that no browser executes; scripts read them
with `unpack` and show them as text.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
#: What all pages share: colours, letters and buttons; elements and numbers.
BASE, ELEMENTS = FOLDER / "base.css", FOLDER / "elements.js"


def render(template: Path, styles: Sequence[Path], scripts: Sequence[Path], **values: Any) -> str:
    """Return a template of Jinja2 with `values`, escaped, and with its style and script.

    The template puts them in with `{{ style | safe }}` and `{{ script | safe }}`, and the policy
    with `{{ policy }}`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    style, script = (
        "\n".join(p.read_text(encoding="utf-8") for p in of) for of in (styles, scripts)
    )
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        loader=FileSystemLoader(template.parent), autoescape=True, undefined=StrictUndefined
    )
    shown = environment.get_template(template.name)
    return shown.render(style=style, script=script, policy=policy, **values)


def packed(content: Any) -> str:
    """Return JSON, compressed and as letters; the same for the same content."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
