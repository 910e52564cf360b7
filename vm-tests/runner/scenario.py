"""Boots the machines of a scenario and runs its test.py."""

import contextlib
import shutil
import time
import traceback
from pathlib import Path

from . import container
from .machine import Machine
from .network import Network

# The stand-ins for packages in nixos-module/tests/stub/pkgs.nix.
STORE = Path("/nix/store")
NOBODY = 32 * "0"
MACHINES = Path("/run/machines")
# Programs of packages but those of cache-server, which come from the build.
PROGRAMS = {"nix": ["nix", "nix-store"], "coreutils": ["ln"], "nginx": ["nginx"], "garage": ["garage"], "python3": ["python3"]}
# Where they are: in this system, or where test.sh installs what no package has.
PLACES = "/usr/sbin:/usr/bin:/sbin:/bin:/opt/cache-server-test-tools/bin"


def programs(node, binaries, places):
    """Programs of this system that the units of a machine need, by the names that those know them by."""
    texts = [path.read_text() for path in node.rglob("*") if path.is_file()]
    packages = {"cache-server": ["cache-server", "cachectl"], **PROGRAMS}
    found = {}
    for package, names in packages.items():
        folder = STORE / f"{NOBODY}-{package}/bin"
        if not any(str(folder) in text for text in texts):
            continue
        for name in names:
            path = str(binaries / name) if package == "cache-server" else shutil.which(name, path=places)
            if path is None:
                raise RuntimeError(f"{name} is not installed; ./test.sh does that")
            found[folder / name] = Path(path).resolve()
    return found


def run(folder, binaries, nix):
    """Whether the scenario passes; says why if not. `nix` is a folder with another Nix than that of this system."""
    places = f"{nix.absolute()}:{PLACES}" if nix else PLACES
    with contextlib.ExitStack() as stack:
        began = time.monotonic()

        def log(message):
            print(f"[{time.monotonic() - began:6.1f}] {message}", flush=True)

        containers = []
        try:
            network = Network()
            stack.callback(network.close)
            nodes = sorted((folder / "golden").iterdir())
            ports = {node.name: network.join(number) for number, node in enumerate(nodes, 1)}
            for port in ports.values():
                stack.callback(port.close)
            names = "".join(f"{port.address} {name}\n" for name, port in ports.items())
            for node in nodes:
                own = (node / "etc/hosts").read_text() if (node / "etc/hosts").exists() else ""
                hosts = f"127.0.0.1 localhost\n::1 localhost\n{names}{own}"
                machine = container.Container(
                    node.name,
                    MACHINES / node.name,
                    node,
                    programs(node, binaries, places),
                    ports[node.name],
                    hosts,
                    shutil.which("nix-daemon", path=places),
                )
                containers.append(machine)
                stack.callback(machine.close)
            play(folder / "test.py", containers, log)
        except BaseException as error:  # what a test.py raises may be anything
            traceback.print_exc()
            for machine in containers:
                tell(machine)
            if isinstance(error, KeyboardInterrupt):
                raise
            return False
        return True


def play(test, containers, log):
    machines = [Machine(one.name, one, log) for one in containers]

    def start_all():
        for machine in machines:
            machine.start()

    @contextlib.contextmanager
    def subtest(name):
        log(f"subtest: {name}")
        yield

    names = {machine.name.replace("-", "_"): machine for machine in machines}
    names |= {"machines": machines, "start_all": start_all, "subtest": subtest}
    exec(compile(test.read_text(), str(test), "exec"), names)


def tell(machine):
    """What the machine has to say about a failure."""
    print(f"==== {machine.name}", flush=True)
    if machine.is_running():
        # What services say, without the noise of booting.
        journal = "journalctl --no-pager --lines=60 --output=short-monotonic _TRANSPORT=stdout"
        print(machine.execute(journal, 60)[1], flush=True)
    else:
        print(machine.console()[-4000:], flush=True)
