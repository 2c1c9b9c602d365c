import pytest
import torch
from architectures import ARCHITECTURES
from training_runs import encoded, exact, trained_weights

from tracekd.errors import TracekdError
from tracekd.models.devices import free_memory
from tracekd.training import memory
from tracekd.training.memory import PassPlan, TokenBytes, plan_passes

MIB, GIB = 2**20, 2**30
SIZES = {  # hidden, intermediate, layers, heads, key heads, head width, vocabulary; MiB a token
    "llama 1b": ("llama", 2048, 8192, 16, 32, 8, 64, 128256, 1.7),
    "qwen3 1.7b": ("qwen3", 2048, 6144, 28, 16, 8, 128, 151936, 3.0),
    "llama 8b": ("llama", 4096, 14336, 32, 32, 8, 128, 128256, 6.4),
    "qwen3 8b": ("qwen3", 4096, 12288, 36, 32, 8, 128, 151936, 7.3),
}
KEPT, RECOMPUTED = 4 * MIB, MIB // 4
TOKEN = TokenBytes(KEPT, RECOMPUTED, head=GIB)


def config(model_type, hidden, inner, layers, heads, key_heads, width, vocabulary, _):
    from transformers import AutoConfig

    return AutoConfig.for_model(
        model_type, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=key_heads, head_dim=width,
        vocab_size=vocabulary,
    )  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_activations_of_a_token_are_near_the_measured_ones(name):
    found = config(*SIZES[name])
    token, logits = TokenBytes.of(found, dropout=False), 4 * found.vocab_size
    assert (token.kept - logits) / MIB == pytest.approx(SIZES[name][-1], rel=0.1)
    with_dropout = TokenBytes.of(found, dropout=True).kept - logits
    assert (token.kept - logits) * 4 / 3 <= with_dropout <= (token.kept - logits) * 1.55


def test_recomputed_activations_are_the_layers_inputs_and_one_layer():
    token = TokenBytes.of(config(*SIZES["llama 8b"]), dropout=False)
    layer = 21 * 4096 + 4 * 1024 + 9 * 14336
    assert token.recomputed == 2 * 4096 * 32 + layer + 4 * 128256


def test_scores_of_padded_batches_grow_with_their_width():
    plain, eager = (TokenBytes.of(config(*SIZES["llama 1b"]), False, n) for n in (0, 512))
    assert eager.kept - plain.kept == 10 * 32 * 512 * 16


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_configuration_has_an_estimate(name):
    from transformers import AutoConfig

    settings = dict(ARCHITECTURES[name])
    token = TokenBytes.of(AutoConfig.for_model(settings.pop("model_type"), **settings), False)
    assert token.kept > token.recomputed > 0


def tokens_for(bytes_left):
    return int((bytes_left * 10 // 9) + (GIB * 10 // 9))


@pytest.mark.parametrize("trained", [0, GIB])  # their gradients and moments are kept free
@pytest.mark.parametrize(
    ("fitting", "lengths", "setting", "expected"),
    [
        (10_000, [900] * 16, "auto", PassPlan(10_000, False)),
        (3_000, [900] * 16, "auto", PassPlan(16_384, True)),  # too few tokens to be fast
        (3_000, [900] * 2, "auto", PassPlan(3_000, False)),  # but all that a batch has
        (3_000, [3_100], "auto", PassPlan(16_384, True)),  # the longest example does not fit
        (3_000, [3_100], "never", PassPlan(3_000, False)),
        (10_000, [100], "always", PassPlan(16_384, True)),
        (40_000, [100], "auto", PassPlan(16_384, False)),
        (-9_000, [100], "auto", PassPlan(1, True)),
    ],
)
def test_passes_follow_from_free_memory(fitting, lengths, setting, expected, trained):
    free = tokens_for(fitting * KEPT + 3.5 * trained)
    plan = plan_passes(free, TOKEN, trained, lengths, setting)
    assert (plan.recompute, plan.packed) == (expected.recompute, False)
    assert plan.tokens == pytest.approx(expected.tokens, abs=1)


def test_without_known_memory_a_pass_has_a_fixed_size(workshop):
    assert free_memory(exact().device) is None
    params = workshop.params()
    plan = memory.prepare_passes(workshop.student(), exact(), params, [50], None)
    assert plan == PassPlan(2048, recompute=False, packed=False)


def test_a_model_without_the_memory_recomputes_by_itself(workshop):
    model = workshop.student()
    plan = memory.prepare_passes(model, exact(), workshop.params(), [50] * 4, 8 * MIB)
    assert plan.recompute
    assert model.get_base_model().model.gradient_checkpointing


def test_recomputed_activations_change_no_weight(workshop):
    ends = []
    for setting in ("never", "always"):
        changes = {"recompute": setting, "dropout": 0.5, "warmup": 0}
        model = workshop.student(**changes)
        workshop.fit(model, encoded(4), **changes)
        ends.append(trained_weights(model))
    assert torch.equal(*ends)


def test_out_of_memory_names_the_setting_to_change(workshop):
    model = workshop.student()

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    model.register_forward_pre_hook(full)
    with pytest.raises(TracekdError) as caught:
        workshop.fit(model, encoded(2))
    assert str(caught.value) == (
        "out of memory on the GPU in a pass of up to 2048 tokens; set train.recompute: always, "
        "lower train.max_length (with train.too_long: drop), set train.method: qlora, or choose a "
        "smaller model (params.yaml). torch: CUDA out of memory. Tried to allocate 2 GiB."
    )
    recomputing = PassPlan(100, recompute=True).explains_memory()
    with pytest.raises(TracekdError, match=r"100 tokens; lower train\.max_length"), recomputing:
        full()


def test_an_architecture_that_cannot_recompute_is_an_error_that_says_so(workshop):
    model = workshop.student()
    model.get_base_model().supports_gradient_checkpointing = False
    params = workshop.params(recompute="always")
    with pytest.raises(TracekdError, match=r"^train\.recompute: always, but LlamaForCausalLM"):
        memory.prepare_passes(model, exact(), params, [50], None)
    plan = memory.prepare_passes(model, exact(), workshop.params(), [50], 8 * MIB)
    assert not plan.recompute
