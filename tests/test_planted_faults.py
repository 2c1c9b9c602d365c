from pathlib import Path
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src/tracekd"
FAULTS = yaml.safe_load((TESTS / "faults.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault["name"])
def test_each_fault_can_still_be_planted(fault: dict[str, Any]) -> None:
    source = (SOURCE / fault["file"]).read_text(encoding="utf-8")
    assert source.count(fault["old"]) == 1
    assert fault["new"] != fault["old"]
    assert all((TESTS / name).exists() for name in fault["tests"])
