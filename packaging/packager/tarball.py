"""The tarball: programs that run on every Linux of the architecture, to be unpacked below /usr/local or anywhere else."""

from .archive import write_compressed_tar
from .programs import ARCHITECTURE
from .tree import PACKAGING, PROJECT, install, install_programs, settle


def name(release):
    return f"cache-server-{release.version}-{ARCHITECTURE}-linux"


def build(release, programs, directory, output):
    root = directory / "root"
    install_programs(release, root, programs, static=True)
    for path in sorted((PACKAGING / "systemd").iterdir()):
        install(path, root / "share/cache-server" / path.name)
    install(PACKAGING / "config.yaml", root / "share/cache-server/config.yaml")
    install(PACKAGING / "install", root / "install", 0o755)
    install(PROJECT / "LICENSE", root / "LICENSE")
    settle(root, release)
    made = output / f"{name(release)}.tar.gz"
    write_compressed_tar(made, root, release, prefix=f"{name(release)}/")
    return made
