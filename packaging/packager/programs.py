"""The two programs: built by cargo or taken from a directory, and stripped."""

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
NAMES = ("cache-server", "cachectl")
ARCHITECTURE = platform.machine()
TARGET = f"{ARCHITECTURE}-unknown-linux-gnu"


def run(*command, **options):
    """The output of a command, which has to succeed."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


@cache
def compile_programs(static):
    """Has cargo build the programs and returns their directory."""
    command = ["cargo", "build", "--locked", "--profile", "dist", "-p", "cache-server", "-p", "cachectl", "--bins"]
    environment = dict(os.environ)
    output = PROJECT / "target/dist"
    if static:
        # Naming the target keeps the flag from build scripts and procedural macros.
        command += ["--target", TARGET]
        environment["RUSTFLAGS"] = f"{environment.get('RUSTFLAGS', '')} -C target-feature=+crt-static".strip()
        output = PROJECT / "target" / TARGET / "dist"
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)
    return output


class Programs:
    def __init__(self, given):
        """`given` is the directory with the programs, or None to have cargo build them."""
        self._given = given

    def install(self, static, destination):
        """Copies the programs to `destination` without their symbols. Programs from a given directory stay linked as they are,
        whatever `static` says."""
        source = self._given.resolve() if self._given else compile_programs(static)
        destination.mkdir(parents=True)
        for name in NAMES:
            shutil.copyfile(source / name, destination / name)
            run("strip", "--strip-all", str(destination / name))
            (destination / name).chmod(0o755)


def is_static(program):
    """Whether the program runs without a loader and libraries."""
    return "INTERP" not in run("readelf", "--program-headers", "--wide", str(program))


def find_libraries(program):
    """The loader and the libraries of a program, by the paths at which they are looked for."""
    found = {}
    for line in run("ldd", str(program)).splitlines():
        match = re.match(r"\s+(?:\S+ => )?(/\S+) \(0x", line)
        if match:
            found[match[1]] = Path(match[1]).resolve()
    return found
