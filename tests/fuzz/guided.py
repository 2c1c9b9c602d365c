"""Fuzzing guided by coverage: atheris looks for inputs that take paths not taken before.

It holds every input to what the tests beside it hold theirs to, and stops at the first that breaks
it, which it prints and keeps.

    pip install -e '.[test,fuzz]'
    python tests/fuzz/guided.py "marco lines" -max_total_time=600

Arguments behind the target are libFuzzer's (https://llvm.org/docs/LibFuzzer.html#options).
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tracekd"]):
    import formats
    import generations
    import texts

Check = Callable[[bytes, Path], object]
#: Target -> what checks an input in a folder, and whole inputs to begin with.
TARGETS: dict[str, tuple[Check, list[bytes]]] = {
    "grammar": (
        lambda raw, _: texts.check_reading(raw.decode("utf-8", "replace")),
        [text.encode() for text in texts.COMPLETIONS],
    ),
    "generations": (generations.check, list(generations.FORMATS.values())),
    **{name: (partial(formats.check, form), [form.raw]) for name, form in formats.FORMATS.items()},
    **{
        name: (partial(texts.check_settings, name), [texts.settings_file(name)])
        for name in texts.SETTINGS
    },
}


def main() -> None:
    """Fuzz the target that is named first."""
    check, whole = TARGETS[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, raw in enumerate(whole):
            (corpus / str(number)).write_bytes(raw)
        atheris.Setup([*sys.argv, str(corpus)], lambda raw: check(raw, Path(folder)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
