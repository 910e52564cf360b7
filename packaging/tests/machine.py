"""A bare Debian system in a container: systemd over a copy of a bootstrapped root that goes away with the test."""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent.parent / "vm-tests"))

from runner import container  # noqa: E402
from runner.machine import Machine  # noqa: E402
from runner.network import BRIDGE, Network  # noqa: E402, F401

# Where test.sh bootstraps it.
TREE = Path("/opt/cache-server-test-tools/debian")
NIX_CONF = "sandbox = false\nbuild-users-group =\nsubstituters =\nexperimental-features = nix-command\n"


class Loopback:
    """A network namespace with nothing but its own loopback."""

    def __init__(self, namespace):
        self.namespace = namespace
        subprocess.run(["ip", "netns", "add", namespace], check=True)

    def attach(self):
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "lo", "up"], check=True)

    def close(self):
        subprocess.run(["ip", "netns", "delete", self.namespace], check=True)


class Debian(container.Container):
    """Boots and runs commands as the containers of the scenarios do, over another root."""

    def __init__(self, directory, port):
        self.name = "debian"
        self._port = port
        self._programs = {}
        self._directory = directory
        self._process = None
        self._group = container.CGROUPS / f"cache-server-packages-{uuid.uuid4()}"
        self._group.mkdir()
        self.root = directory / "root"
        for folder in ("upper", "work", "root"):
            (directory / folder).mkdir(parents=True)
        layers = f"lowerdir={TREE},upperdir={directory}/upper,workdir={directory}/work"
        container.mount("-t", "overlay", "overlay", "-o", layers, str(self.root))
        etc = self.root / "etc"
        (etc / "hosts").write_text("127.0.0.1 localhost main.localhost\n")
        (etc / "hostname").write_text("debian\n")
        (etc / "machine-id").write_text("")
        (etc / "nix").mkdir(exist_ok=True)
        (etc / "nix/nix.conf").write_text(NIX_CONF)
        for unit in ("getty.target", "systemd-logind.service", "systemd-resolved.service"):
            self._folder("etc/systemd/system").joinpath(unit).symlink_to("/dev/null")

    def put(self, source, destination):
        shutil.copyfile(source, self.root / destination)


def start(directory, log):
    """A booted machine and what ends it. `directory` goes with it."""
    port = Loopback("debian")
    debian = Debian(directory, port)
    machine = Machine("debian", debian, log)

    def end():
        debian.close()
        port.close()

    return machine, debian, end


def enter(arguments):
    """Runs this program again in namespaces of its own: processes, mounts and interfaces end with it."""
    inside = "CACHE_SERVER_PACKAGES_INSIDE"
    if inside not in os.environ:
        os.environ[inside] = "yes"
        unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        # bash comes first, as it reaps what other processes leave behind.
        unshare += ["--propagation", "private", "bash", "-c", '"$@"; exit $?', "bash"]
        os.execvp(unshare[0], [*unshare, sys.executable, *arguments])
    container.prepare()
