import subprocess
import sys
from types import ModuleType

import pytest

from tracekd.errors import TracekdError
from tracekd.generation import backends
from tracekd.generation.backends import (
    BACKENDS,
    Student,
    backend_class,
    check_backend,
    choose_backend,
    make_backend,
    student_device,
)
from tracekd.models.devices import Device


class Whole:
    """A backend of one's own."""

    batches = 3
    on_cpu = True
    packages = ("pytest",)

    def __init__(self, student):
        self.student = student

    def generate(self, prompts, limits):
        return [[5] * limit for _, limit in zip(prompts, limits, strict=True)]

    def crew_memory(self):
        return 0


@pytest.fixture
def register(monkeypatch):
    """Return a function that registers a class as the backend `own`."""

    def register(kind):
        module = ModuleType("own_backend")
        if kind is not None:
            module.BACKEND = kind
        monkeypatch.setitem(sys.modules, "own_backend", module)
        monkeypatch.setitem(BACKENDS, "own", "own_backend")

    return register


def test_unknown_backend_names_the_known_ones_and_where_to_add_one(cpu):
    for refuse in (check_backend, lambda name: choose_backend(name, cpu)):
        with pytest.raises(TracekdError, match=r"infer.backend: unknown backend 'vlm'.*vllm") as e:
            refuse("vlm")
        assert "to add one: src/tracekd/generation/backends/__init__.py" in str(e.value)
    for name in ("auto", *BACKENDS):
        check_backend(name)


def test_a_name_is_checked_without_importing_a_backend():
    code = (
        "import sys; from tracekd.generation.backends import check_backend; check_backend('vllm')\n"
        "print(sorted({'torch', 'tracekd.generation.backends.vllm', 'tracekd.models.encoding'} & "
        "set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_auto_chooses_transformers_without_a_gpu(cpu):
    assert choose_backend("auto", cpu) == "transformers"
    assert {choose_backend(name, cpu) for name in BACKENDS} == set(BACKENDS)


def test_a_backend_of_ones_own_is_given_all_there_is_to_know(register, student, cpu):
    register(Whole)
    model, encoder = student()
    given = Student(model, encoder, frozenset({7}), cpu, 64, [[1, 2]])
    assert make_backend("own", given).student is given


@pytest.mark.parametrize("attribute", ["generate", "batches", "crew_memory"])
def test_a_backend_that_lacks_something_is_refused_before_it_generates(register, cpu, attribute):
    members = {name: value for name, value in vars(Whole).items() if name != attribute}
    register(type("Partial", (), members))
    with pytest.raises(TracekdError, match=rf"own_backend: Partial lacks {attribute}; .*__init__"):
        make_backend("own", Student(None, None, frozenset(), cpu, 64))


def test_a_class_that_lacks_something_is_refused_before_the_student_is_loaded(register):
    register(type("Bare", (), {}))
    with pytest.raises(TracekdError, match="own_backend: Bare lacks on_cpu, packages"):
        backend_class("own")
    register(None)
    with pytest.raises(TracekdError, match=r"own_backend: .* add the line BACKEND"):
        backend_class("own")


def test_student_is_loaded_where_its_backend_wants_it():
    import torch

    gpu = Device(torch.device("cuda"), torch.bfloat16)
    assert student_device("transformers", gpu) == gpu
    assert student_device("vllm", gpu) == Device(torch.device("cpu"), torch.bfloat16)


def test_every_backend_of_the_table_says_which_class_it_is():
    for name in backends.BACKENDS:
        assert isinstance(backend_class(name), type)
