"""Plants known faults in a copy of the project, one at a time, and prints which test finds each.

    python tests/mutations.py [NAME ...]

A fault that no test finds is a result that could be wrong unnoticed. Each is a replacement of
a text that must occur exactly once in its file, so that none of them silently stops being planted.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "src/tracekd"
#: A fault may make a test run for ever.
SECONDS = 900


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is wrong.
        file: under src/tracekd.
        old: occurs there exactly once.
        new: takes its place.
        tests: files under tests that should find it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


FAULTS = (
    Fault(
        "labels shifted by one position",
        "training/collation.py",
        "labels[row, start:end] = completion",
        "labels[row, start - 1 : end - 1] = completion",
        ("training/test_collation.py",),
    ),
    Fault(
        "prompt tokens supervised",
        "training/collation.py",
        "labels[row, start:end] = completion",
        "labels[row, :end] = input_ids[row, :end]",
        ("training/test_collation.py", "training/test_losses.py"),
    ),
    Fault(
        "padding supervised",
        "training/collation.py",
        "labels = torch.full(shape, IGNORED)",
        "labels = torch.zeros(shape, dtype=torch.long)",
        ("training/test_collation.py", "training/test_losses.py"),
    ),
    Fault(
        "last token of the completion not supervised",
        "training/collation.py",
        "labels[row, start:end] = completion",
        "labels[row, start : end - 1] = completion[:-1]",
        ("training/test_collation.py", "training/test_losses.py"),
    ),
    Fault(
        "loss compares a position with its own token, not the next",
        "training/losses.py",
        'following = batch["labels"][:, 1:]',
        'following = batch["labels"][:, :-1]',
        ("training/test_losses.py",),
    ),
    Fault(
        "trace and answer change places in the losses",
        "training/losses.py",
        "(losses * (1 - answers)).sum(), (losses * answers).sum()",
        "(losses * answers).sum(), (losses * (1 - answers)).sum()",
        ("training/test_losses.py",),
    ),
    Fault(
        "a step's loss is the sum of its passes' means",
        "training/loop.py",
        "accelerator.backward(sums.sum() / tokens)",
        "accelerator.backward(sums.sum() / sum(token_counts([training[row] for row in part])))",
        ("training/test_loop.py",),
    ),
    Fault(
        "a step learns from its last pass only",
        "training/loop.py",
        "            sums = loss_sums(model, [training[row] for row in part], device)\n",
        "            sums = loss_sums(model, [training[row] for row in part], device)\n"
        "            optimizer.zero_grad()\n",
        ("training/test_loop.py",),
    ),
    Fault(
        "gradients of the trial pass reach the first step",
        "training/loop.py",
        "        backward(passes(longest, lengths, limit)[0])\n        optimizer.zero_grad()\n",
        "        backward(passes(longest, lengths, limit)[0])\n",
        ("training/test_resume.py",),
    ),
    Fault(
        "the seed does not reach the order of examples",
        "training/loop.py",
        "_batches(lengths, params.batch_size, seed)\n        remaining",
        "_batches(lengths, params.batch_size, 0)\n        remaining",
        ("training/test_loop.py",),
    ),
    Fault(
        "dropout depends on what came before",
        "training/loop.py",
        '            torch.manual_seed(digest(seed, "dropout", step))\n',
        "",
        ("training/test_resume.py",),
    ),
    Fault(
        "a resumed run starts its epoch again",
        "training/loop.py",
        'itertools.islice(batches, state["step"], steps)',
        'itertools.islice(batches, steps - state["step"])',
        ("training/test_resume.py",),
    ),
    Fault(
        "the optimizer forgets its moments at a resumption",
        "training/checkpoints.py",
        '{"state": entries, "param_groups"',
        '{"state": {}, "param_groups"',
        ("training/test_resume.py",),
    ),
    Fault(
        "the student is trained on the validation rows",
        "training/run.py",
        'training = encoded["train"]',
        'training = encoded["validation"]',
        ("training/test_run.py",),
    ),
    Fault(
        "partial results of another seed are used",
        "training/run.py",
        '        "seed": seed,\n',
        "",
        ("training/test_resume.py",),
    ),
    Fault(
        "wrong EOS: the tokenizer's own instead of the template's",
        "models/encoding.py",
        "return int(end)",
        "return int(self.tokenizer.eos_token_id) - 1",
        ("models/test_encoding.py",),
    ),
    Fault(
        "no EOS at the end of a completion",
        "models/encoding.py",
        "completion_ids=[*trace_ids, *answer_ids, self.end_of_turn],",
        "completion_ids=[*trace_ids, *answer_ids],",
        ("models/test_encoding.py",),
    ),
    Fault(
        "prompts of training and inference differ",
        "models/encoding.py",
        'prompt_ids=self.prompt_ids(row["system"], row["prompt"]),',
        'prompt_ids=self.prompt_ids("", row["prompt"]),',
        ("models/test_encoding.py",),
    ),
    Fault(
        "answer's loss begins one token late",
        "models/encoding.py",
        "answer_index=len(trace_ids),",
        "answer_index=len(trace_ids) + 1,",
        ("models/test_encoding.py",),
    ),
    Fault(
        "the base model answers, without its adapter",
        "models/loading.py",
        "merged: PreTrainedModel = model.merge_and_unload()",
        "merged: PreTrainedModel = model.unload()",
        ("models/test_loading.py",),
    ),
    Fault(
        "the gold answer's probability is read from the end of its scores",
        "probes/engine.py",
        "scores = logits[: len(tokens)].float()",
        "scores = logits[-len(tokens) :].float()",
        ("probes/test_engine.py",),
    ),
    Fault(
        "generation continues after the end of turn",
        "generation/backends/__init__.py",
        "ids = {encoder.end_of_turn, encoder.tokenizer.eos_token_id, *others}",
        "ids = {*others} - {encoder.end_of_turn}",
        ("generation/test_run.py",),
    ),
    Fault(
        "answers of a batch go to other questions",
        "generation/batches.py",
        "results.update(zip(batch, made, strict=True))",
        "results.update(zip(reversed(batch), made, strict=True))",
        ("generation/test_run.py",),
    ),
    Fault(
        "generation sees the next token",
        "generation/packed.py",
        "hidden = columns > positions",
        "hidden = columns > positions + 1",
        ("generation/test_decoding.py",),
    ),
    Fault(
        "a rejected draft is kept to its end",
        "generation/decoding.py",
        "own[: agreement(own, draft) + 1]",
        "own[: len(draft) + 1]",
        ("generation/test_decoding.py",),
    ),
    Fault(
        "a row that replaces an ended one keeps that one's cache",
        "generation/decoding.py",
        "cache.copy(len(active), place, len(prompts[last]) + len(answers[last]) - 1)",
        "cache.copy(place, place, len(prompts[last]) + len(answers[last]) - 1)",
        ("generation/test_decoding.py",),
    ),
    Fault(
        "gold rows swapped: a question gets its neighbour's facts",
        "traces/gold.py",
        'pl.Series("gold_facts", facts, DECOMPOSED["gold_facts"]),',
        'pl.Series("gold_facts", [*facts[1:], *facts[:1]], DECOMPOSED["gold_facts"]),',
        ("traces/test_gold.py",),
    ),
    Fault(
        "fact ids off by one in bAbI's files",
        "datasets/readers/babi.py",
        "story.fact_of_line.get(int(i)) if",
        "story.fact_of_line.get(int(i) - 1) if",
        ("datasets/test_babi.py",),
    ),
    Fault(
        "CoTempQA's published test questions are in train",
        "datasets/readers/cotemp.py",
        'splits["test" if place in test_rows else "train"].append(row)',
        'splits["train" if place in test_rows else "test"].append(row)',
        ("datasets/test_cotemp.py",),
    ),
    Fault(
        "a gold fact given as text becomes another fact",
        "datasets/readers/jsonl.py",
        "found.append(context.index(item))",
        "found.append(context.index(item) - 1)",
        ("datasets/test_jsonl.py",),
    ),
    Fault(
        "fact ids off by one in the simulator",
        "datasets/simulation.py",
        '"gold_facts": story.gold_facts,',
        '"gold_facts": [(fact + 1) % len(story.context) for fact in story.gold_facts],',
        ("datasets/test_babi_sim.py", "datasets/test_babi_sim_answers.py"),
    ),
    Fault(
        "a period that ends when another begins is taken for one that does not overlap",
        "datasets/intervals.py",
        "if last < other_first or other_last < first:",
        "if last <= other_first or other_last < first:",
        ("datasets/test_intervals.py",),
    ),
    Fault(
        "changed raw data is read under an old pin",
        "datasets/sources.py",
        "combined_hash(raw), spec.sha256, entry",
        "str(spec.sha256), spec.sha256, entry",
        ("datasets/test_sources.py",),
    ),
    Fault(
        "a download that is not what is pinned is used",
        "fetch.py",
        "if (found := _git_hash(target)) != file.git_hash:",
        "if not (found := _git_hash(target)):",
        ("test_fetch.py",),
    ),
    Fault(
        "damaged weights from the hub are used",
        "fetch.py",
        "if found.mismatches:",
        "if not found:",
        ("test_fetch.py",),
    ),
    Fault(
        "changed model files are used under an old pin",
        "models/sources.py",
        "require_pinned(folder, content_hash(folder), spec.sha256",
        "require_pinned(folder, str(spec.sha256), spec.sha256",
        ("models/test_sources.py",),
    ),
    Fault(
        "fact ids off by one in the trace",
        "traces/regimes.py",
        "return tuple(one_line(self.context[index]) for index in self.facts)",
        "return tuple(one_line(self.context[index - 1]) for index in self.facts)",
        ("traces/test_regimes.py",),
    ),
    Fault(
        "test questions stay in train",
        "datasets/splits.py",
        "return table.filter(~inside), table.filter(inside)",
        "return table, table.filter(inside)",
        ("datasets/test_splits.py",),
    ),
    Fault(
        "test questions with other letter case stay in train",
        "datasets/keys.py",
        "return text.lower()",
        "return text",
        ("datasets/test_splits.py",),
    ),
    Fault(
        "MARCO's chosen questions are the records after those that were chosen",
        "datasets/readers/marco.py",
        'found.append((row["id"], row["question_class"], key, file, number))',
        'found.append((row["id"], row["question_class"], key, file, number + 1))',
        ("datasets/test_marco.py",),
    ),
    Fault(
        "other records of a JSON file are read again than those chosen",
        "datasets/rawfiles.py",
        "for number, (place, text) in enumerate(_lines(first, source)):",
        "for number, (place, text) in enumerate(_lines(first, source), 1):",
        ("datasets/test_rawfiles.py",),
    ),
    Fault(
        "near-duplicates that share only their last rare shingle are missed",
        "datasets/overlap.py",
        "size = math.floor((1 - SIMILAR) * len(text) + 1e-9) + 1",
        "size = math.floor((1 - SIMILAR) * len(text) + 1e-9)",
        ("datasets/test_overlap.py",),
    ),
    Fault(
        "validation rows stay in train",
        "datasets/splits.py",
        '"train": _in_order_of(clean, _beginning(rest, sizes.train, "train")),',
        '"train": _in_order_of(clean, _beginning(clean[order], sizes.train, "train")),',
        ("datasets/test_splits.py",),
    ),
    Fault(
        "regime `incorrect` corrupts nothing",
        "traces/regimes.py",
        '"incorrect": Regime(_BOTH, _incorrect),',
        '"incorrect": Regime(_BOTH, _correct),',
        ("traces/test_regimes.py",),
    ),
    Fault(
        "regime `wrong_facts` keeps a right fact",
        "traces/regimes.py",
        "if text not in right]",
        "if text not in right or len(right) > 1]",
        ("traces/test_regimes.py",),
    ),
    Fault(
        "regime `shuffled` gives a question its own trace",
        "traces/regimes.py",
        "if not gold.same_steps(other):",
        "if gold.same_steps(other):",
        ("traces/test_regimes.py",),
    ),
    Fault(
        "regime `mixed` corrupts the other share",
        "traces/regimes.py",
        "< context.corruption",
        ">= context.corruption",
        ("traces/test_regimes.py",),
    ),
    Fault(
        "wrong trace does not follow the seed",
        "traces/regimes.py",
        'return randomness.choose(others, context.seed, "class", gold.id), None',
        'return randomness.choose(others, 0, "class", gold.id), None',
        ("traces/test_regimes.py",),
    ),
    Fault(
        "a wrong trace is recorded as right",
        "traces/regimes.py",
        "else set(trace.facts) == set(gold.fact_texts),",
        "else True,",
        ("traces/test_regimes.py", "traces/test_examples.py"),
    ),
    Fault(
        "answer corrupted along with the trace",
        "traces/examples.py",
        "render(shown.trace, tuple(answers))",
        "render(shown.trace, shown.trace.facts or tuple(answers))",
        ("traces/test_examples.py",),
    ),
    Fault(
        "test questions with the prompt of a train question are let through",
        "traces/examples.py",
        'for column in ("id", "prompt"):',
        'for column in ("id",):',
        ("traces/test_examples.py",),
    ),
    Fault(
        "an answer with a semicolon is read as two",
        "traces/form.py",
        r"""escape(answer).replace(";", r"\;")""",
        "escape(answer)",
        ("traces/test_grammar.py",),
    ),
    Fault(
        "texts that only resemble the grammar count as strict",
        "traces/grammar.py",
        "same = self.render(trace, answers).text == text",
        "same = True",
        ("traces/test_lenient.py",),
    ),
    Fault(
        "answers compared with another row's gold",
        "scoring/table.py",
        'prediction = predicted[question["id"]]',
        "prediction = predictions.row(len(rows), named=True)",
        ("scoring/test_table.py",),
    ),
    Fault(
        "a question without a prediction goes unnoticed",
        "scoring/table.py",
        'check_ids(questions["id"], predictions["id"])',
        "",
        ("scoring/test_table.py",),
    ),
    Fault(
        "a trace is right if one of its steps is",
        "scoring/traces.py",
        "all(right) and",
        "any(right) and",
        ("scoring/test_traces.py",),
    ),
    Fault(
        "a trace may quote further facts and still be right",
        "scoring/traces.py",
        "set(predicted) == gold and not unmatched",
        "set(predicted) >= gold",
        ("scoring/test_traces.py",),
    ),
    Fault(
        "a text without an answer may be right",
        "scoring/answers/__init__.py",
        "correct=verdict.correct and reading.answer_text is not None",
        "correct=verdict.correct",
        ("scoring/test_answers.py",),
    ),
    Fault(
        "trace and answer of the 2x2 exchanged",
        "scoring/association.py",
        'return count(scores[column].to_numpy(), scores["answer_correct"].to_numpy())',
        'return count(scores["answer_correct"].to_numpy(), scores[column].to_numpy())',
        ("scoring/test_metrics.py",),
    ),
    Fault(
        "the interval of a difference uses the wrong side of a share's interval",
        "statistics/intervals.py",
        "difference - hypot(one - one_low, two_high - two)",
        "difference - hypot(one_high - one, two - two_low)",
        ("statistics/test_intervals.py",),
    ),
    Fault(
        "phi without its sign",
        "statistics/association.py",
        "return (a * d - b * c) / float(",
        "return abs(a * d - b * c) / float(",
        ("statistics/test_association.py",),
    ),
    Fault(
        "predictions of another student are resumed",
        "generation/run.py",
        '"student": combined_hash(hash_files(student, filter(Path.is_file, student.rglob("*")))),',
        '"student": "student",',
        ("generation/test_run.py",),
    ),
    Fault(
        "replies to other probes are resumed",
        "probes/asking.py",
        '"asked": digest(',
        '"asked": len(',
        ("probes/test_asking.py",),
    ),
    Fault(
        "paired difference with the wrong sign",
        "comparison/effects.py",
        "changes = after.sum(axis=0) * len(before) - before.sum(axis=0) * len(after)",
        "changes = before.sum(axis=0) * len(after) - after.sum(axis=0) * len(before)",
        ("comparison/test_effects.py",),
    ),
    Fault(
        "regimes compared on seeds that they do not share",
        "comparison/effects.py",
        "[scores.seeds.index(seed) for seed in seeds] if seeds else slice(None)",
        "slice(None)",
        ("comparison/test_effects.py",),
    ),
    Fault(
        "an older run compared in place of the newest",
        "comparison/grid.py",
        "key=lambda one: -one.time",
        "key=lambda one: one.time",
        ("comparison/test_grid.py",),
    ),
    Fault(
        "the last of two texts on a question audited, not the first",
        "audit/generations.py",
        "first.setdefault(item.key, item) is not item",
        "first.update({item.key: item})",
        ("audit/test_rescore.py",),
    ),
    Fault(
        "an association is reported whose interval includes zero",
        "report/summary.py",
        "if low is not None and low > 0:",
        "if low is not None and high is not None and low + high > 0:",
        ("report/test_summary.py",),
    ),
    Fault(
        "right and wrong traces exchanged in the finding",
        "report/summary.py",
        'for verdict in ("right", "wrong")}\n    for verdict, value',
        'for verdict in ("wrong", "right")}\n    for verdict, value',
        ("report/test_summary.py",),
    ),
    Fault(
        "trace and answer exchanged in the confusion plot",
        "report/figures.py",
        '(("trace", "trace_correct"), ("answer", "answer_correct"))',
        '(("answer", "trace_correct"), ("trace", "answer_correct"))',
        ("report/test_figures.py",),
    ),
    Fault(
        "an effect of the trace is reported whose interval includes zero",
        "report/probes.py",
        "if low is None or low <= 0 <= high:",
        "if low is None:",
        ("report/test_probes.py",),
    ),
)


def main(wanted: list[str]) -> int:
    """Plant each fault (or those whose name holds one of `wanted`); return 1 if one survives."""
    faults = [fault for fault in FAULTS if not wanted or any(part in fault.name for part in wanted)]
    with tempfile.TemporaryDirectory(prefix="tracekd-") as folder:
        copy = Path(folder)
        copy_project(copy)
        survivors, sound = 0, set[tuple[str, ...]]()
        print("| fault | file | found by |\n|---|---|---|", flush=True)
        for fault in faults:
            if fault.tests not in sound and (found := failing_test(copy, fault.tests)):
                raise SystemExit(f"without any fault, this test fails already: {found}")
            sound.add(fault.tests)
            caught = plant(copy, fault)
            survivors += caught is None
            test = f"`{caught}`" if caught else "**nothing**"
            print(f"| {fault.name} | `{fault.file}` | {test} |", flush=True)
    return int(survivors > 0)


def copy_project(target: Path) -> None:
    """Copy this checkout's own files as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def plant(copy: Path, fault: Fault) -> str | None:
    """Return the first test that fails with the fault in place, and take it out again."""
    path = copy / SOURCE / fault.file
    before = path.read_text(encoding="utf-8")
    if (count := before.count(fault.old)) != 1:
        raise SystemExit(f"{fault.name}: {fault.old!r} occurs {count} times in {fault.file}")
    path.write_text(before.replace(fault.old, fault.new), encoding="utf-8")
    try:
        return failing_test(copy, fault.tests)
    finally:
        path.write_text(before, encoding="utf-8")


def failing_test(copy: Path, tests: tuple[str, ...]) -> str | None:
    """Return the first failing test of some files, run on the copy's own source, or None."""
    variables = {
        **os.environ,
        "PYTHONPATH": str(copy / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "300",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
    try:
        done = subprocess.run(
            [*command, *(f"tests/{name}" for name in tests)],
            cwd=copy,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"{', '.join(tests)}: no end after {SECONDS} s"
    failed = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode == 0:
        return None
    if failed is None:
        raise SystemExit(f"pytest itself failed:\n{done.stdout}\n{done.stderr}")
    return failed[1].partition("[")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
