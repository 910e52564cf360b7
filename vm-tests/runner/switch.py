"""Switches a machine to another of its configurations, as the switch-to-configuration of NixOS does with units.

Runs in the container, with what is in `/system`: a folder for each configuration with its files.

    python3 /system/switch.py NAME

What it takes over from NixOS is what matters to a service with sockets: units that are gone are stopped, then new files are put
in place; services that changed are reloaded, restarted, or stopped and started, as their unit says; changed sockets are left
alone; targets are started again, with all that they want by then.
"""

import shutil
import subprocess
import sys
from pathlib import Path

SYSTEM = Path("/system")
UNITS = Path("etc/systemd/system")
ETC = Path("/etc")


def systemctl(*arguments):
    subprocess.run(["systemctl", *arguments], check=True)


def is_active(unit):
    asked = subprocess.run(["systemctl", "is-active", unit], check=False, capture_output=True, text=True)
    return asked.stdout.strip() in ("active", "activating")


def units(configuration):
    return {path.name: path.read_text() for path in (configuration / UNITS).glob("*.*") if path.is_file()}


def wanted_by(text):
    lines = [line.removeprefix("WantedBy=") for line in text.splitlines() if line.startswith("WantedBy=")]
    return " ".join(lines).split()


def put_in_place(old, new, target):
    """The files of a configuration, and the links to its units that NixOS makes."""
    for name, text in units(old).items():
        for wants in wanted_by(text):
            (ETC / "systemd/system" / f"{wants}.wants" / name).unlink(missing_ok=True)
        (ETC / "systemd/system" / name).unlink(missing_ok=True)
    shutil.copytree(target / "etc", ETC, dirs_exist_ok=True, ignore=shutil.ignore_patterns("hosts", "nix.conf"))
    for name, text in new.items():
        for wants in wanted_by(text):
            folder = ETC / "systemd/system" / f"{wants}.wants"
            folder.mkdir(exist_ok=True)
            (folder / name).symlink_to(f"../{name}")


def main(name):
    current = SYSTEM / "current"
    old, target = SYSTEM / current.read_text(), SYSTEM / name
    before, after = units(old), units(target)
    active = [unit for unit in before if is_active(unit)]

    stop = [unit for unit in active if unit not in after]
    reload, restart, start = [], [], []
    for unit in active:
        if unit not in after or not unit.endswith(".service"):
            continue
        if before[unit] != after[unit]:
            if "X-StopIfChanged=false" in after[unit].splitlines():
                restart.append(unit)
            else:
                stop.append(unit)
                start.append(unit)
        # In the place of X-Reload-Triggers, whose files have no contents here.
        elif "X-Reload-Triggers=" in after[unit] and files(old) != files(target):
            reload.append(unit)

    print(f"stop {stop}, reload {reload}, restart {restart}, start {start}", flush=True)
    if stop:
        systemctl("stop", *stop)
    put_in_place(old, after, target)
    current.write_text(name)
    systemctl("daemon-reload")
    for action, chosen in (("reload", reload), ("restart", restart)):
        if chosen:
            systemctl(action, *chosen)
    systemctl("start", "sockets.target", "multi-user.target", *start)


def files(configuration):
    others = [path for path in (configuration / "etc").rglob("*") if path.is_file() and not path.match("etc/systemd/system/*")]
    return {path.relative_to(configuration): path.read_bytes() for path in others}


if __name__ == "__main__":
    main(sys.argv[1])
