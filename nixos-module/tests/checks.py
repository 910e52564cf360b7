"""What the tests of the modules share: reports, Nix, and the programs that look at what the modules make."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
# Ten times what `systemd-analyze security` may find: of the daemon, and of the units of the client.
EXPOSURE = {True: 15, False: 20}
# Where the units look for the daemon.
PACKAGE = "/nix/store/" + 32 * "0" + "-cache-server"

# Where test.sh installs gixy.
GIXY = "/opt/cache-server-test-tools/gixy/bin/gixy"

failures = []
not_tested = []


def check(condition, message):
    if not condition:
        failures.append(message)
        print(f"FAILED: {message}", flush=True)


def skip(message):
    """Names what cannot be tested here; test.sh counts these in its last lines."""
    not_tested.append(message)
    print(f"NOT TESTED: {message}", flush=True)
    if record := os.environ.get("NOT_TESTED"):
        with open(record, "a") as lines:
            lines.write(f"NixOS module: {message}\n")


# Nothing is built, so Nix needs no store.
ENVIRONMENT = os.environ | {"NIX_REMOTE": "dummy://"}


def run(*command):
    if not shutil.which(command[0]):
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")
    return subprocess.run(command, text=True, capture_output=True, check=False, env=ENVIRONMENT)


def evaluate(library, attribute, file="evaluate.nix", argument="nixpkgsLib", more=()):
    command = ["nix-instantiate", "--eval", "--strict", "--json"]
    command += [str(HERE / file), "--arg", argument, str(library), "-A", attribute, *more]
    return run(*command)


def value(library, attribute, **which):
    evaluated = evaluate(library, attribute, **which)
    check(evaluated.returncode == 0, f"{attribute} cannot be evaluated: {evaluated.stderr}")
    return json.loads(evaluated.stdout) if evaluated.returncode == 0 else {}


def yaml(value, indent=""):
    """Block style, with scalars as JSON has them."""
    if isinstance(value, dict) and value:
        return "".join(f"{indent}{key}:{below(item, indent)}" for key, item in sorted(value.items()))
    if isinstance(value, list) and value:
        return "".join(f"{indent}- {yaml(item, indent + '  ').lstrip()}" for item in value)
    return f"{indent}{json.dumps(value, ensure_ascii=False)}\n"


def below(value, indent):
    if value and isinstance(value, (dict, list)):
        return "\n" + yaml(value, indent + "  ")
    return " " + yaml(value)


def check_configuration(daemon, path, what):
    """The daemon takes the file, and has nothing to say about it."""
    checked = run(daemon, "check-config", "--offline", str(path))
    complaint = checked.stdout + checked.stderr
    # The machines of the scenarios are alone on their network.
    warnings = [line for line in complaint.splitlines() if "warning:" in line and "is not encrypted" not in line]
    check(checked.returncode == 0 and not warnings, f"{what}: {complaint}")


def find_gixy():
    return shutil.which("gixy") or (GIXY if os.access(GIXY, os.X_OK) else None)


# What nginx 1.22 of Debian does not know yet, and what belongs to the machine.
NOT_HERE = re.compile(r"^\s*(http2 on|http3\w*|ssl_conf_command|listen [^;]* quic|user|pid|daemon|error_log|access_log)\b[^;]*;\n", re.MULTILINE)


def lint_nginx(text, what):
    """NixOS builds no system whose nginx.conf gixy refuses, and nginx does not start with one that it refuses itself."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "nginx.conf"
        # The included files are nginx's own.
        text = re.sub(r"^\s*include [^;]*;\n", "", text, flags=re.MULTILINE)
        path.write_text(text)
        if gixy := find_gixy():
            linted = run(gixy, str(path))
            check(linted.returncode == 0, f"gixy, and so NixOS, refuses the nginx.conf of {what}:\n{linted.stdout}{linted.stderr}")
        if nginx := find_nginx():
            text = re.sub(r"\blisten unix:[^\s;]*", f"listen unix:{directory}/socket", text)
            path.write_text(NOT_HERE.sub("", re.sub(r"(ssl\w*_certificate(_key)?) [^;]*;", rf"\1 {directory}/\2.pem;", text)))
            certify(Path(directory))
            tested = run(nginx, "-t", "-p", directory, "-c", str(path), "-g", f"error_log stderr; pid {directory}/pid;")
            check(tested.returncode == 0, f"nginx refuses the nginx.conf of {what}:\n{tested.stderr}")


def find_nginx():
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


def certify(directory):
    """A certificate, as `.pem`, and its key, as `_key.pem`."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=cache.example.org", "-out", str(directory / ".pem"), "-keyout", str(directory / "_key.pem")]
    made = run(*command)
    check(made.returncode == 0, f"openssl makes no certificate: {made.stderr}")


def analyze_units(units, what):
    """systemd understands the units, and finds their services closed enough."""
    units = {name: text for name, text in units.items() if name.startswith("cache-server")}
    if not units:
        return
    with tempfile.TemporaryDirectory() as directory:
        for name, text in units.items():
            # Programs that are not here, and what systemd 252 does not know yet.
            text = re.sub(r"(?m)^(Exec\w+=[+-]?)/nix/store/\S+", r"\1/bin/true", text)
            (Path(directory) / name).write_text(re.sub(r"(?m)^WantsMountsFor=.*\n", "", text))
        paths = sorted(map(str, Path(directory).iterdir()))
        verified = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *paths)
        complaints = [line for line in verified.stderr.splitlines() if "cache-server" in line]
        check(verified.returncode == 0 and not complaints, f"systemd does not understand the units of {what}:\n{verified.stderr}")
        for path in paths:
            if path.endswith(".service"):
                name = Path(path).name
                allowed = EXPOSURE[name == "cache-server.service"]
                command = ["systemd-analyze", "security", "--offline=true", f"--threshold={allowed}", "--no-pager", path]
                found = run(*command)
                worst = found.stdout.strip().splitlines()[-1:]
                check(found.returncode == 0, f"{name} of {what} is too open: {worst} {found.stderr}")
