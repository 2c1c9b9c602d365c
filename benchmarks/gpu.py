"""One NVIDIA GPU in ten minutes: is the GPU path right, how fast is it, and how much does it hold?

It needs torch >= 2.10, transformers >= 5.17, peft and accelerate, as GPU machines have them, and of
this project's dependencies pydantic (with pydantic-core, annotated-types, typing-inspection) and
ruamel.yaml; neither DVC nor polars. Where trl, liger-kernel or bitsandbytes is missing, its
contestants are left out. Weights are random: they cost what trained ones do.
"""

import argparse
import contextlib
import gc
import importlib.util
import json
import math
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

SEED = 0
END = 1  # the token that ends an answer
#: Shapes of published models, by the names of models.yaml.
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {
        "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 64, "vocab_size": 128256, "tie_word_embeddings": True,
    },
    "qwen3": {
        "model_type": "qwen3", "hidden_size": 2048, "intermediate_size": 6144,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
        "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True,
    },
    "llama_8b": {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "vocab_size": 128256, "tie_word_embeddings": False,
    },
}  # fmt: skip
#: A small model that is taught to copy, so that greedy answers do not hang on near ties.
SMALL = SHAPES["llama"] | {
    "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 6, "vocab_size": 512,
    "num_attention_heads": 8, "num_key_value_heads": 4,
}  # fmt: skip
TINY = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512,
}  # fmt: skip


def main() -> None:
    """Run the phases, and print a table and, last, one JSON line."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Prints a table and, last, one JSON line; the exit code is 1 if "
        "a loss, a gradient or an output is wrong."
    )
    parser.add_argument("--seconds", type=float, default=600, help="For all phases together.")
    parser.add_argument(
        "--dry-run", action="store_true", help="All phases on a CPU, with tiny models."
    )
    options = parser.parse_args()
    bench = Bench(options.seconds, options.dry_run)
    for phase in (environment, correctness, greedy, speed, memory, compiling):
        bench.run(phase)
    bench.print_table()
    wrong = [one for one in bench.results if not one.get("ok", True) or "failed" in one]
    print(json.dumps({"benchmark": "gpu", "dry_run": options.dry_run, "results": bench.results}))
    sys.exit(bool(wrong))


@dataclass
class Bench:
    """Where the phases run, how much time is left, and what they found."""

    seconds: float
    dry_run: bool
    results: list[dict[str, Any]] = field(default_factory=list)
    #: Floating point operations a second of a large product in bf16.
    matmul_rate: float = math.nan

    def __post_init__(self) -> None:
        import torch

        if not (self.dry_run or torch.cuda.is_available()):
            sys.exit("error: torch finds no CUDA device; use --dry-run to try the script itself")
        self.started = time.perf_counter()
        self.device = torch.device("cpu" if self.dry_run else "cuda")

    def left(self) -> float:
        """Return the seconds left."""
        return self.seconds - (time.perf_counter() - self.started)

    def wait(self) -> None:
        """Wait until the GPU is done."""
        import torch

        if not self.dry_run:
            torch.cuda.synchronize()

    def place(self, dtype: str) -> Any:
        """Return the package's own `Device` of a number format."""
        import torch

        from tracekd.models.devices import Device

        return Device(self.device, getattr(torch, dtype))

    def note(self, **facts: Any) -> None:
        """Keep a result, and print it."""
        self.results.append(facts)
        print(json.dumps(facts), flush=True)

    def run(self, phase: "Callable[[Bench], None]") -> None:
        """Run a phase; an error ends it alone."""
        if self.left() < 0:
            self.note(phase=phase.__name__, skipped="no time left")
            return
        with self.attempt(phase=phase.__name__):
            phase(self)

    @contextlib.contextmanager
    def attempt(self, **what: Any) -> Iterator[None]:
        """Start with empty memory; keep an error as a result."""
        import torch

        gc.collect()
        if not self.dry_run:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.note(**what, failed=f"{type(error).__name__}: {error}"[:300])

    def peak_gib(self) -> float | None:
        """Return the most memory that was held on the GPU since the attempt began."""
        import torch

        return None if self.dry_run else round(torch.cuda.max_memory_allocated() / 2**30, 2)

    def shape(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return a shape, a tiny one in a dry run."""
        return SHAPES[name] | changes | (TINY if self.dry_run else {})

    def build(self, shape: dict[str, Any], dtype: str) -> Any:
        """Return a model of a shape with random weights, made where they will be used."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        config = AutoConfig.for_model(**shape, max_position_embeddings=8192, pad_token_id=0)
        torch.manual_seed(SEED)
        with self.device:
            return AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).eval()

    def print_table(self) -> None:
        """Print the rows of phases that measure speed."""
        columns = ("model", "job", "who", "tokens/s", "ms/step", "mfu", "peak GiB")
        print(f"\n{columns[0]:10}{columns[1]:8}{columns[2]:26}", *(f"{c:>10}" for c in columns[3:]))
        for one in self.results:
            if "tokens/s" in one:
                cells = (f"{one[c]!s:>10}" for c in columns[3:])
                print(f"{one['model']:10}{one['job']:8}{one['who']:26}", *cells)


