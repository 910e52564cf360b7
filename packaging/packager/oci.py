"""The container image, as an archive in the OCI layout that `docker load`, `podman load`, skopeo and registries take."""

import gzip
import hashlib
import io
import json
import os
from pathlib import Path

from .archive import write_tar
from .programs import ARCHITECTURE, find_libraries, is_static
from .tree import PACKAGING, install, install_programs, settle, write

# No user of a host has this number, which is also that of `nonroot` in other images.
USER = 65532
STATE = "/var/lib/cache-server"
# The certificates with which HTTPS servers are checked, as Debian has them.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# As Go, and so OCI, calls it.
PLATFORM = {"x86_64": "amd64", "aarch64": "arm64"}
ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\ncache-server:x:{USER}:{USER}:Nix binary cache:{STATE}:/sbin/nologin\n",
    "etc/group": f"root:x:0:\ncache-server:x:{USER}:\n",
    # The C library looks nowhere else for host names.
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def furnish(release, programs, root):
    """The root of the image."""
    install_programs(release, root / "usr", programs, static=True)
    for name, text in ACCOUNTS.items():
        write(text, root / name)
    install(PACKAGING / "container/config.yaml", root / "etc/cache-server/config.yaml")
    install(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    (root / STATE.lstrip("/")).mkdir(parents=True)
    for program in sorted((root / "usr/bin").iterdir()):
        if not is_static(program):
            for place, library in find_libraries(program).items():
                install(library, root / place.lstrip("/"), 0o755)
    settle(root, release)
    os.chmod(root / STATE.lstrip("/"), 0o750)


def configuration(release, layer):
    created = release.date("%Y-%m-%dT%H:%M:%SZ")
    labels = {
        "org.opencontainers.image.title": "cache-server",
        "org.opencontainers.image.description": "Self-hosted, distributed Nix binary cache",
        "org.opencontainers.image.licenses": "MIT",
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.created": created,
    }
    if release.commit:
        labels["org.opencontainers.image.revision"] = release.commit
    return {
        "created": created,
        "architecture": PLATFORM[ARCHITECTURE],
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Entrypoint": ["/usr/bin/cache-server"],
            "Cmd": ["--config", "/etc/cache-server/config.yaml"],
            "Env": ["PATH=/usr/bin", f"STATE_DIRECTORY={STATE}", f"CACHE_SERVER_SOCKET={STATE}/admin.sock"],
            "WorkingDir": STATE,
            "Volumes": {STATE: {}},
            "ExposedPorts": {"5000/tcp": {}, "5001/tcp": {}, "8080/tcp": {}, "4222/udp": {}},
            "StopSignal": "SIGTERM",
            "Labels": labels,
            # Docker's own: OCI has none, and Kubernetes has probes. A daemon with a full disk lives, and a restart would not
            # help it, so this asks only whether it answers.
            "Healthcheck": {"Test": ["CMD", "/usr/bin/cachectl", "--timeout", "5s", "status"], "Interval": 30_000_000_000,
                            "Timeout": 10_000_000_000, "StartPeriod": 600_000_000_000, "Retries": 3},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": created, "created_by": "packaging/build oci"}],
    }


class Layout:
    """A folder of blobs that are named by their hashes."""

    def __init__(self, folder):
        self._blobs = folder / "blobs/sha256"
        self._blobs.mkdir(parents=True)
        self._folder = folder

    def add(self, media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        (self._blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, media_type, document):
        return self.add(media_type, json.dumps(document, indent=1).encode())

    def write_json(self, name, document):
        (self._folder / name).write_text(json.dumps(document, indent=1))


def tag(release):
    """The version with the characters that a tag may have."""
    return release.version.replace("~", "-").replace("+", "-")


def write_layout(release, layer, folder):
    layout = Layout(folder)
    image = "application/vnd.oci.image"
    config = layout.add_json(f"{image}.config.v1+json", configuration(release, layer))
    packed = layout.add(f"{image}.layer.v1.tar+gzip", gzip.compress(layer, 1 if release.fast else 9, mtime=0))
    manifest = {"schemaVersion": 2, "mediaType": f"{image}.manifest.v1+json", "config": config, "layers": [packed]}
    entry = layout.add_json(f"{image}.manifest.v1+json", manifest)
    entry["platform"] = {"architecture": PLATFORM[ARCHITECTURE], "os": "linux"}
    name = f"cache-server:{tag(release)}"
    entry["annotations"] = {"io.containerd.image.name": f"docker.io/library/{name}", "org.opencontainers.image.ref.name": tag(release)}
    layout.write_json("index.json", {"schemaVersion": 2, "mediaType": f"{image}.index.v1+json", "manifests": [entry]})
    layout.write_json("oci-layout", {"imageLayoutVersion": "1.0.0"})
    # For versions of Docker that do not read the layout.
    path = {what["digest"]: f"blobs/sha256/{what['digest'].removeprefix('sha256:')}" for what in (config, packed)}
    layout.write_json("manifest.json", [{"Config": path[config["digest"]], "RepoTags": [name], "Layers": [path[packed["digest"]]]}])


def build(release, programs, directory, output):
    root = directory / "root"
    furnish(release, programs, root)
    layer = io.BytesIO()
    write_tar(layer, root, release, owners={STATE.lstrip("/"): USER})
    write_layout(release, layer.getvalue(), directory / "layout")
    settle(directory / "layout", release)
    made = output / f"cache-server_{tag(release)}_{PLATFORM[ARCHITECTURE]}.oci.tar"
    with made.open("wb") as file:
        write_tar(file, directory / "layout", release)
    return made
