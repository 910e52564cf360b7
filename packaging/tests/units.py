"""The files that packages share are those of the NixOS module, as far as they can be."""

import re
import sys
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent.parent
MODULE = PACKAGING.parent / "nixos-module/tests"
# What belongs to the place where the programs are and to the user.
OWN = re.compile(r"#|Environment=|ExecStart=|ExecReload=|Sockets=|X-|DynamicUser=|LogsDirectory|LoadCredential|ReadWritePaths|$")


def test():
    test_service()
    test_nginx()
    sys.path.append(str(MODULE))
    import checks

    units = {path.name: path.read_text() for path in (PACKAGING / "systemd").glob("cache-server*.s*")}
    # A daemon that other nodes can reach is a little more exposed than the one that the module closes off.
    checks.EXPOSURE[True] = 20
    checks.analyze_units({name: text.replace("/usr/bin/", f"{checks.PACKAGE}/bin/") for name, text in units.items()}, "the packages")
    checks.lint_nginx("events {}\nhttp {\n" + (PACKAGING / "nginx/cache-server.conf").read_text() + "}\n", "the packages")
    assert not checks.failures, checks.failures


def settings(text):
    section = text.split("\n[Service]\n")[1].split("\n[Install]\n")[0]
    return {line for line in section.splitlines() if not OWN.match(line)}


def test_service():
    ours = settings((PACKAGING / "systemd/cache-server.service").read_text())
    theirs = settings((MODULE / "golden/node/etc/systemd/system/cache-server.service").read_text())
    assert ours == theirs, f"the service differs from that of the NixOS module: {sorted(ours ^ theirs)}"


def words(text):
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_nginx():
    golden = words((MODULE / "golden/nginx/etc/nginx/nginx.conf").read_text())
    module = golden[golden.index("http {") + 1 : -1]
    ours = words((PACKAGING / "nginx/cache-server.conf").read_text())
    assert ours == module, f"nginx/cache-server.conf differs from that of the NixOS module: {set(ours) ^ set(module)}"
