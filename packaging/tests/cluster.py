"""What the Kubernetes manifests start, started by hand: two daemons, PostgreSQL and an S3 server. The daemons run in the root of the
image with the user, mounts, arguments and probes of the manifests. What Kubernetes itself would do is not tested.
"""

import contextlib
import json
import os
import urllib.request
from pathlib import Path

import bare
import pods
from bare import NIX, PATIENCE, run
from machine import BRIDGE, Network

FOLDER = Path(__file__).resolve().parent.parent / "kubernetes"
# Root's tools are not in the path of every shell.
CHROOT = "/usr/sbin/chroot"

# Prints the manifests as JSON. Run by the Python that has a parser.
TO_JSON = """\
import json, sys, yaml
print(json.dumps([document for path in sys.argv[1:] for document in yaml.safe_load_all(open(path))]))
"""


def load(python):
    """The manifests by kind and name. `python` is one with a parser of YAML."""
    listed = run(python, "-c", TO_JSON, FOLDER / "cache-server.yaml", FOLDER / "postgresql.yaml")
    return {(document["kind"], document["metadata"]["name"]): document for document in json.loads(listed)}


class Daemon:
    """A pod of the StatefulSet: the root of the image, read-only, with the mounts of the manifest."""

    def __init__(self, pod, manifests, image, directory, files):
        """`image` is the configuration of the image, and `files` has the contents of each volume by name."""
        self.pod = pod
        spec = manifests["StatefulSet", "cache-server"]["spec"]["template"]["spec"]
        (self._container,) = spec["containers"]
        self._user, self._group = spec["securityContext"]["runAsUser"], spec["securityContext"]["fsGroup"]
        self._settings = image["config"]
        self.root = directory / pod.name / "root"
        for folder in ("upper", "work", "root", "volumes"):
            (directory / pod.name / folder).mkdir(parents=True)
        layers = f"lowerdir={directory}/base,upperdir={directory}/{pod.name}/upper,workdir={directory}/{pod.name}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        self._furnish()
        for mount in self._container["volumeMounts"]:
            self._mount(mount, directory / pod.name / "volumes" / mount["name"], files.get(mount["name"], {}))
        if self._container["securityContext"]["readOnlyRootFilesystem"]:
            run("mount", "-o", "remount,ro", self.root)

    def _furnish(self):
        """What the container runtime adds."""
        for name in ("dev", "proc"):
            (self.root / name).mkdir()
        run("mount", "--bind", "/proc", self.root / "proc")
        for name in bare.DEVICES:
            (self.root / "dev" / name).touch()
            run("mount", "--bind", f"/dev/{name}", self.root / "dev" / name)
        (self.root / "etc/hosts").write_text("".join(f"{pods.address(name)} {name}\n" for name in pods.PODS))

    def _mount(self, mount, volume, files):
        volume.mkdir()
        # As `fsGroup` has it: root's, and open to the group.
        os.chown(volume, 0, self._group)
        volume.chmod(0o2770)
        for name, text in files.items():
            (volume / name).write_text(text)
            (volume / name).chmod(0o440)
            os.chown(volume / name, 0, self._group)
        place = self.root / mount["mountPath"].lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", volume, place)
        if mount.get("readOnly"):
            run("mount", "-o", "remount,bind,ro", place)

    def _inside(self, *command):
        """A command of the image as its user. Pods are called like their StatefulSet and number."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {self.pod.name}; exec "$@"', "sh"]
        identity = [f"--userspec={self._user}:{self._group}", f"--groups={self._group}"]
        return [*named, "env", "-i", *self._settings["Env"], CHROOT, *identity, self.root, *command]

    def start(self):
        self.process = self.pod.start(*self._inside(*self._settings["Entrypoint"], *self._settings["Cmd"]))

    def cachectl(self, *arguments):
        return self.pod.run(*self._inside("/usr/bin/cachectl", *arguments))

    def succeeds(self, probe):
        """Whether a probe of the manifest succeeds."""
        asked = self._container[probe]["httpGet"]
        port = next(port["containerPort"] for port in self._container["ports"] if port["name"] == asked["port"])
        try:
            with urllib.request.urlopen(f"http://{self.pod.address}:{port}{asked['path']}", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False

    def url(self):
        return f"http://{self.pod.address}:5000/api/v1/cache/main"


def find_missing():
    """What this test takes and is not here."""
    if pods.find_postgresql() is None:
        return "PostgreSQL"
    return None if os.access(pods.GARAGE, os.X_OK) else "Garage"


def test(image, extract, python, directory):
    """`image` is its configuration, and `extract` unpacks its layer."""
    manifests = load(python)
    # PostgreSQL has a user of its own.
    directory.mkdir(mode=0o755)
    directory.parent.chmod(0o755)
    extract(directory / "base")
    with contextlib.ExitStack() as stack:
        network = Network()
        stack.callback(network.close)
        run("ip", "address", "add", "192.168.1.254/24", "dev", BRIDGE)
        started = {name: pods.Pod(network, name, directory, stack) for name in pods.PODS}
        text = (FOLDER / "config.yaml").read_text()
        given = {"key": "k" * 64, "database-password": "d" * 64, "metrics-token": "m" * 64}
        pods.start_postgresql(started["postgresql"], manifests, directory, given["database-password"])
        access, secret = pods.start_garage(started["s3.example.org"], directory, "cache-server")
        given |= {"s3-access-key": access, "s3-secret-key": secret}
        files = {"configuration": {"config.yaml": text.replace("https://s3.example.org", "http://s3.example.org:3900")}, "secrets": given}
        replicas = manifests["StatefulSet", "cache-server"]["spec"]["replicas"]
        daemons = []
        for number in range(replicas):
            daemons.append(Daemon(started[f"cache-server-{number}"], manifests, image, directory, files))
            stack.callback(run, "umount", "--recursive", daemons[-1].root)
        try:
            use(daemons, directory)
        except BaseException:
            for pod in started.values():
                print(f"{pod.name}:\n{pod.log.read_text()[-3000:] if pod.log.exists() else ''}")
            raise


def use(daemons, directory):
    os.environ["XDG_CACHE_HOME"] = str(directory / "cache")
    # Both at once, as the StatefulSet has it, with an empty database before them.
    for daemon in daemons:
        daemon.start()
    for daemon in daemons:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            pods.wait_for(lambda: daemon.succeeds(probe), f"{probe} of {daemon.pod.name}", daemon.process)
    first, second = daemons
    token = first.cachectl("token", "create", "--cache", "main", "--permission", "write", "--expires", "1h")
    netrc = directory / "netrc"
    netrc.write_text("".join(f"machine {daemon.pod.address} login token password {token}\n" for daemon in daemons))
    netrc.chmod(0o600)
    keys = second.cachectl("--json", "key", "list", "--cache", "main")
    key = next(word for word in keys.split('"') if word.startswith("main") and ":" in word)

    def push(daemon, content):
        path = bare.add_path(directory / "ours", content)
        run(*NIX, "copy", "--option", "netrc-file", netrc, "--from", directory / "ours", "--to", daemon.url(), path)
        return path

    def fetch(daemon, path, store):
        run(*NIX, "copy", "--option", "trusted-public-keys", key, "--from", daemon.url(), "--to", directory / store, path)

    # What one daemon took, the other serves, and the token of one counts for the other.
    fetch(second, push(first, b"by the first"), "a")
    later = push(second, b"by the second")
    fetch(first, later, "b")
    # While one is replaced, the other goes on.
    first.process.terminate()
    assert first.process.wait(PATIENCE) == 0, "the daemon does not end well"
    assert not first.succeeds("readinessProbe")
    fetch(second, push(second, b"alone"), "c")
    first.start()
    pods.wait_for(lambda: first.succeeds("readinessProbe"), "the first daemon is back", first.process)
    fetch(first, later, "d")
