import os

import pytest
from training_runs import encoded, trained_weights

from tracekd.training import compiling
from tracekd.training.compiling import compile_layers, decoder_layers, will_compile


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """A compiler and the headers, as `will_compile` looks for them."""
    (tmp_path / "Python.h").touch()
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr(compiling.shutil, "which", lambda name: name)
    monkeypatch.setattr(compiling.sysconfig, "get_path", lambda _: str(tmp_path))
    return tmp_path


def test_auto_compiles_long_runs_only(tools):
    assert [will_compile("auto", tokens) for tokens in (40_000, 10**6)] == [False, True]
    assert [will_compile("never", 10**9), will_compile("always", 1)] == [False, True]


def test_compiled_code_is_kept_in_the_users_cache_or_where_the_user_says(tools, monkeypatch):
    monkeypatch.setenv("TRACEKD_CACHE", "/cache")
    will_compile("always", 1)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/cache/compiled"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/elsewhere")
    will_compile("always", 1)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/elsewhere"


def test_without_a_compiler_or_headers_training_is_eager_and_says_so(tools, monkeypatch, capsys):
    (tools / "Python.h").unlink()
    assert not will_compile("always", 1)
    assert "no C++ compiler (g++) or no Python headers" in capsys.readouterr().err
    (tools / "Python.h").touch()
    monkeypatch.setattr(compiling.shutil, "which", lambda _: None)
    assert not will_compile("auto", 10**6)
    assert "this machine has no C++ compiler" in capsys.readouterr().err
    assert not will_compile("auto", 1)
    assert not capsys.readouterr().err, "nothing is lacking that nobody needs"


def test_decoder_layers_are_found_with_and_without_an_adapter(workshop):
    base = workshop.student().get_base_model()
    assert [type(layer).__name__ for layer in decoder_layers(base)] == ["LlamaDecoderLayer"] * 2


@pytest.mark.slow
def test_compiled_layers_train_as_eager_ones(workshop):
    import torch

    ends = []
    for compiled in (False, True):
        model = workshop.student(dropout=0)
        if compiled:
            compile_layers(model.get_base_model())
        workshop.fit(model, encoded(6), dropout=0, warmup=0)
        ends.append(trained_weights(model))
    torch.testing.assert_close(ends[0], ends[1], atol=1e-4, rtol=0)
