"""The tarball: its programs in an empty root, and as a service on a bare Debian system by its own script."""

import shutil
import tarfile

import bare
import contents
import debian
import machine as machines

EXPECTED = ["bin/cache-server", "bin/cachectl", "install", "LICENSE", "share/cache-server/cache-server.service"]
EXPECTED += ["share/man/man1/cache-server.1.gz", "share/bash-completion/completions/cachectl", "share/cache-server/config.yaml"]
# The user of the daemon: any but root.
USER = 4711


def test(archive, directory, skip, log):
    with tarfile.open(archive) as tar:
        files = {member.name.partition("/")[2]: (member, content) for member, content in contents.members(archive.open("rb"))}
        contents.test_tree(files, EXPECTED, "share/doc/cache-server")
        tar.extractall(directory, filter="fully_trusted")
    (folder,) = directory.glob("cache-server-*")
    if is_static(folder / "bin/cache-server"):
        test_alone(folder, directory / "alone")
    else:
        skip("the tarball in an empty root: these programs are not static")
    if machines.TREE.is_dir():
        test_service(folder, directory / "machine", log)
    else:
        skip(f"the tarball as a service: there is no Debian system in {machines.TREE}")


def is_static(program):
    return "INTERP" not in bare.run("readelf", "--program-headers", "--wide", program)


def test_alone(folder, directory):
    root = directory / "root"
    shutil.copytree(folder / "bin", root / "usr/bin")
    (root / "etc/cache-server").mkdir(parents=True)
    shutil.copy(folder / "share/cache-server/config.yaml", root / "etc/cache-server/config.yaml")
    state = root / "state"
    state.mkdir()
    shutil.chown(state, USER, USER)
    configuration = root / "etc/cache-server/config.yaml"
    configuration.write_text(configuration.read_text().replace("/run/cache-server/admin.sock", "/state/admin.sock"))
    environment = {"PATH": "/usr/bin", "STATE_DIRECTORY": "/state", "CACHE_SERVER_SOCKET": "/state/admin.sock"}
    bare.test(root, USER, environment, ["/usr/bin/cache-server", "--config", "/etc/cache-server/config.yaml"], directory)


def test_service(folder, directory, log):
    """Installed, used, installed once more and removed."""
    machine, system, end = machines.start(directory, log)
    try:
        shutil.copytree(folder, system.root / "unpacked")
        machine.start()
        machine.wait_for_unit("multi-user.target")
        machine.succeed("/unpacked/install")
        machine.wait_for_unit("cache-server.service")
        machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:5000/health/ready")
        path = debian.push_and_fetch(machine)
        machine.succeed("/unpacked/install", "systemctl reload cache-server.service")
        machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:5000/health/ready")
        debian.fetch(machine, path)
        machine.succeed("/unpacked/install --remove")
        machine.fail("test -e /usr/local/bin/cache-server")
        machine.succeed(f"test -s {debian.STATE}/db.sqlite")
    finally:
        end()
