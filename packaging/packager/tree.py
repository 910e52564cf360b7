"""What every package installs, as a folder with the layout of the file system."""

import gzip
import os
import shutil

from . import licences, sbom
from .programs import NAMES, PROJECT, run

PACKAGING = PROJECT / "packaging"
# Where each shell looks for the completions of a program.
COMPLETIONS = {
    "bash": "share/bash-completion/completions/{}",
    "fish": "share/fish/vendor_completions.d/{}.fish",
    "zsh": "share/zsh/vendor-completions/_{}",
}


def install(source, destination, mode=0o644):
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)
    destination.chmod(mode)


def write(text, destination, mode=0o644):
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_text(text)
    destination.chmod(mode)


def compress(path):
    """Replaces a file by a compressed one, without a time in it."""
    compressed = path.with_name(path.name + ".gz")
    compressed.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
    path.unlink()
    return compressed


def install_programs(release, prefix, programs, static):
    """Programs, man pages, completions and documentation below `prefix`, which is /usr of the package or the tarball itself."""
    programs.install(static, prefix / "bin")
    pages = prefix / "share/man/man1"
    pages.mkdir(parents=True)
    for name in NAMES:
        program = str(prefix / "bin" / name)
        run(program, "man", str(pages))
        for shell, place in COMPLETIONS.items():
            write(run(program, "completions", shell), prefix / place.format(name))
    for page in sorted(pages.iterdir()):
        section = pages.with_name(f"man{page.suffix[1:]}")
        section.mkdir(exist_ok=True)
        compress(page.rename(section / page.name))

    documentation = prefix / "share/doc/cache-server"
    install(PROJECT / "README.md", documentation / "README.md")
    install(PROJECT / "config.example.yaml", documentation / "examples/config.yaml")
    install(PACKAGING / "nginx/cache-server.conf", documentation / "examples/nginx.conf")
    for name in ("alerts.yaml", "dashboard.json"):
        install(PROJECT / "monitoring" / name, documentation / "examples/monitoring" / name)
    write(sbom.render(release), documentation / "sbom.cdx.json")
    write(licences.render(), documentation / "dependencies.txt")
    compress(documentation / "dependencies.txt")


def install_service(root, units="usr/lib/systemd/system"):
    """The units, users, directories and configuration of a system service, below `root`."""
    for unit in sorted((PACKAGING / "systemd").glob("*.s*")):
        install(unit, root / units / unit.name)
    install(PACKAGING / "systemd/sysusers.conf", root / "usr/lib/sysusers.d/cache-server.conf")
    install(PACKAGING / "systemd/tmpfiles.conf", root / "usr/lib/tmpfiles.d/cache-server.conf")
    install(PACKAGING / "config.yaml", root / "etc/cache-server/config.yaml")


def settle(root, release):
    """Gives everything below `root` the time of the release and the permissions of a package, whatever the umask was."""
    for directory, _, names in os.walk(root, topdown=False):
        for name in names:
            path = os.path.join(directory, name)
            os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)
            os.utime(path, (release.time, release.time))
        os.chmod(directory, 0o755)
        os.utime(directory, (release.time, release.time))
