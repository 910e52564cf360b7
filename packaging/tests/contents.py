"""Looks into the packages: what is there, how it is owned, and what lintian says."""

import gzip
import io
import json
import subprocess
import tarfile

DOCUMENTATION = "usr/share/doc/cache-server"
EXPECTED = [
    "etc/cache-server/config.yaml",
    "usr/bin/cache-server",
    "usr/bin/cachectl",
    "usr/lib/sysusers.d/cache-server.conf",
    "usr/lib/tmpfiles.d/cache-server.conf",
    "usr/share/man/man1/cache-server.1.gz",
    "usr/share/man/man1/cachectl-token-create.1.gz",
    "usr/share/bash-completion/completions/cachectl",
    "usr/share/fish/vendor_completions.d/cache-server.fish",
    "usr/share/zsh/vendor-completions/_cachectl",
    f"{DOCUMENTATION}/sbom.cdx.json",
    f"{DOCUMENTATION}/dependencies.txt.gz",
]
RPM_FILES = "[%{FILENAMES} %{FILEUSERNAME} %{FILEMODES} %{FILEFLAGS}\n]"
# A flag of RPM.
NO_REPLACE = 1 << 4
# A crate of the core, one that comes without a licence text, and one with C code.
CRATES = ("tokio", "sea-orm-macros", "zstd-sys")


def test_deb(package):
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
    test_tree({member.name.removeprefix("./"): (member, content) for member, content in members(io.BytesIO(unpacked))})


def members(archive):
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            yield member, tar.extractfile(member).read() if member.isfile() else None


def test_tree(files, expected=EXPECTED, documentation=DOCUMENTATION):
    """`files` gives the entries of an archive and their contents by name."""
    missing = [name for name in expected if name not in files]
    assert not missing, f"the package lacks {missing}"
    for name, (member, _) in files.items():
        assert (member.uid, member.gid) in {(0, 0), (65532, 65532)}, f"{name} belongs to {member.uid}:{member.gid}"
        assert not member.mode & 0o022, f"{name} can be written by others: {member.mode:o}"
    sbom = json.loads(files[f"{documentation}/sbom.cdx.json"][1])
    assert sbom["bomFormat"] == "CycloneDX"
    listed = {component["name"] for component in sbom["components"]}
    references = {component["bom-ref"] for component in sbom["components"]}
    named = {name for entry in sbom["dependencies"] for name in entry["dependsOn"]}
    assert named <= references, f"the bill of materials lacks {named - references}"
    assert "proptest" not in listed, "the bill of materials lists what only tests use"
    texts = gzip.decompress(files[f"{documentation}/dependencies.txt.gz"][1]).decode()
    for name in CRATES:
        assert name in listed, f"the bill of materials lacks {name}"
        assert f"\n{name} " in texts, f"the licences lack {name}"


def test_rpm(package, directory):
    """What rpm itself says about a package: its files, their modes, and which of them are configuration."""
    listed = subprocess.run(["rpm", "-qp", "--nodigest", "--qf", RPM_FILES, package], check=True, text=True, capture_output=True).stdout
    files = {name: (owner, int(mode), int(flags)) for name, owner, mode, flags in map(str.split, listed.splitlines())}
    expected = [name.replace("vendor-completions", "site-functions") for name in EXPECTED]
    missing = [name for name in expected if f"/{name}" not in files]
    assert not missing, f"the package lacks {missing}"
    for name, (owner, mode, _) in files.items():
        assert owner == "root" and not mode & 0o022, f"{name} belongs to {owner}, mode {mode:o}"
    assert files["/etc/cache-server/config.yaml"][2] & NO_REPLACE, "an upgrade would replace the configuration"
    content = subprocess.run(["rpm2cpio", package], check=True, capture_output=True).stdout
    unpack = ["cpio", "--extract", "--make-directories", "--quiet"]
    (directory / "unpacked").mkdir()
    subprocess.run(unpack, cwd=directory / "unpacked", input=content, check=True)
    version = subprocess.run([directory / "unpacked/usr/bin/cachectl", "--version"], check=True, text=True, capture_output=True)
    assert version.stdout.startswith("cachectl "), version.stdout


def lint(package):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on=error,warning", package], text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"lintian: {done.stdout}{done.stderr}"
