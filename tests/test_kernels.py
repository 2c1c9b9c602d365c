"""Each kernel against the layer it stands in for; gradients against finite differences."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import cross_entropy

from tracekd.config import TrainParams, load_model
from tracekd.kernels import attention, causal, layer, use_kernels
from tracekd.kernels.attention import attend, rotary_causal_attention
from tracekd.kernels.head import _LOGITS, head_losses
from tracekd.kernels.lora import DropoutMasks, lora_linear
from tracekd.kernels.norms import rms_norm
from tracekd.kernels.optimizer import FlatAdamW
from tracekd.kernels.shared_input import swiglu
from tracekd.kernels.starts import SharedStart
from tracekd.models.devices import Device
from tracekd.models.encoding import Encoded
from tracekd.models.loading import add_adapter, load_base
from tracekd.training.collation import IGNORED, collate
from tracekd.training.losses import supervised_losses

ROOT = Path(__file__).resolve().parents[1]
PARAMS = TrainParams(
    epochs=1, batch_size=2, learning_rate=1e-3, warmup=0, lora_rank=4, lora_alpha=8, lora_dropout=0
)
EXAMPLES = [
    Encoded("a", list(range(40, 60)), [5, 6, 7, 8, 9], 2),
    Encoded("b", list(range(90, 95)), [7, 9], 0),
    Encoded("c", [11], [12, 13, 14], 1),
]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))


def student(name, dtype=torch.float32, dropout=0.0):
    device = Device(torch.device("cpu"), dtype)
    params = PARAMS.model_copy(update={"lora_dropout": dropout})
    model = add_adapter(load_base(name, load_model(ROOT / "models.yaml", name), device), params, 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # B starts at zero, which would hide A
        for key, weight in model.named_parameters():
            if "lora_B" in key:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model.train()


def losses_and_gradients(model, examples=EXAMPLES):
    batch = collate(examples, range(len(examples)), pad_id=0)
    losses, in_answer = supervised_losses(model, batch)
    losses.mean().backward()
    return (
        losses.detach(),
        in_answer,
        {key: weight.grad for key, weight in model.named_parameters() if weight.requires_grad},
    )


def shared_inputs(model):
    found = [getattr(module, "shared_input", None) for module in model.modules()]
    return [one for one in found if one is not None]


@pytest.fixture(params=[True, False], ids=["whole layers", "parts of layers"])
def whole_layers(request, monkeypatch):
    """Compute layers as one function, or as their parts do that elsewhere."""
    if not request.param:
        monkeypatch.setattr(layer, "_LAYERS", set())


@pytest.mark.usefixtures("whole_layers")
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_losses_and_gradients_are_those_of_transformers_and_peft(name):
    plain, fused = student(name), student(name)
    use_kernels(fused, seed=0)
    assert len(shared_inputs(fused)) == 2 * 2
    expected, answers, expected_gradients = losses_and_gradients(plain)
    losses, in_answer, gradients = losses_and_gradients(fused)
    assert torch.equal(in_answer, answers)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    for key, gradient in gradients.items():
        assert float(expected_gradients[key].abs().max()) > 0, key
        torch.testing.assert_close(gradient, expected_gradients[key], rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("whole_layers")
@pytest.mark.parametrize("longest", [512, 10])
@pytest.mark.parametrize("block", [256, 4])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_a_common_start_is_computed_once_and_comes_to_the_same(name, block, longest, monkeypatch):
    start = list(range(40, 52))
    examples = [
        Encoded("a", [*start, 60, 61, 62], [5, 6, 7, 8], 2),
        Encoded("b", [*start, 70, 71], [7, 9], 0),
        Encoded("c", [*start, 60, 80], [12, 13, 14], 1),
    ]
    expected, answers, expected_gradients = losses_and_gradients(student(name), examples)
    monkeypatch.setattr(attention, "_LONGEST", longest)
    monkeypatch.setattr(causal, "_ONE_BLOCK", block)
    monkeypatch.setattr(causal, "_BLOCK", block)
    fused, seen = student(name), []
    use_kernels(fused, seed=0)
    fused.get_input_embeddings().register_forward_hook(
        lambda _, ids, __: seen.append(ids[0].numel())
    )
    losses, in_answer, gradients = losses_and_gradients(fused, examples)
    assert seen == [12 + 3 * 7]
    assert torch.equal(in_answer, answers)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)
    for key, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[key], rtol=1e-3, atol=1e-6)


def test_a_start_ends_where_rows_differ_or_where_they_begin_to_predict():
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 1, 9]])
    untaught = torch.full_like(ids, IGNORED)
    assert SharedStart.of(ids, untaught) == SharedStart(3, 2)
    labels = untaught.clone()
    labels[1, 2] = 7
    assert SharedStart.of(ids, labels) == SharedStart(1, 2), "6 predicts 7, in one row only"
    assert SharedStart.of(ids[:, 3:], untaught[:, 3:]) == SharedStart(0, 2)
    start = SharedStart(3, 2)
    assert start.pack(ids).tolist() == [[5, 6, 7, 8, 9, 1, 9]]
    assert torch.equal(start.unpack(start.pack(ids)), ids)
    assert SharedStart(4, 1).pack(ids[:1]).tolist() == [[5, 6, 7, 8, 9]]


def test_long_rows_go_to_torchs_attention_and_come_to_the_same(monkeypatch):
    expected = losses_and_gradients(student("tiny_llama"))
    monkeypatch.setattr(attention, "_LONGEST", 10)
    monkeypatch.setattr(attention, "rotary_causal_attention", None)  # not to be called
    fused = student("tiny_llama")
    use_kernels(fused, seed=0)
    losses, _, gradients = losses_and_gradients(fused)
    torch.testing.assert_close(losses, expected[0], rtol=1e-5, atol=1e-5)
    for key, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[2][key], rtol=1e-3, atol=1e-6)


def test_every_layer_of_a_known_model_has_its_kernel():
    model = student("tiny_qwen3")
    use_kernels(model, seed=0)
    own = {type(module).__name__ for module in model.modules() if "forward" in module.__dict__}
    parts = {"Qwen3Attention", "Qwen3MLP", "Qwen3RMSNorm"}
    assert own == {"Linear", "Qwen3DecoderLayer", *parts}
    adapted = [module for module in model.modules() if hasattr(module, "lora_A")]
    assert all("forward" in module.__dict__ for module in adapted)


@pytest.mark.usefixtures("whole_layers")
def test_adapter_in_fp32_learns_beside_a_base_model_in_bf16():
    model = student("tiny_llama", torch.bfloat16)
    use_kernels(model, seed=0)
    losses, _, gradients = losses_and_gradients(model)
    reference, _, expected = losses_and_gradients(student("tiny_llama"))
    torch.testing.assert_close(losses, reference, rtol=0.02, atol=0.02)
    for key, gradient in gradients.items():
        assert gradient.dtype == torch.float32
        cosine = torch.cosine_similarity(gradient.flatten(), expected[key].flatten(), dim=0)
        assert float(cosine) > 0.98, key


def test_masks_and_caches_still_work():
    plain, fused = student("tiny_llama"), student("tiny_llama")
    use_kernels(fused, seed=0)
    ids, mask = torch.tensor([[0, 40, 41], [42, 43, 44]]), torch.tensor([[0, 1, 1], [1, 1, 1]])
    head = plain.get_output_embeddings()
    with torch.no_grad():
        expected = plain(input_ids=ids, attention_mask=mask, use_cache=True)
        states = fused(input_ids=ids, attention_mask=mask, use_cache=True)
        torch.testing.assert_close(head(states.logits)[:, 1:], expected.logits[:, 1:])
        after = {"input_ids": torch.tensor([[50], [51]])}
        more = plain(**after, cache=expected.cache).logits
        states = fused(**after, cache=states.cache).logits
    torch.testing.assert_close(head(states), more)


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_gradient_of_lora_linear():
    torch.manual_seed(0)
    base = torch.nn.Linear(5, 4, dtype=torch.float64).requires_grad_(False)
    mask = torch.tensor([[0, 2, 2, 0, 2], [2, 2, 0, 0, 2.0], [2, 0, 2, 2, 0]]).double()[:, None]
    for dropped in (None, mask):
        assert gradcheck(
            lambda x, a, b, m=dropped: lora_linear(x, base.weight, base.bias, a, b, 0.7, m),
            (random(3, 1, 5), random(2, 5), random(4, 2)),
        )


def test_gradient_of_rms_norm():
    torch.manual_seed(0)
    weight = torch.randn(6, dtype=torch.float64)
    assert gradcheck(lambda x: rms_norm(x, weight, 1e-5), (random(3, 6),))


def test_gradient_of_swiglu():
    torch.manual_seed(0)
    assert gradcheck(swiglu, (random(3, 1, 8),))


@pytest.mark.parametrize("differ", ["dropout", "rank", "variant"])
def test_layers_that_are_not_alike_stay_apart(differ):
    plain, fused = (student("tiny_llama", dropout=0.5 * (differ == "dropout")) for _ in range(2))
    for model in (plain, fused):
        for name, module in model.named_modules():
            if differ == "rank" and name.endswith(("up_proj", "k_proj")):
                module.scaling["default"] *= 3
            if differ == "variant" and name.endswith(("up_proj", "k_proj")):
                module.lora_variant["default"] = "some variant"
    use_kernels(fused, seed=0)
    assert not shared_inputs(fused)
    if differ == "rank":
        expected, losses = losses_and_gradients(plain)[0], losses_and_gradients(fused)[0]
        torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)


def test_a_shared_matrix_is_in_memory_once_and_saved_weights_are_as_before(tmp_path):
    plain, fused = student("tiny_llama"), student("tiny_llama")
    use_kernels(fused, seed=0)
    attention = fused.get_base_model().model.layers[0].self_attn
    storages = {
        layer.base_layer.weight.untyped_storage().data_ptr()
        for layer in (attention.q_proj, attention.k_proj, attention.v_proj)
    }
    assert len(storages) == 1
    weights = fused.state_dict()
    for key, weight in plain.state_dict().items():
        assert torch.equal(weights[key], weight), key


@pytest.mark.parametrize("one_block", [5, 2])
def test_gradient_of_attention(one_block, monkeypatch):
    monkeypatch.setattr(causal, "_ONE_BLOCK", one_block)
    monkeypatch.setattr(causal, "_BLOCK", 2)
    torch.manual_seed(0)
    angles = torch.randn(1, 5, 2, dtype=torch.float64).repeat(1, 1, 2)
    assert gradcheck(
        lambda q, k, v: rotary_causal_attention(q, k, v, angles.cos(), angles.sin(), 0.5),
        (random(2, 5, 4, 4), random(2, 5, 2, 4), random(2, 5, 2, 4)),
    )


@pytest.mark.parametrize("length", [1, 256, 257, 300])
def test_blocks_of_attention_come_to_torchs_attention(length, monkeypatch):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, length, heads, 8) for heads in (4, 2, 2))
    angles = torch.randn(1, length, 4).repeat(1, 1, 2)
    found = attend(q, k, v, angles.cos(), angles.sin(), 0.3)
    monkeypatch.setattr(attention, "_LONGEST", 0)
    expected = attend(q, k, v, angles.cos(), angles.sin(), 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_head_losses_are_cross_entropy_in_parts_too(monkeypatch):
    torch.manual_seed(0)
    hidden, weight = torch.randn(7, 4, requires_grad=True), torch.randn(11, 4)
    targets, shares = torch.randint(11, (7,)), torch.rand(7)
    expected = cross_entropy(hidden @ weight.t(), targets, reduction="none")
    (slope,) = torch.autograd.grad((expected * shares).sum(), hidden)
    for logits in (_LOGITS, 3 * 11, 1):
        monkeypatch.setattr("tracekd.kernels.head._LOGITS", logits)
        losses = head_losses(hidden, weight, targets)
        (gradient,) = torch.autograd.grad((losses * shares).sum(), hidden)
        torch.testing.assert_close(losses, expected)
        torch.testing.assert_close(gradient, slope)


def test_flat_adamw_is_adamw_and_goes_on_from_a_saved_state():
    torch.manual_seed(0)
    options = {"lr": 1e-2, "weight_decay": 0.1}
    whole = [torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 40), (17, 2), (1, 1))]
    parted, resumed = ([torch.nn.Parameter(w.detach().clone()) for w in whole] for _ in "ab")
    plain, flat = torch.optim.AdamW(whole, fused=True, **options), FlatAdamW(parted, **options)
    again = None
    for step in range(6):
        if step == 3:
            for weight, kept in zip(resumed, parted, strict=True):
                weight.data.copy_(kept)
            again = FlatAdamW(resumed, **options)
            again.load_state_dict(deepcopy(flat.state_dict()))
        gradients = [torch.randn_like(weight) for weight in whole]
        for weights, optimizer in ((whole, plain), (parted, flat), (resumed, again)):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient.clone()
            if optimizer is not None:
                optimizer.step()
    for expected, one, other in zip(whole, parted, resumed, strict=True):
        assert torch.equal(one, expected)
        assert torch.equal(other, expected)


def test_masks_drop_the_asked_fraction_keep_the_mean_and_follow_the_seed():
    like = torch.ones(400, 500)

    def two(seed):
        torch.manual_seed(5)
        masks = DropoutMasks(seed)
        return masks.draw(0.25, like), masks.draw(0.25, like)

    first, second = two(0)
    assert abs(float((first == 0).float().mean()) - 0.25) < 0.01
    assert abs(float(first.mean()) - 1) < 0.01
    assert not torch.equal(first, second)
    assert torch.equal(first, two(0)[0])
    assert not torch.equal(first, two(1)[0])


def test_dropout_acts_in_training_only():
    model = student("tiny_llama", dropout=0.5)
    use_kernels(model, seed=0)
    batch = collate(EXAMPLES, [0, 1, 2], pad_id=0)
    with torch.no_grad():
        first, second = (supervised_losses(model, batch)[0] for _ in range(2))
        assert not torch.equal(first, second)
        model.eval()
        first, second = (supervised_losses(model, batch)[0] for _ in range(2))
        assert torch.equal(first, second)
