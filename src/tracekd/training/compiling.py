"""Decoder layers compiled by torch.compile, for runs long enough to repay it."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tracekd.config import cache_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: Training tokens from which `auto` compiles. A first compilation takes 20 to 40 seconds, and saves
#: SmolLM2-135M on two CPU cores 0.3 to 0.6 ms a token; larger models gain more.
_WORTH_TOKENS = 150_000


def will_compile(setting: Literal["auto", "always", "never"], tokens: int) -> bool:
    """Return whether to compile a run over so many tokens; print what the machine lacks for it.

    Call it before a model is loaded, which is when torch chooses where to keep what it compiles:
    here, in the user's cache folder, for later runs.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
    if setting == "never" or (setting == "auto" and tokens < _WORTH_TOKENS):
        return False
    compilers = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "c++"]
    has_compiler = any(map(shutil.which, compilers))
    has_headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    if not has_compiler or not has_headers:
        print(
            f"train.compile: {setting}, but this machine has no C++ compiler ({compilers[0]}) or "
            "no Python headers (Debian: python3-dev); training without compilation is slower",
            file=sys.stderr,
        )
    return has_compiler and has_headers


def compile_layers(base: "PreTrainedModel") -> None:
    """Compile each decoder layer when it is first called, for any batch size and width."""
    for layer in decoder_layers(base):
        layer.compile(dynamic=True)


def decoder_layers(base: "PreTrainedModel") -> "list[Any]":
    """Return the model's decoder layers; none if it keeps them otherwise than in one list."""
    from torch.nn import ModuleList

    count = base.config.get_text_config().num_hidden_layers
    lists = (part for part in base.modules() if isinstance(part, ModuleList) and len(part) == count)
    return list(next(lists, ()))
