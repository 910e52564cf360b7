"""The Debian package."""

import hashlib
import os
import subprocess

from .programs import run
from .tree import PACKAGING, compress, install, install_programs, install_service, settle, write

DEBIAN = PACKAGING / "debian"
MAINTAINER = "the cache-server authors <cache-server@example.org>"


def architecture():
    return run("dpkg", "--print-architecture").strip()


def find_dependencies(root, scratch):
    """The packages with the libraries that the programs are linked with, in the versions whose symbols they use."""
    write("Source: cache-server\n\nPackage: cache-server\nArchitecture: any\n", scratch / "debian/control")
    programs = sorted(str(path) for path in (root / "usr/bin").iterdir())
    found = run("dpkg-shlibdeps", "-O", *programs, cwd=scratch, stderr=subprocess.DEVNULL).strip()
    return found.removeprefix("shlibs:Depends=")


def write_documentation(release, root):
    documentation = root / "usr/share/doc/cache-server"
    install(DEBIAN / "copyright", documentation / "copyright")
    commit = f"Commit {release.commit}." if release.commit else "Built outside of a checkout."
    entry = f"cache-server ({release.version}) unstable; urgency=medium\n\n  * {commit}\n\n"
    entry += f" -- {MAINTAINER}  {release.date('%a, %d %b %Y %H:%M:%S +0000')}\n"
    write(entry, documentation / "changelog")
    compress(documentation / "changelog")
    install(DEBIAN / "lintian-overrides", root / "usr/share/lintian/overrides/cache-server")


def files(root):
    """The files of the package in order, without dpkg's own."""
    found = []
    for directory, _, names in os.walk(root):
        if not directory.startswith(str(root / "DEBIAN")):
            found += [os.path.relpath(os.path.join(directory, name), root) for name in names]
    return sorted(found)


def write_control(release, root, scratch):
    control = root / "DEBIAN"
    libraries = find_dependencies(root, scratch)
    size = sum(max(1, -(-(root / name).stat().st_size // 1024)) for name in files(root))
    fields = (DEBIAN / "control").read_text()
    fields = fields.format(
        version=release.version, architecture=architecture(), maintainer=MAINTAINER, size=size, libraries=libraries
    )
    write(fields, control / "control")
    for script in ("postinst", "prerm", "postrm"):
        install(DEBIAN / script, control / script, 0o755)
    write("/etc/cache-server/config.yaml\n", control / "conffiles")
    sums = ""
    for name in files(root):
        if not name.startswith("etc/"):
            sums += f"{hashlib.md5((root / name).read_bytes()).hexdigest()}  {name}\n"
    write(sums, control / "md5sums")


def build(release, programs, directory, output):
    root = directory / "root"
    install_programs(release, root / "usr", programs, static=False)
    # All releases of Debian look for units here; the newer ones have merged it with /usr/lib.
    install_service(root, units="lib/systemd/system")
    write_documentation(release, root)
    write_control(release, root, directory / "scratch")
    settle(root, release)
    made = output / f"cache-server_{release.version}_{architecture()}.deb"
    compression = ["-Zgzip", "-z1"] if release.fast else ["-Zxz"]
    command = ["dpkg-deb", "--root-owner-group", *compression, "--build", str(root), str(made)]
    run(*command, env=os.environ | {"SOURCE_DATE_EPOCH": str(release.time)})
    return made
