"""The crates that end up in the programs, as cargo resolves them for the target."""

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .programs import NAMES, PROJECT, TARGET, run


@dataclass(frozen=True)
class Crate:
    # How cargo calls it, unique in the graph.
    id: str
    name: str
    version: str
    # An SPDX expression.
    license: str
    authors: tuple
    repository: str
    # The folder with its source.
    source: Path
    # SHA-256 of the archive that the registry serves; None for the crates of this project.
    checksum: str | None


def expression(manifest):
    """Old manifests separate alternatives by a slash."""
    return " OR ".join(part.strip() for part in (manifest["license"] or "NOASSERTION").split("/"))


def names_in_programs():
    """Name and version of each crate that the features in use ask for. The graph of `cargo metadata` has optional ones, too."""
    command = ["cargo", "tree", "--locked", "--offline", "--target", TARGET, "--edges", "normal", "--prefix", "none"]
    listed = run(*command, "--format", "{p}", *(f"--package={name}" for name in NAMES), cwd=PROJECT)
    return {tuple(line.split()[:2]) for line in listed.splitlines() if line}


@cache
def resolve():
    """The crates by id, and for each id those that it uses. Build scripts and tests use others, which are in no program."""
    present = names_in_programs()
    command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", TARGET]
    metadata = json.loads(run(*command, cwd=PROJECT))
    locked = tomllib.loads((PROJECT / "Cargo.lock").read_text())["package"]
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in locked}
    manifests = {manifest["id"]: manifest for manifest in metadata["packages"]}
    uses = {
        node["id"]: [
            dependency["pkg"]
            for dependency in node["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
        for node in metadata["resolve"]["nodes"]
    }
    found = {}
    waiting = [member for member in metadata["workspace_members"] if manifests[member]["name"] in NAMES]
    while waiting:
        identifier = waiting.pop()
        if identifier in found:
            continue
        manifest = manifests[identifier]
        if (manifest["name"], f"v{manifest['version']}") not in present:
            continue
        found[identifier] = Crate(
            identifier,
            manifest["name"],
            manifest["version"],
            expression(manifest),
            tuple(manifest["authors"]),
            manifest["repository"] or f"https://crates.io/crates/{manifest['name']}",
            Path(manifest["manifest_path"]).parent,
            checksums[manifest["name"], manifest["version"]],
        )
        waiting += uses[identifier]
    crates = dict(sorted(found.items(), key=lambda item: (item[1].name, item[1].version)))
    return crates, {identifier: sorted(set(uses[identifier]) & set(crates)) for identifier in crates}


def foreign_crates():
    """The crates that others wrote."""
    return [crate for crate in resolve()[0].values() if crate.checksum]
