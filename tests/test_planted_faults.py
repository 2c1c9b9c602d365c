import importlib.util
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def loaded(path):
    """Return a module of this name among others of the same name (tests/fuzz/mutations.py)."""
    spec = importlib.util.spec_from_file_location("planted_faults", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANTED = loaded(TESTS / "mutations.py")


@pytest.mark.parametrize("fault", PLANTED.FAULTS, ids=lambda fault: fault.name)
def test_each_fault_can_still_be_planted(fault):
    source = (PLANTED.ROOT / PLANTED.SOURCE / fault.file).read_text(encoding="utf-8")
    assert source.count(fault.old) == 1
    assert fault.new != fault.old
    assert all((TESTS / name).exists() for name in fault.tests)
