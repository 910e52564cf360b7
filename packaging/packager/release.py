"""The version, commit and time of a package."""

import os
import re
import subprocess
import time
from dataclasses import dataclass

from .programs import PROJECT


def git(*arguments):
    """The output of git in the checkout, or None outside of one."""
    done = subprocess.run(["git", "-C", PROJECT, *arguments], text=True, capture_output=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


@dataclass(frozen=True)
class Release:
    # Sorts before the release it leads to, for dpkg and rpm alike: 0.1.0~git20260131.120000.0123456.
    version: str
    # With `-dirty` if tracked files differ from it; None outside of a checkout.
    commit: str | None
    # Seconds since 1970, for everything that carries a time.
    time: int
    # Whether the package is for a test and may be large.
    fast: bool = False

    @classmethod
    def of_checkout(cls, version=None, fast=False):
        commit = git("rev-parse", "HEAD")
        if "SOURCE_DATE_EPOCH" in os.environ:
            seconds = int(os.environ["SOURCE_DATE_EPOCH"])
        elif commit:
            seconds = int(git("log", "-1", "--format=%ct"))
        else:
            raise SystemExit("packaging/build: outside of a git checkout, set SOURCE_DATE_EPOCH to the time of the release")
        declared = re.search(r'^version = "(.*)"', (PROJECT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        if version is None:
            tags = (git("tag", "--points-at", "HEAD") or "").split()
            version = declared
            if commit and f"v{declared}" not in tags:
                version += time.strftime("~git%Y%m%d.%H%M%S.", time.gmtime(seconds)) + commit[:7]
        if commit and git("status", "--porcelain", "--untracked-files=no"):
            commit += "-dirty"
        return cls(version, commit, seconds, fast)

    def date(self, form):
        return time.strftime(form, time.gmtime(self.time))
