"""Pods by hand: a process in a network namespace of its own; PostgreSQL and an S3 server in such pods."""

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from bare import PATIENCE, run

GARAGE = "/opt/cache-server-test-tools/bin/garage"
# The last number of the address of each pod, by the name that the manifests know it by.
PODS = {"postgresql": 1, "s3.example.org": 2, "cache-server-0": 3, "cache-server-1": 4}
def find_postgresql():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def address(name):
    return f"192.168.1.{PODS[name]}"


class Pod:
    """A process in the network namespace of a pod."""

    def __init__(self, network, name, directory, stack):
        self.name = name
        self.address = address(name)
        port = network.join(PODS[name])
        stack.callback(port.close)
        self.enter = ["ip", "netns", "exec", port.namespace]
        self.log = directory / f"{name}.log"
        self._stack = stack

    def start(self, *command, **options):
        log = self._stack.enter_context(self.log.open("w"))
        process = subprocess.Popen([*map(str, self.enter), *map(str, command)], stdout=log, stderr=log, **options)

        def end():
            process.terminate()
            process.wait(PATIENCE)

        self._stack.callback(end)
        return process

    def run(self, *command, **options):
        return run(*self.enter, *command, **options)


def wait_for(condition, what, process=None):
    """Waits until the condition holds. `process` has to live on meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, f"ended with {process.returncode} before {what}"
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.2)


def succeeds(pod, *command, **options):
    done = subprocess.run([*map(str, pod.enter), *map(str, command)], capture_output=True, check=False, **options)
    return done.returncode == 0


def start_postgresql(pod, manifests, directory, password):
    """The server with the user, the database and the password that the manifest gives to the image."""
    container = manifests["StatefulSet", "postgresql"]["spec"]["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    programs, data = find_postgresql(), directory / "postgresql"
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    given = directory / "password"
    given.write_text(password)
    shutil.chown(given, "postgres", "postgres")
    user = environment["POSTGRES_USER"]
    run(*as_user, programs / "initdb", "-D", data, "-U", user, f"--pwfile={given}", "-A", "scram-sha-256", "--no-sync")
    # As the image has it.
    with (data / "pg_hba.conf").open("a") as access:
        access.write("host all all all scram-sha-256\n")
    settings = ["-c", f"listen_addresses={pod.address}", "-c", f"unix_socket_directories={data}", "-c", "fsync=off"]
    pod.start(*as_user, programs / "postgres", "-D", data, *settings)
    logged_in = {**os.environ, "PGPASSWORD": password}
    probe = container["readinessProbe"]["exec"]["command"]
    wait_for(lambda: succeeds(pod, programs / probe[0], *probe[1:], "-h", pod.address), "PostgreSQL is ready")
    pod.run(programs / "createdb", "-h", pod.address, "-U", user, environment["POSTGRES_DB"], env=logged_in)


def start_garage(pod, directory, bucket):
    """An S3 server with a bucket. Returns the access key and its secret."""
    folder = directory / "garage"
    folder.mkdir()
    configuration = folder / "garage.toml"
    configuration.write_text(
        f'metadata_dir = "{folder}/meta"\ndata_dir = "{folder}/data"\ndb_engine = "sqlite"\nreplication_factor = 1\n'
        f'rpc_bind_addr = "{pod.address}:3901"\nrpc_public_addr = "{pod.address}:3901"\nrpc_secret = "{secrets.token_hex(32)}"\n'
        f'[s3_api]\ns3_region = "us-east-1"\napi_bind_addr = "{pod.address}:3900"\n'
        f'[admin]\napi_bind_addr = "{pod.address}:3903"\n'
    )
    garage = [GARAGE, "-c", configuration]
    pod.start(*garage, "server", env={**os.environ, "RUST_LOG": "warn"})
    wait_for(lambda: succeeds(pod, *garage, "node", "id", "-q"), "Garage has an identity")
    wait_for(lambda: succeeds(pod, *garage, "status"), "Garage answers")
    node = pod.run(*garage, "node", "id", "-q").split("@")[0]
    pod.run(*garage, "layout", "assign", "-z", "dc1", "-c", "1G", node)
    pod.run(*garage, "layout", "apply", "--version", "1")
    access, secret = f"GK{secrets.token_hex(12)}", secrets.token_hex(32)
    pod.run(*garage, "key", "import", "--yes", "-n", "cache-server", access, secret)
    pod.run(*garage, "bucket", "create", bucket)
    pod.run(*garage, "bucket", "allow", "--read", "--write", "--owner", bucket, "--key", "cache-server")
    return access, secret
