"""passes.c against the same functions in double precision, and where there is no compiler."""

import math
import shutil

import pytest
import torch

from tracekd.kernels import attention, causal, native, norms, rows
from tracekd.kernels.attention import RotaryCausalAttention
from tracekd.kernels.head import head_losses
from tracekd.kernels.norms import RmsNorm
from tracekd.kernels.shared_input import SwiGlu
from tracekd.kernels.starts import SharedStart

#: A number in bf16 has 8 significant bits.
ULP = 2**-8


@pytest.fixture
def one_thread(set_threads):
    set_threads(1)


@pytest.fixture
def compiled(one_thread, monkeypatch, tmp_path_factory):
    """Whatever is there of the compiled passes; without a compiler there is nothing to test."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) here")
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "compiled"))
    native.library.cache_clear()
    assert native.takes(random(1))
    yield
    native.library.cache_clear()


def random(*shape):
    return torch.randn(*shape).to(torch.bfloat16)


class Context:
    """What autograd's context is to a function, without autograd."""

    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors


def results(function, arguments, slope, dtype):
    """Return the output of `function` and its gradients, in one format."""

    def to(x):
        return x.to(dtype) if torch.is_tensor(x) and x.is_floating_point() else x

    context = Context()
    output = function.forward(context, *map(to, arguments))
    gradients = function.backward(context, to(slope))
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return [output, *(one for one in gradients if one is not None)]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("function", "arguments", "slope"),
    [
        (RmsNorm, lambda: (random(7, 50), random(50), 1e-5), (7, 50)),
        (RmsNorm, lambda: (random(1, 5, 3, 64), random(64), 1e-6), (1, 5, 3, 64)),
        (SwiGlu, lambda: (random(5, 2 * 37) * 4,), (5, 37)),
        (SwiGlu, lambda: (random(1, 2 * 1536),), (1, 1536)),
        (SwiGlu, lambda: (random(3, 2 * 64) * 400,), (3, 64)),
    ],
    ids=["norm", "norm of heads", "swiglu", "swiglu, wide", "swiglu, far out"],
)
def test_passes_come_to_what_double_precision_does(function, arguments, slope):
    torch.manual_seed(0)
    arguments, slope = arguments(), random(*slope)
    found = results(function, arguments, slope, torch.bfloat16)
    exact = results(function, arguments, slope, torch.float64)
    for one, other in zip(found, exact, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one.double(), other, rtol=2 * ULP, atol=ULP / 2)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(("block", "rows_"), [(256, 1), (256, 3), (4, 3)])
def test_attention_of_shared_starts_comes_to_what_double_precision_does(block, rows_, monkeypatch):
    monkeypatch.setattr(causal, "_ONE_BLOCK", block)
    monkeypatch.setattr(causal, "_BLOCK", block)
    torch.manual_seed(0)
    start, length = SharedStart(5 if rows_ > 1 else 0, rows_), 13
    tokens = start.columns + rows_ * (length - start.columns)
    heads = torch.split(random(1, tokens, 8, 6), [4, 2, 2], dim=2)
    angles = torch.randn(1, length, 3).repeat(1, 1, 2)
    cos, sin = (x.to(torch.bfloat16) for x in (angles.cos(), angles.sin()))
    arguments = (*heads, cos, sin, 0.5, start)
    slope = random(1, tokens, 4, 6)
    found = results(RotaryCausalAttention, arguments, slope, torch.bfloat16)
    exact = results(RotaryCausalAttention, arguments, slope, torch.float64)
    for one, other in zip(found, exact, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one.double(), other, rtol=4 * ULP, atol=4 * ULP)


@pytest.mark.usefixtures("compiled")
def test_cross_entropy_comes_to_what_double_precision_does():
    torch.manual_seed(0)
    hidden, weight, targets = random(5, 16).requires_grad_(), random(300, 16), torch.arange(5) * 70
    losses = head_losses(hidden, weight, targets)
    (slope,) = torch.autograd.grad(losses.sum(), hidden)
    logits = (hidden @ weight.t()).detach().double().requires_grad_()
    exact = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    (by_logits,) = torch.autograd.grad(exact.sum(), logits)
    torch.testing.assert_close(losses.double(), exact, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slope.double(), by_logits @ weight.double(), rtol=0.02, atol=0.02)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf])
def test_what_is_not_a_number_is_not_lost(bad):
    """A run stops at a loss that is not finite; a pass must not make it look finite."""

    def spoilt(*shape):
        x = random(*shape)
        x[..., 3] = bad
        return x

    ones = torch.ones(8, dtype=torch.bfloat16)
    assert not native.rms_norm(spoilt(2, 8), ones, 1e-5)[0].isfinite().all()
    assert not native.swiglu(spoilt(2, 8)).isfinite().all()
    assert not native.cross_entropy(spoilt(2, 8), torch.tensor([0, 1])).isfinite().any()
    scores = spoilt(8, 8)
    native.causal_softmax(scores, 8, 1.0)
    assert not scores[3:].isfinite().all(dim=1).any()
    assert scores[:3].isfinite().all(), "queries before it do not see it"


@pytest.mark.usefixtures("compiled")
def test_a_tensor_with_gaps_is_refused_not_misread():
    with pytest.raises(ValueError, match="gaps"):
        native.swiglu(random(4, 16)[:, ::2])
    with pytest.raises(ValueError, match="gaps"):
        native.to_rows(random(1, 3, 2, 16)[..., ::2], SharedStart(0, 1))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("target", [-100, 8])
def test_a_target_outside_the_vocabulary_is_refused(target):
    with pytest.raises(IndexError, match="8 tokens"):
        native.cross_entropy(random(2, 8), torch.tensor([0, target]))


@pytest.mark.usefixtures("compiled")
def test_other_formats_and_several_threads_are_left_to_torch():
    assert not native.takes(random(2).float())
    assert not native.takes(random(2), random(2).double())
    torch.set_num_threads(2)
    assert not native.takes(random(2))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_torch_does_the_same(compiler, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path))
    native.library.cache_clear()
    assert not native.takes(random(1))
    x = random(3, 8)
    norms.rms_norm(x, torch.ones(8, dtype=x.dtype), 1e-5)
    rows.to_rows(random(1, 3, 2, 8), SharedStart(0, 1))
    attention.attend(*(random(1, 3, 2, 8) for _ in range(3)), random(1, 3, 8), random(1, 3, 8), 1.0)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    native.library.cache_clear()


@pytest.mark.usefixtures("compiled")
def test_the_library_is_made_once_and_can_be_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path))
    native.library.cache_clear()
    assert native.library() is not None
    (made,) = (path for path in tmp_path.rglob("*") if path.is_file())
    before = made.stat().st_mtime_ns
    native.library.cache_clear()
    assert native.library() is not None
    assert made.stat().st_mtime_ns == before
    monkeypatch.setenv("TRACEKD_NATIVE", "0")
    native.library.cache_clear()
    assert native.library() is None
