import pytest
from training_runs import A, B, encoded, exact

from tracekd.training.losses import loss_sums, mean_losses, token_counts, token_losses


def one_by_one(model, examples):
    """The losses of traces and of answers, each example by itself, from all logits."""
    import torch
    from torch.nn.functional import cross_entropy

    sums = [0.0, 0.0]
    for example in examples:
        ids = torch.tensor([example.prompt_ids + example.completion_ids])
        first = len(example.prompt_ids) - 1
        logits = model(input_ids=ids).logits[0, first:-1]
        losses = cross_entropy(logits, ids[0, first + 1 :], reduction="none")
        sums[0] += float(losses[: example.answer_index].sum())
        sums[1] += float(losses[example.answer_index :].sum())
    return sums


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_loss_of_a_batch_is_that_of_its_rows(workshop, name, attention):
    model, examples = workshop.student(name).eval(), encoded(6, name)
    model.get_base_model().set_attn_implementation(attention)
    found = loss_sums(model, examples, exact()).tolist()
    assert found == pytest.approx(one_by_one(model, examples), rel=1e-5)


def test_means_are_over_tokens_and_a_part_without_tokens_has_none():
    assert mean_losses([6.0, 1.0], [3, 1]) == {"loss": 1.75, "loss_trace": 2, "loss_answer": 1}
    assert mean_losses([0.0, 1.0], [0, 4]) == {"loss": 0.25, "loss_answer": 0.25}
    assert token_counts([A, B]) == (2, 4)


def test_many_tokens_have_the_losses_and_gradients_of_few():
    import torch

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2500, 11, generator=generator, requires_grad=True)
    targets = torch.randint(11, (2500,), generator=generator)
    losses = token_losses(logits, targets)
    losses.pow(2).sum().backward()
    found, logits.grad = logits.grad, None
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    expected.pow(2).sum().backward()
    assert torch.equal(losses, expected)
    assert torch.equal(found, logits.grad)
