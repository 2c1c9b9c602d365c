import mutations
import pytest


@pytest.mark.parametrize("fault", mutations.FAULTS, ids=lambda fault: fault.name)
def test_each_fault_can_still_be_planted(fault):
    source = (mutations.ROOT / mutations.SOURCE / fault.file).read_text(encoding="utf-8")
    assert source.count(fault.old) == 1
    assert fault.new != fault.old
    assert all((mutations.ROOT / "tests" / name).exists() for name in fault.tests)
