"""Runs the programs of a tarball or an image in a root that has nothing but what came with them, and uses them."""

import contextlib
import http.server
import os
import shutil
import socketserver
import struct
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

URL = "http://127.0.0.1:5000/api/v1/cache/main"
NIX = ["nix", "--extra-experimental-features", "nix-command"]
# Only the name server below knows it.
UPSTREAM = "upstream.example.org"
PATIENCE = 120


class NameServer(socketserver.BaseRequestHandler):
    """Answers every question for an IPv4 address with this machine, and every other with nothing."""

    def handle(self):
        packet, connection = self.request
        end = packet.index(b"\0", 12) + 5
        question = packet[12:end]
        is_address = struct.unpack("!H", question[-4:-2])[0] == 1
        reply = packet[:2] + struct.pack("!HHHHH", 0x8180, 1, int(is_address), 0, 0) + question
        if is_address:
            reply += struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, bytes([127, 0, 0, 1]))
        connection.sendto(reply, self.client_address)


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, check=False, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


# What every container runtime provides. Static programs take their random numbers from there, as they cannot ask the loader whether
# the C library has a function for it.
DEVICES = ("null", "random", "urandom")


class Bare:
    """The root, with what a container runtime adds: /proc, devices, and where host names are looked up."""

    def __init__(self, root, user, environment):
        self.root = root
        self._enter = [shutil.which("chroot", path="/usr/sbin:/usr/bin"), f"--userspec={user}:{user}", "--groups=", root]
        self._environment = environment
        for name in ("proc", "dev", "etc"):
            (root / name).mkdir(exist_ok=True)
        (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        run("mount", "--bind", "/proc", root / "proc")
        for name in DEVICES:
            (root / "dev" / name).touch()
            run("mount", "--bind", f"/dev/{name}", root / "dev" / name)

    def close(self):
        run("umount", self.root / "proc", *(self.root / "dev" / name for name in DEVICES))

    def run(self, *command):
        return run(*self._enter, *command, env=self._environment)

    def start(self, *command, log):
        return subprocess.Popen([*map(str, self._enter), *command], env=self._environment, stdout=log, stderr=log)


def test(root, user, environment, command, directory):
    """Starts the daemon with `command` as `user` (a number), pushes and fetches by Nix, and reads through it from an upstream that
    has a name. `environment` is all that it gets."""
    run("ip", "link", "set", "lo", "up")
    # Nix remembers replies by URL, and every test has the same one.
    os.environ["XDG_CACHE_HOME"] = str(directory / "cache")
    bare = Bare(root, user, environment)
    names = socketserver.ThreadingUDPServer(("127.0.0.1", 53), NameServer)
    other = directory / "upstream"
    key = make_upstream(other)
    files = http.server.ThreadingHTTPServer(("127.0.0.1", 9000), lambda *rest: Files(*rest, directory=other))
    configuration = root / "etc/cache-server/config.yaml"
    text = configuration.read_text()
    configuration.write_text(text.replace("access: public", f'access: public\n    upstreams: ["http://{UPSTREAM}:9000 {key}"]'))
    with serving(names), serving(files), open(directory / "log", "w") as log:
        daemon = bare.start(*command, log=log)
        try:
            wait_until_ready(daemon)
            use(bare, directory, other)
        except BaseException:
            print((directory / "log").read_text()[-3000:])
            raise
        finally:
            daemon.terminate()
            status = daemon.wait(PATIENCE)
            bare.close()
    assert status == 0, f"the daemon ended with {status}"


def make_upstream(folder):
    """A signed binary cache with one path. Returns its public key."""
    folder.mkdir()
    secret = folder.parent / "secret"
    run("nix-store", "--generate-binary-cache-key", "upstream-1", secret, folder.parent / "public")
    path = add_path(folder.parent / "theirs", b"from the upstream\n")
    run(*NIX, "copy", "--from", folder.parent / "theirs", "--to", f"file://{folder}?secret-key={secret}", path)
    (folder / "path").write_text(path)
    return (folder.parent / "public").read_text()


def add_path(store, content):
    source = store.with_suffix(".txt")
    source.write_bytes(content)
    return run("nix-store", "--store", store, "--add", source)


def is_ready():
    try:
        with urllib.request.urlopen("http://127.0.0.1:5000/health/ready", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def wait_until_ready(daemon):
    deadline = time.monotonic() + PATIENCE
    while not is_ready():
        assert daemon.poll() is None, f"the daemon ended with {daemon.returncode}"
        assert time.monotonic() < deadline, "the daemon does not become ready"
        time.sleep(0.1)


def use(bare, directory, other):
    bare.run("/usr/bin/cachectl", "status")
    token = bare.run("/usr/bin/cachectl", "token", "create", "--cache", "main", "--permission", "write", "--expires", "1h")
    netrc = directory / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login token password {token}\n")
    netrc.chmod(0o600)
    path = add_path(directory / "ours", os.urandom(64))
    run(*NIX, "copy", "--option", "netrc-file", netrc, "--from", directory / "ours", "--to", URL, path)
    keys = bare.run("/usr/bin/cachectl", "--json", "key", "list", "--cache", "main")
    key = next(word for word in keys.split('"') if word.startswith("main") and ":" in word)
    fetched = directory / "fetched"
    theirs = (other / "path").read_text()
    trusted = f"{key} {(directory / 'public').read_text()}"
    for wanted in (path, theirs):
        run(*NIX, "copy", "--option", "trusted-public-keys", trusted, "--from", URL, "--to", fetched, wanted)
    assert Path(f"{fetched}{theirs}").read_bytes() == b"from the upstream\n"