def settings(batch_size: int, **changes: Any) -> Any:
    """Return the package's training settings; LoRA as in the paper but for its dropout."""
    from tracekd.config import TrainParams

    lora = {"rank": 16, "alpha": 32, "dropout": 0.0}
    values = {"epochs": 1, "learning_rate": 2e-4, "warmup": 0.1, "lora": lora} | changes
    return TrainParams.model_validate({"batch_size": batch_size, **values})


def make_rows(count: int, prompt: int, completion: int, vocabulary: int) -> list[Any]:
    """Return rows whose completion copies a part of the prompt that a token of it names.

    Lengths vary by a quarter, as those of questions do.
    """
    import random

    from tracekd.models.encoding import Encoded

    draw = random.Random(SEED)  # noqa: S311
    rows = []
    for number in range(count):
        scale = draw.uniform(0.75, 1.25)
        size = max(2, round(completion * scale))
        ids = [draw.randrange(32, vocabulary) for _ in range(round(prompt * scale))]
        start = draw.randrange(max(1, len(ids) - size))
        copied = ids[start + 1 : start + size]
        rows.append(Encoded(str(number), [*ids, ids[start]], [*copied, END], len(copied) // 2))
    return rows


def environment(bench: Bench) -> None:
    """The machine, and the rate of a large product in bf16, to which all rates are compared."""
    import accelerate
    import peft
    import torch
    import transformers

    side = 256 if bench.dry_run else 8192
    one, other = (torch.randn(side, side, device=bench.device).bfloat16() for _ in range(2))
    for repeats in (3, 20):  # the first warm up
        bench.wait()
        started = time.perf_counter()
        for _ in range(repeats):
            one @ other
        bench.wait()
        bench.matmul_rate = 2 * side**3 * repeats / (time.perf_counter() - started)
    # As `choose_device` does; without it, cuDNN would plan each new shape for half a second.
    torch.backends.cuda.enable_cudnn_sdp(False)
    packages = (torch, transformers, peft, accelerate)
    bench.note(
        phase="environment",
        device="cpu" if bench.dry_run else torch.cuda.get_device_name(),
        cuda=torch.version.cuda,
        versions={package.__name__: package.__version__ for package in packages},
        matmul_tflops=round(bench.matmul_rate / 1e12, 2),
    )


def correctness(bench: Bench) -> None:
    """Loss and gradients of a batch, ours against plain transformers and PEFT, row by row in fp32.

    In bf16 ours may be half as much further from that as plain transformers and PEFT in bf16 are.
    """
    for name in ("llama", "qwen3"):
        shape = bench.shape(name, num_hidden_layers=2)
        rows = make_rows(6, 160, 50, shape["vocab_size"])
        exact = gradients(bench, shape, rows, "float32", plain=True)
        gaps = {
            (dtype, who): distance(
                gradients(bench, shape, rows, dtype, plain=who == "plain"), exact
            )
            for dtype in ("float32", "bfloat16")
            for who in ("plain", "ours")
        }
        for dtype, most in (("float32", 1e-4), ("bfloat16", None)):
            ours, theirs = gaps[dtype, "ours"], gaps[dtype, "plain"]
            limits = [most or 1.5 * gap + 1e-3 for gap in theirs[:2]]
            bench.note(
                phase="correctness",
                model=name,
                dtype=dtype,
                packed=ours[2],
                loss_gap=ours[0],
                gradient_gap=ours[1],
                plain_gaps=theirs[:2],
                ok=all(gap < limit for gap, limit in zip(ours[:2], limits, strict=True)),
            )


def gradients(
    bench: Bench, shape: dict[str, Any], rows: Sequence[Any], dtype: str, *, plain: bool
) -> tuple[float, dict[str, Any], bool]:
    """Return the mean loss, the gradient of each adapter matrix, and whether rows were packed."""
    import torch
    from peft.helpers import disable_input_dtype_casting

    from tracekd.models.adapters import add_adapter
    from tracekd.models.devices import free_memory
    from tracekd.training.losses import loss_sums
    from tracekd.training.memory import prepare_passes

    params, device = settings(len(rows)), bench.place(dtype)
    model = add_adapter(bench.build(shape, dtype), params, SEED).train()
    torch.manual_seed(SEED)
    for key, weight in model.named_parameters():
        if "lora_B" in key:  # zero in a new adapter, and with it the gradients of A
            torch.nn.init.normal_(weight, std=0.02)
    tokens, packed = sum(len(row.completion_ids) for row in rows), False
    if plain:
        loss = sum(plain_loss(model, row, device) for row in rows) / tokens
    else:
        free = free_memory(bench.device)
        plan = prepare_passes(model, device, params, [*map(len, rows)], free)
        packed = plan.packed
        with disable_input_dtype_casting(model):
            loss = loss_sums(model, rows, device, packed).sum() / tokens
    loss.backward()
    found = {k: w.grad.double().cpu() for k, w in model.named_parameters() if w.grad is not None}
    return float(loss), found, packed


def plain_loss(model: Any, row: Any, device: Any) -> Any:
    """Return the sum of a row's losses, by the model's own forward pass on this row alone."""
    import torch

    ids = torch.tensor([row.prompt_ids + row.completion_ids], device=device.device)
    half = device.dtype == torch.bfloat16
    with torch.autocast(device.device.type, torch.bfloat16, enabled=half):
        logits = model(input_ids=ids).logits[0, len(row.prompt_ids) - 1 : -1]
    targets = ids[0, len(row.prompt_ids) :]
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")


def distance(
    found: tuple[Any, Any, bool], exact: tuple[Any, Any, bool]
) -> tuple[float, float, bool]:
    """Return how far losses are apart (nats), and gradients (relative, all matrices together)."""
    gap = sum(float((found[1][key] - exact[1][key]).square().sum()) for key in exact[1])
    size = sum(float(one.square().sum()) for one in exact[1].values())
    return abs(found[0] - exact[0]), math.sqrt(gap / size), found[2]


def greedy(bench: Bench) -> None:
    """Greedy tokens of a small trained model: packed decoding against `generate`."""
    import torch

    count, limit, seconds = (4, 8, 1.0) if bench.dry_run else (64, 96, 30.0)
    shape = SMALL | (TINY if bench.dry_run else {})
    model = bench.build(shape, "float32").train()
    rows = make_rows(512, 120, 40, shape["vocab_size"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    until, steps, loss = time.perf_counter() + seconds, 0, torch.tensor(math.nan)
    while time.perf_counter() < until:
        part = [rows[(steps * count + n) % len(rows)] for n in range(count)]
        tokens = sum(len(row.completion_ids) for row in part)
        loss = sum(plain_loss(model, row, bench.place("float32")) for row in part) / tokens
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        steps += 1
    prompts = [row.prompt_ids for row in rows[:count]]
    model.eval()
    for dtype in ("float32", "bfloat16"):
        model = model.to(getattr(torch, dtype))
        theirs, slow = timed(bench, partial(by_generate, model, prompts, limit))
        own = partial(by_ours, bench, model, prompts, limit, rows, dtype)
        ours, fast = timed(bench, own)
        equal = sum(one == other for one, other in zip(ours, theirs, strict=True))
        bench.note(
            phase="greedy",
            dtype=dtype,
            trained_steps=steps,
            trained_loss=round(float(loss), 3),
            equal=equal,
            prompts=count,
            seconds=round(fast, 2),
            generate_seconds=round(slow, 2),
            ok=equal == count or dtype != "float32",
        )


def by_generate(model: Any, prompts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    """Return the new tokens of each prompt up to the end token, by transformers' `generate`."""
    import torch

    model.set_attn_implementation("sdpa")  # packed decoding has another
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    with torch.inference_mode():
        made = model.generate(
            input_ids=ids, attention_mask=mask.to(model.device), max_new_tokens=limit,
            do_sample=False, eos_token_id=END, pad_token_id=0,
        )  # fmt: skip
    new = made[:, width:].tolist()
    return [row[: row.index(END) + 1] if END in row else row for row in new]


def by_ours(
    bench: Bench, model: Any, prompts: Sequence[Sequence[int]], limit: int, rows: Any, dtype: str
) -> list[list[int]]:
    """Return them by the backend of the infer stage."""
    from tracekd.generation.backends import Student, backend_module

    examples = [row.completion_ids for row in rows]
    student = Student(
        load=lambda _: model, device=bench.place(dtype), encoder=None,  # type: ignore[arg-type]
        stops=frozenset({END}), max_length=8192, examples=examples,
    )  # fmt: skip
    backend = backend_module("transformers").make(student)
    return list(backend.generate(prompts, [limit] * len(prompts)))


def timed(bench: Bench, work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `work` returns, and the seconds it took."""
    bench.wait()
    started = time.perf_counter()
    made = work()
    bench.wait()
    return made, time.perf_counter() - started


@dataclass(frozen=True)
class Job:
    """What contestants train on: steps over a batch of rows of some length, for some seconds."""

    name: str
    prompt: int
    completion: int
    batch_size: int
    seconds: float

    def rows(self, vocabulary: int) -> list[Any]:
        """Return the rows of eight steps, which are repeated."""
        return make_rows(8 * self.batch_size, self.prompt, self.completion, vocabulary)


def jobs(bench: Bench) -> tuple[Job, Job]:
    """Return the paper's batch of 16 with rows as short as bAbI's, and as long as MS MARCO's."""
    if bench.dry_run:
        return Job("paper", 20, 8, 4, 0.3), Job("full", 40, 8, 4, 0.3)
    return Job("paper", 170, 60, 16, 3), Job("full", 900, 120, 16, 3)


def speed(bench: Bench) -> None:
    """Tokens per second of LoRA steps, ours and TRL's, at three sizes and two batches."""
    contestants: dict[str, Callable[..., tuple[list[float], int]]] = {"ours": ours}
    if importlib.util.find_spec("trl") and importlib.util.find_spec("datasets"):
        contestants["TRL"] = trl
        contestants["TRL, padding-free"] = lambda *a: trl(*a, padding_free=True)
        if importlib.util.find_spec("liger_kernel") and not bench.dry_run:
            contestants["TRL, Liger"] = lambda *a: trl(*a, liger=True)
            contestants["TRL, Liger, padding-free"] = lambda *a: trl(
                *a, liger=True, padding_free=True
            )
        else:
            bench.note(phase="speed", skipped="TRL with Liger: liger-kernel or a GPU is missing")
    else:
        bench.note(phase="speed", skipped="TRL: trl or datasets is not installed")
    for name in SHAPES:
        for job in jobs(bench):
            rates = {who: measure(bench, name, job, who, run) for who, run in contestants.items()}
            best = max((rate for who, rate in rates.items() if who != "ours" and rate), default=0)
            if best and rates["ours"]:
                ratio = round(rates["ours"] / best, 2)
                bench.note(phase="speed", model=name, job=job.name, ours_by_best_trl=ratio)


def memory(bench: Bench) -> None:
    """8B: activations computed again, the paper's dropout, and QLoRA."""
    _, full = jobs(bench)
    lora = {"rank": 16, "alpha": 32, "dropout": 0.05}
    for who, run in {
        "ours, recompute": lambda *a: ours(*a, recompute="always"),
        "ours, dropout 0.05": lambda *a: ours(*a, lora=lora),
    }.items():
        measure(bench, "llama_8b", full, who, run)
    if importlib.util.find_spec("bitsandbytes") is None:
        bench.note(phase="memory", skipped="QLoRA: bitsandbytes is not installed")
        return
    # Random weights are quantised from a folder: a quarter of the layers is written fast.
    measure(bench, "llama_8b", full, "ours, QLoRA, 8 layers", qlora, num_hidden_layers=8)


def compiling(bench: Bench) -> None:
    """Compiled decoder layers, at the paper's batch: most of it is compilation, so last."""
    paper, _ = jobs(bench)
    for name in SHAPES:
        measure(bench, name, paper, "ours, compiled", lambda *a: ours(*a, compile_it=True))


def measure(
    bench: Bench,
    name: str,
    job: Job,
    who: str,
    run: Callable[..., tuple[list[float], int]],
    **changes: Any,
) -> float | None:
    """Note a contestant's speed and memory; return its tokens per second, None if it failed."""
    what = {"phase": "speed", "model": name, "job": job.name, "who": who}
    if bench.left() < 3 * job.seconds:
        bench.note(**what, skipped="no time left")
        return None
    with bench.attempt(**what):
        shape = bench.shape(name, **changes)
        rows = job.rows(shape["vocab_size"])
        seconds, batches = run(bench, shape, job, rows)
        step, each = statistics.median(seconds), sum(map(len, rows)) / batches
        rate = each / step
        bench.note(
            **what,
            **{
                "tokens/s": round(rate),
                "ms/step": round(1e3 * step, 1),
                "peak GiB": bench.peak_gib(),
            },
            mfu=round(operations(shape, rows) / batches / step / bench.matmul_rate, 3),
            steps=len(seconds),
        )
        return rate
    return None


def operations(shape: dict[str, int], rows: Sequence[Any], rank: int = 16) -> float:
    """Return the floating point operations of a LoRA step over all rows, forward and backward.

    A frozen matrix takes 2 for each weight and token forward and 2 backward, a trained one 6; the
    head is at supervised positions only; attention looks at half of all pairs.
    """
    hidden, inner, layers = (
        shape[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    queries, keys = (
        shape[f"num_{kind}_heads"] * shape["head_dim"] for kind in ("attention", "key_value")
    )
    sides = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    sides += [(hidden, inner), (hidden, inner), (inner, hidden)]
    frozen = layers * sum(one * other for one, other in sides)
    trained = layers * rank * sum(one + other for one, other in sides)
    head = hidden * shape["vocab_size"]
    return sum(
        (4 * frozen + 6 * trained) * len(row)
        + 4 * head * len(row.completion_ids)
        + 6 * layers * queries * len(row) ** 2
        for row in rows
    )


def ours(
    bench: Bench,
    shape: dict[str, Any],
    job: Job,
    rows: Sequence[Any],
    *,
    base: Any = None,
    compile_it: bool = False,
    **changes: Any,
) -> tuple[list[float], int]:
    """Return the seconds of each step as the train stage takes it, and the batches of `rows`."""
    import torch
    from peft.helpers import disable_input_dtype_casting

    from tracekd.models.adapters import add_adapter
    from tracekd.models.devices import free_memory
    from tracekd.training.collation import epoch_order, passes
    from tracekd.training.compiling import compile_layers
    from tracekd.training.losses import loss_sums, token_counts
    from tracekd.training.memory import prepare_passes

    params, device = settings(job.batch_size, **changes), bench.place("bfloat16")
    base = base or bench.build(shape, "bfloat16")
    if compile_it:
        compile_layers(base)
    model = add_adapter(base, params, SEED).train()
    lengths = [len(row) for row in rows]
    longest = sorted(lengths)[-job.batch_size :]
    plan = prepare_passes(model, device, params, longest, free_memory(bench.device))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, params.learning_rate, fused=True)
    batches = epoch_order(lengths, job.batch_size, SEED, 0)

    def step(batch: Sequence[int]) -> None:
        tokens = sum(token_counts([rows[row] for row in batch]))
        total = torch.zeros(2, device=device.device)
        for part in passes(batch, lengths, plan.tokens):
            sums = loss_sums(model, [rows[row] for row in part], device, plan.packed)
            torch.autograd.backward(sums.sum() / tokens)
            total += sums.detach()
        norm = torch.nn.utils.clip_grad_norm_(trained, params.max_grad_norm)
        torch.stack([*total, norm]).tolist()  # the loop reads them in each step, too
        optimizer.step()
        optimizer.zero_grad()

    with disable_input_dtype_casting(model), plan.explains_memory():
        return repeat(bench, job.seconds, batches, step), len(batches)


def qlora(
    bench: Bench, shape: dict[str, Any], job: Job, rows: Sequence[Any]
) -> tuple[list[float], int]:
    """Return them on a base model in 4 bits, as `train.method: qlora` loads it."""
    import torch

    from tracekd.config import ModelSpec
    from tracekd.models.loading import load_base
    from tracekd.models.sources import content_hash

    with tempfile.TemporaryDirectory() as folder:
        bench.build(shape, "bfloat16").save_pretrained(folder)
        sha256 = content_hash(Path(folder))
        spec = ModelSpec(name="random", path=folder, sha256=sha256, max_length=8192)
        base = load_base(spec, bench.place("bfloat16"), "qlora")
    if not bench.dry_run:
        torch.cuda.reset_peak_memory_stats()
    return ours(bench, shape, job, rows, base=base)


def repeat(
    bench: Bench, seconds: float, batches: Sequence[Any], step: Callable[[Any], None]
) -> list[float]:
    """Return the seconds of steps over the batches, again and again until the time is over.

    All batches are met once before, so that every shape has been seen, within as much time.
    """
    limit = time.perf_counter() + seconds
    for batch in batches:
        step(batch)
        if time.perf_counter() > limit:
            break
    took: list[float] = []
    while not took or sum(took) < seconds:
        _, once = timed(bench, lambda: step(batches[len(took) % len(batches)]))
        took.append(once)
    return took


def trl(
    bench: Bench,
    shape: dict[str, Any],
    job: Job,
    rows: Sequence[Any],
    *,
    liger: bool = False,
    padding_free: bool = False,
) -> tuple[list[float], int]:
    """Return them by TRL's SFTTrainer as its users set it up: bf16 autocast, fused AdamW."""
    import datasets
    import torch
    from peft import LoraConfig
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    took: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            bench.wait()
            took.append(-time.perf_counter())

        def on_step_end(self, _args: Any, _state: Any, control: Any, **__: Any) -> None:
            bench.wait()
            took[-1] += time.perf_counter()
            control.should_training_stop = sum(took) > 2 * job.seconds

    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict(
        {
            "input_ids": [row.prompt_ids + row.completion_ids for row in rows],
            "completion_mask": [
                [0] * len(row.prompt_ids) + [1] * len(row.completion_ids) for row in rows
            ],
        }
    )
    pad, end = "<pad>", "<end>"
    words = models.WordLevel({pad: 0, end: END}, unk_token=pad)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(words), pad_token=pad, eos_token=end
    )
    model = bench.build(shape, "bfloat16")
    if padding_free and importlib.util.find_spec("flash_attn"):
        model.set_attn_implementation("flash_attention_2")
    lora = LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with tempfile.TemporaryDirectory() as folder:
        chosen = SFTConfig(
            output_dir=folder, completion_only_loss=True, max_length=None,
            padding_free=padding_free, train_sampling_strategy="group_by_length",
            gradient_checkpointing=False, bf16=True, optim="adamw_torch_fused",
            use_cpu=bench.dry_run, use_liger_kernel=liger, num_train_epochs=1000,
            per_device_train_batch_size=job.batch_size, learning_rate=2e-4,
            logging_steps=10**6, save_strategy="no", report_to=[], disable_tqdm=True,
        )  # fmt: skip
        SFTTrainer(
            model=model, args=chosen, train_dataset=table, processing_class=tokenizer,
            peft_config=lora, callbacks=[Clock()],
        ).train()  # fmt: skip
    batches = math.ceil(len(rows) / job.batch_size)
    torch.compiler.reset()
    return took[min(batches, len(took) // 2) :], batches


if __name__ == "__main__":
    main()
