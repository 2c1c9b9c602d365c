"""Completions and settings, and what holds of every text in their place."""

from pathlib import Path

import yaml

from tracekd.config import Settings, load_dataset, load_model, load_params
from tracekd.errors import TracekdError
from tracekd.traces.grammar import Trace, render
from tracekd.traces.reading import read

#: Names of the files of settings.
SETTINGS = ("params.yaml", "models.yaml", "datasets.yaml")
ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "The category of the question is: {class}."
COMPLETIONS = [
    render(trace, answers, SENTENCE).text
    for trace, answers in [
        (Trace(), ("kitchen",)),
        (Trace("counting", ("Mary took the apple.", "St Paul's <answer>")), ("n", "n")),
        (Trace("equal", ()), ("\u05d0\u05d1; x",)),
        (Trace(filler=5), ("yes",)),
    ]
]


def check_reading(text: str) -> str:
    """Read a text by the grammar; return the form that it was found to have.

    Raises:
        AssertionError: if it is called strict and is not what the grammar would write, or is
            called readable without an answer.
    """
    reading = read(text, SENTENCE)
    if reading.form == "strict":
        assert render(reading.trace, reading.answers, SENTENCE).text == text
    elif reading.form == "lenient":
        assert reading.answer_text
        assert all(reading.answers)
    else:
        assert reading.answers == ()
    return reading.form


def settings_file(name: str) -> bytes:
    """Return a file of settings of this repository, or a part of it."""
    raw = (ROOT / name).read_bytes()
    if name != "datasets.yaml":
        return raw
    entries = yaml.safe_load(raw)  # a third of the file: YAML is slow to read
    return yaml.safe_dump({key: entries[key] for key in ("babi", "babi_sim")}).encode()


def check_settings(name: str, raw: bytes, folder: Path) -> bool:
    """Load a file of settings; return whether it was taken rather than refused.

    Raises:
        AssertionError: if an error does not name the file, or settings do not mean what they say.
    """
    path = folder / name
    path.write_bytes(raw)
    try:
        found = load(path)
    except TracekdError as error:
        assert str(error).encode("utf-8", "backslashreplace")
        assert len(str(error)) < 5000, str(error)[:300]
        assert name in str(error), error
        return False
    for settings in found:
        again = yaml.safe_load(yaml.safe_dump(settings.model_dump(mode="json")))
        assert type(settings).model_validate(again) == settings
    return True


def load(path: Path) -> list[Settings]:
    if path.name == "params.yaml":
        return [load_params(path)]
    if path.name == "models.yaml":
        return [load_model(path, name) for name in ("smollm2", "llama", "tiny_qwen3")]
    return [load_dataset(path, name) for name in ("babi", "babi_sim")]
