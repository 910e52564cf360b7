"""The container image: its layout by the rules of OCI, and its programs in its own root, started as it says."""

import gzip
import hashlib
import io
import json
import tarfile

import bare
import contents

EXPECTED = [name for name in contents.EXPECTED if not name.startswith(("usr/lib/sysusers.d", "usr/lib/tmpfiles.d"))]


def open_archive(archive):
    """The configuration of the image in an archive, and its layer, uncompressed."""
    files = {member.name: content for member, content in contents.members(io.BytesIO(archive.read_bytes()))}
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, entry))
    config = json.loads(blob(files, manifest["config"]))
    (described,) = manifest["layers"]
    layer = gzip.decompress(blob(files, described))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    (older,) = json.loads(files["manifest.json"])
    assert older["Config"] == "blobs/" + manifest["config"]["digest"].replace(":", "/")
    return config, layer


def extract(layer, root):
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        tar.extractall(root, filter="fully_trusted")


def test(archive, directory):
    config, layer = open_archive(archive)
    settings = config["config"]
    user, group = map(int, settings["User"].split(":"))
    assert user == group != 0, "the image runs as root"
    members = {member.name: (member, content) for member, content in contents.members(io.BytesIO(layer))}
    contents.test_tree(members, EXPECTED)
    for volume in settings["Volumes"]:
        assert members[volume.lstrip("/")][0].uid == user, f"{volume} does not belong to the user of the image"

    root = directory / "root"
    extract(layer, root)
    environment = dict(entry.split("=", 1) for entry in settings["Env"])
    bare.test(root, user, environment, [*settings["Entrypoint"], *settings["Cmd"]], directory)


def blob(files, described):
    """A blob, which has to be what its name says."""
    content = files["blobs/" + described["digest"].replace(":", "/")]
    assert hashlib.sha256(content).hexdigest() == described["digest"].removeprefix("sha256:")
    assert len(content) == described["size"]
    return content
