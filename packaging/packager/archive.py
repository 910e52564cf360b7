"""Archives that depend on nothing but what is in them: entries in order, times of the release, owners by number."""

import gzip
import tarfile


def write_tar(file, root, release, prefix="", owners=None):
    """Writes everything below `root` to an open file, below `prefix` and owned by root. `owners` names the exceptions: the number of
    user and group by folder."""
    owners = owners or {}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            inner = path.relative_to(root).as_posix()
            entry = tar.gettarinfo(path, f"{prefix}{inner}")
            entry.uid = entry.gid = owners.get(inner, 0)
            entry.uname = entry.gname = ""
            entry.mtime = release.time
            if entry.isfile():
                with path.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)


def write_compressed_tar(made, root, release, **options):
    level = 1 if release.fast else 9
    with made.open("wb") as raw, gzip.GzipFile("", "wb", level, raw, mtime=0) as file:
        write_tar(file, root, release, **options)
