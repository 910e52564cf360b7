"""The RPM package, by rpmbuild from the same tree as the others."""

import os

from .archive import write_compressed_tar
from .programs import ARCHITECTURE, run
from .tree import PACKAGING, install, install_programs, install_service, settle, write

SPEC = PACKAGING / "rpm/cache-server.spec"


def build(release, programs, directory, output):
    top, root = directory / "top", directory / "root"
    install_programs(release, root / "usr", programs, static=False)
    install_service(root)
    install(PACKAGING.parent / "LICENSE", root / "usr/share/licenses/cache-server/LICENSE")
    # Where Fedora has them.
    zsh = root / "usr/share/zsh"
    (zsh / "vendor-completions").rename(zsh / "site-functions")
    settle(root, release)
    (top / "SOURCES").mkdir(parents=True)
    write_compressed_tar(top / "SOURCES/root.tar.gz", root, release)
    date = release.date("%a %b %d %Y")
    changelog = f"\n%changelog\n* {date} the cache-server authors <cache-server@example.org> - {release.version}-1\n"
    changelog += f"- Commit {release.commit}\n" if release.commit else "- Built outside of a checkout\n"
    write(SPEC.read_text() + changelog, top / "cache-server.spec")
    defines = {
        "_topdir": top,
        "package_version": release.version,
        # Two builders get the same bytes.
        "_buildhost": "localhost",
        "use_source_date_epoch_as_buildtime": 1,
        "clamp_mtime_to_source_date_epoch": 1,
        "_binary_payload": "w1.gzdio" if release.fast else "w19.zstdio",
    }
    options = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(release.time)}
    run("rpmbuild", "-bb", "--quiet", "--nodeps", *options, str(top / "cache-server.spec"), env=environment)
    (built,) = (top / "RPMS" / ARCHITECTURE).iterdir()
    made = output / built.name
    made.write_bytes(built.read_bytes())
    return made
