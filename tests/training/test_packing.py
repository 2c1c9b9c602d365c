"""Packed batches equal padded ones; `block_attention` takes the place of the CUDA kernel."""

import pytest
import torch
from architectures import ARCHITECTURES, ATTENTION
from training_runs import encoded, exact, trained_weights

from tracekd.config import ModelSpec, RandomModel
from tracekd.models.loading import load_base
from tracekd.training import packing
from tracekd.training.losses import loss_sums

#: Their attention has capped scores, has sinks, or receives no options.
UNPACKED = {"gemma2", "gpt_oss", "stablelm"}


def block_attention(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1)
):
    """What `varlen_attn` computes, by SDPA under a block mask."""
    places = torch.arange(len(query))
    rows = torch.bucketize(places, cu_seq_q[1:], right=True)
    assert torch.equal(cu_seq_q, cu_seq_k)
    assert max_q == max_k == int(cu_seq_q.diff().max())
    distance = places[:, None] - places
    (left, right), within = window_size, rows[:, None] == rows
    if right >= 0:
        within &= distance >= -right
    if left >= 0:
        within &= distance <= left
    parts = (part.transpose(0, 1)[None] for part in (query, key, value))
    attended = torch.nn.functional.scaled_dot_product_attention(
        *parts, attn_mask=within, scale=scale, enable_gqa=True
    )
    return attended[0].transpose(0, 1)


@pytest.fixture(autouse=True)
def cpu_kernel(monkeypatch):
    monkeypatch.setattr(packing, "_variable_length", block_attention)


def base(name):
    entry = RandomModel(template="llama", config=ARCHITECTURES[name])
    return load_base(ModelSpec(name=name, random=entry, max_length=2048), exact())


def gradients(model, examples, packed):
    model.zero_grad()
    sums = loss_sums(model, examples, exact(), packed)
    sums.sum().backward()
    weights = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return sums.detach(), torch.cat([gradient.flatten() for gradient in weights])


@pytest.mark.parametrize("name", sorted(ATTENTION.keys() - UNPACKED))
def test_packed_batches_have_the_losses_and_gradients_of_padded_ones(name):
    model, examples = base(name), encoded(5)
    padded, expected = gradients(model, examples, packed=False)
    assert packing.try_packing(model, exact()) == ""
    packed, found = gradients(model, examples, packed=True)
    tokens = sum(len(example.completion_ids) for example in examples)
    torch.testing.assert_close(packed / tokens, padded / tokens, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found / tokens, expected / tokens, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - ATTENTION.keys() | UNPACKED))
def test_a_model_that_packing_would_change_is_left_as_it_was(name):
    model, examples = base(name), encoded(3)
    before = loss_sums(model, examples, exact())
    assert packing.try_packing(model, exact())
    assert torch.equal(loss_sums(model, examples, exact()), before)


def test_a_packed_run_ends_with_the_weights_of_a_padded_one(workshop, monkeypatch):
    changes, ends = {"dropout": 0, "warmup": 0, "batch_size": 3}, []
    for packed in (False, True):
        if packed:
            pack = lambda model, device: not packing.try_packing(model, device)  # noqa: E731
            monkeypatch.setattr("tracekd.training.memory.pack_attention", pack)
        model = workshop.student("tiny_qwen3", **changes)
        workshop.fit(model, encoded(6, "tiny_qwen3"), **changes)
        ends.append(trained_weights(model))
    torch.testing.assert_close(*ends, atol=2e-5, rtol=0)


def test_on_a_cpu_batches_are_padded_and_nothing_is_tried(workshop, monkeypatch):
    monkeypatch.setattr(packing, "try_packing", None)
    assert not packing.pack_attention(workshop.student().get_base_model(), exact())
