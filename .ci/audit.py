"""Ask for known vulnerabilities of the packages in a `pip freeze`; a finding fails.

    python .ci/audit.py FREEZE

pip-audit takes a package that its service does not know for one without vulnerabilities, and a
mirror of the index knows none. So what counts is how many packages were looked up; if no service
could be reached that knows any, this says so and passes.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
UNREACHABLE = re.compile(r"Connection(?:Error|Reset)|Could not connect|timed out|Max retries")


def main(freeze: Path) -> int:
    """Audit with the first service that answers; return 1 if it knows a vulnerability."""
    # Builds with a local version, such as torch 2.13.0+cpu, are known by their public one.
    pins = re.sub(r"\+[\w.]+$", "", freeze.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for service in SERVICES:
        packages = audited(pins, service)
        known = [package for package in packages if "vulns" in package]
        if known:
            return told(service, known, [p["name"] for p in packages if "vulns" not in p])
    print(f"SKIPPED: vulnerabilities were not looked up, out of reach: {', '.join(SERVICES)}")
    return 0


def audited(pins: str, service: str) -> list[dict[str, Any]]:
    """Return what pip-audit says of each package, nothing if the service cannot be reached."""
    with tempfile.TemporaryDirectory() as folder:
        listed, found = Path(folder, "pins.txt"), Path(folder, "found.json")
        listed.write_text(pins, encoding="utf-8")
        options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--timeout", "15"]
        files = ["-r", str(listed), "-f", "json", "-o", str(found)]
        command = [sys.executable, "-m", "pip_audit", "-s", service, *options, *files]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
        if found.is_file():
            packages: list[dict[str, Any]] = json.loads(found.read_text())["dependencies"]
            return packages
    if not UNREACHABLE.search(done.stderr):
        sys.exit(f"pip-audit itself failed:\n{done.stderr}")
    return []


def told(service: str, known: list[dict[str, Any]], unknown: list[str]) -> int:
    """Print the outcome; return 1 if a package is vulnerable."""
    print(f"{len(known)} packages looked up at {service}; unknown there: {unknown or 'none'}")
    findings = [(package, vulnerability) for package in known for vulnerability in package["vulns"]]
    for package, vulnerability in findings:
        fixed = ", ".join(vulnerability["fix_versions"]) or "no release yet"
        print(f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in {fixed}")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
