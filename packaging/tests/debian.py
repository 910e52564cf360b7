"""The life of the Debian package on a bare system: installation, use, upgrade, removal, purge."""

import re

import machine as machines

URL = "http://127.0.0.1:5000/api/v1/cache/main"
STATE = "/var/lib/cache-server"


def test(older, newer, directory, log):
    """Installs the package `older`, uses it, upgrades to `newer` and purges it."""
    machine, debian, end = machines.start(directory, log)
    try:
        debian.put(older, "older.deb")
        debian.put(newer, "newer.deb")
        machine.start()
        machine.wait_for_unit("multi-user.target")
        install(machine)
        path = push_and_fetch(machine)
        upgrade(machine, path)
        remove(machine, path)
        purge(machine)
    except BaseException:
        log(debian.console()[-2000:])
        if debian.is_running():
            log(machine.execute("journalctl --no-pager --lines=40 --unit=cache-server.service")[1])
        raise
    finally:
        end()


def install(machine):
    machine.succeed("dpkg --install /older.deb")
    machine.wait_for_unit("cache-server.service")
    machine.succeed("systemctl is-enabled cache-server.service cache-server-admin.socket")
    machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:5000/health/ready")
    assert machine.succeed("stat --format='%U %a' " + STATE) == "cache-server 750\n"
    assert machine.succeed("stat --format='%U %G %a' /etc/cache-server/secrets") == "root cache-server 2750\n"
    process = machine.get_unit_property("cache-server.service", "MainPID")
    assert machine.succeed(f"stat --format=%U /proc/{process}") == "cache-server\n"
    machine.succeed("systemd-analyze security --threshold=20 cache-server.service")
    machine.succeed("cachectl status --exit-code")
    machine.succeed("cachectl doctor")
    # Only root and the group of operators may use the admin socket.
    machine.fail("setpriv --reuid=nobody --regid=nogroup --clear-groups cachectl status")
    operator = "setpriv --reuid=nobody --regid=nogroup --groups=cache-server-admin"
    machine.succeed(f"{operator} cachectl status")


def push_and_fetch(machine):
    """Real Nix pushes a path and fetches it into another store. Returns the path."""
    token = machine.succeed("cachectl token create --cache main --permission write --expires 1h").strip()
    machine.succeed(f"install -Dm600 /dev/stdin /root/netrc <<< 'machine 127.0.0.1 login token password {token}'")
    path = machine.succeed("nix-store --add /usr/lib/os-release").strip()
    machine.succeed(f"nix copy --option netrc-file /root/netrc --to '{URL}' {path}")
    fetch(machine, path)
    return path


def fetch(machine, path):
    """Fetches the path into a store that has nothing yet, with the key of the cache as the only one that is trusted."""
    listed = machine.succeed("cachectl --json key list --cache main")
    key = re.search(r'"([^"]+:[A-Za-z0-9+/]{43}=)"', listed)[1]
    store = machine.succeed("mktemp --directory").strip()
    machine.succeed(f"nix copy --option trusted-public-keys '{key}' --from '{URL}' --to {store} {path}")
    machine.succeed(f"cmp /usr/lib/os-release {store}{path}")


def upgrade(machine, path):
    before = machine.get_unit_property("cache-server.service", "MainPID")
    machine.succeed("echo '# by the operator' >> /etc/cache-server/config.yaml")
    machine.succeed("dpkg --install /newer.deb")
    machine.wait_for_unit("cache-server.service")
    assert machine.get_unit_property("cache-server.service", "MainPID") != before, "the old daemon still runs"
    machine.succeed("grep 'by the operator' /etc/cache-server/config.yaml")
    machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:5000/health/ready")
    machine.succeed("systemctl reload cache-server.service")
    fetch(machine, path)
    # An operator's decision outlives the next upgrade.
    machine.succeed("systemctl disable cache-server.service", "dpkg --install /newer.deb")
    machine.fail("systemctl is-enabled cache-server.service")
    machine.succeed("systemctl enable cache-server.service")


def remove(machine, path):
    machine.succeed("dpkg --remove cache-server")
    machine.fail("test -e /usr/bin/cache-server")
    machine.fail("curl --silent http://127.0.0.1:5000/health/live")
    machine.succeed(f"test -s {STATE}/db.sqlite", "test -s /etc/cache-server/config.yaml")
    machine.succeed("dpkg --install /newer.deb")
    machine.wait_for_unit("cache-server.service")
    machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:5000/health/ready")
    fetch(machine, path)


def purge(machine):
    machine.succeed("dpkg --purge cache-server")
    for left in (STATE, "/etc/cache-server", "/var/log/cache-server", "/run/cache-server/admin.sock"):
        machine.fail(f"test -e {left}")
    found = machine.succeed("find /etc/systemd /lib/systemd /usr/lib/sysusers.d /var/lib/systemd -name 'cache-server*'")
    assert not found, f"the purge leaves {found}"
    assert "cache-server" not in machine.succeed("systemctl list-units --all --no-legend 'cache-server*' --state=loaded")
