"""A machine: systemd in a container, over a copy of this system's root that goes to memory and away."""

import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
# root builds by itself, and asks nobody unless the machine says so.
NIX_CONF = """
build-users-group =
sandbox = false
experimental-features = nix-command
substituters =
"""
# As on NixOS, it starts when somebody asks.
NIX_DAEMON = {
    "nix-daemon.socket": "[Socket]\nListenStream=/nix/var/nix/daemon-socket/socket\n",
    "nix-daemon.service": "[Service]\nExecStart={program} --daemon\n",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How long a boot may take on a machine that is busy with other things.
PATIENCE = 120


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def prepare():
    """Makes this mount namespace one in which containers can run, and others like it beside."""
    # Where `ip netns` and nspawn keep what they know, and we the machines.
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    # systemd wants the unified hierarchy, which need not be what is mounted there.
    subprocess.run(["umount", "--recursive", str(CGROUPS)], check=False, stderr=subprocess.DEVNULL)
    mount("-t", "cgroup2", "cgroup2", str(CGROUPS))


class Container:
    def __init__(self, name, directory, files, programs, port, hosts, nix_daemon):
        """`files` is a folder with what the machine has beyond a bare system, `programs` gives programs by their store path,
        `hosts` is the text of /etc/hosts, and `nix_daemon` the program."""
        self.name = name
        self._port = port
        self._programs = programs
        self._directory = directory
        self._process = None
        # That of nspawn, which gives the machine a part of it.
        self._group = CGROUPS / f"cache-server-tests-{uuid.uuid4()}"
        self._group.mkdir()
        self.root = directory / "root"
        for folder in ("upper", "work", "root"):
            (directory / folder).mkdir(parents=True)
        layers = f"lowerdir=/,upperdir={directory}/upper,workdir={directory}/work"
        mount("-t", "overlay", "overlay", "-o", layers, str(self.root))
        self._furnish(files, hosts, nix_daemon)

    def _furnish(self, files, hosts, nix_daemon):
        etc = self.root / "etc"
        # No services of this system but those that every system has.
        shutil.rmtree(etc / "systemd/system")
        (etc / "systemd/system").mkdir()
        for unit in ("getty.target", "systemd-logind.service", "systemd-resolved.service"):
            (etc / "systemd/system" / unit).symlink_to("/dev/null")
        (etc / "systemd/system/default.target").symlink_to("/lib/systemd/system/multi-user.target")
        for unit, text in NIX_DAEMON.items():
            (etc / "systemd/system" / unit).write_text(text.format(program=nix_daemon))
        wants = self._folder("etc/systemd/system/sockets.target.wants")
        (wants / "nix-daemon.socket").symlink_to("../nix-daemon.socket")
        for name in ("fstab", "machine-id", "resolv.conf"):
            (etc / name).unlink(missing_ok=True)
        (etc / "machine-id").touch()
        shutil.rmtree(etc / "nix", ignore_errors=True)
        shutil.rmtree(etc / "nginx", ignore_errors=True)
        # A store of its own.
        (self.root / "nix").mkdir(exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(self.root / "nix"))
        shutil.copytree(files, self.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("specialisation"))
        self._add_configurations(files)
        (etc / "hosts").write_text(hosts)
        (etc / "hostname").write_text(self.name + "\n")
        nix_conf = self._folder("etc/nix") / "nix.conf"
        rendered = nix_conf.read_text() if nix_conf.exists() else ""
        nix_conf.write_text(NIX_CONF + rendered)
        for target in self._programs:
            (self._folder(target.parent.relative_to("/")) / target.name).touch()
            (self._folder("usr/local/bin") / target.name).symlink_to(target)
        # Where NixOS has the programs of the system.
        (self._folder("etc/tmpfiles.d") / "system.conf").write_text("L+ /run/current-system/sw - - - - /usr\n")
        self._enable_units(files)
        systemd = ["systemd-sysusers", f"--root={self.root}"]
        if (files / "etc/sysusers.d").is_dir():
            subprocess.run(systemd, check=True, stderr=subprocess.DEVNULL)

    def _add_configurations(self, files):
        """What the machine can be switched to, where NixOS has it, with its own configuration to switch back to."""
        if not (files / "specialisation").is_dir():
            return
        system = self._folder("system")
        shutil.copy(Path(__file__).with_name("switch.py"), system)
        (system / "current").write_text("base")
        others = {folder.name: folder for folder in sorted((files / "specialisation").iterdir())}
        links = ""
        for name, folder in {"base": files, **others}.items():
            shutil.copytree(folder / "etc", system / name / "etc")
            program = system / name / "switch-to-configuration"
            program.write_text(f"#!/bin/sh\nexec python3 /system/switch.py {name}\n")
            program.chmod(0o755)
            place = "" if name == "base" else f"specialisation/{name}/"
            links += f"L+ /run/current-system/{place}bin/switch-to-configuration - - - - /system/{name}/{program.name}\n"
        (self._folder("etc/tmpfiles.d") / "configurations.conf").write_text(links)

    def _folder(self, name):
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _enable_units(self, files):
        for unit in sorted((files / "etc/systemd/system").glob("*.*")):
            for line in unit.read_text().splitlines():
                if line.startswith("WantedBy="):
                    for target in line.removeprefix("WantedBy=").split():
                        wants = self._folder(f"etc/systemd/system/{target}.wants")
                        (wants / unit.name).symlink_to(f"../{unit.name}")

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def start(self):
        if self.is_running():
            return
        self._port.attach()
        command = ["systemd-nspawn", f"--directory={self.root}", f"--machine={self.name}", "--boot", "--register=no"]
        command += ["--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        command += [f"--network-namespace-path=/run/netns/{self._port.namespace}"]
        command += [f"--bind-ro={program}:{target}" for target, program in self._programs.items()]
        self._process = subprocess.Popen(
            ["sh", "-c", f'echo $$ > {self._group}/cgroup.procs; exec "$@"', "sh", *command],
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=open(self._directory / "console", "a"),
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + PATIENCE
        while not self._is_booted():
            if not self.is_running() or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not boot:\n{self.console()}")
            time.sleep(0.05)

    def _is_booted(self):
        leader = self._leader()
        if leader is None:
            return False
        asked = self.execute("systemctl is-active --quiet basic.target", timeout=10)
        return asked[0] == 0

    def _leader(self):
        """The container's init, the only child of nspawn."""
        pid = self._process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            return None
        return int(children[0]) if children else None

    def execute(self, command, timeout):
        """Exit status, output and complaints of a shell command in the machine; it is stopped, with status 124, after `timeout`
        seconds."""
        leader = self._leader() if self.is_running() else None
        if leader is None:
            raise RuntimeError(f"{self.name} is not running")
        enter = ["nsenter", f"--target={leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        environment = ["env", "-i", "HOME=/root", "USER=root", f"PATH={PATH}"]
        shell = ["timeout", "--kill-after=10", str(timeout), "bash", "-c", f"set -euo pipefail; {command}"]
        command = [*enter, *environment, *shell]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def shut_down(self):
        if self.is_running():
            self.execute("systemctl --no-block poweroff", PATIENCE)
            self._process.wait(PATIENCE)

    def crash(self):
        """As a power cut: nothing in the machine gets to do anything."""
        if self.is_running():
            leader = self._leader()
            if leader is not None:
                os.kill(leader, signal.SIGKILL)
            self._process.wait(PATIENCE)

    def plug(self, connected):
        self._port.plug(connected)

    def console(self):
        return (self._directory / "console").read_text(errors="replace")

    def close(self):
        self.crash()
        subprocess.run(["umount", "--recursive", str(self.root)], check=True)
        shutil.rmtree(self._directory)
        for group, _, _ in os.walk(self._group, topdown=False):
            os.rmdir(group)
