"""The RPM package as a service. The system is the bare Debian one, into which rpm installs from outside: what the scripts of the
package do is the same on every system with systemd.
"""

import debian
import machine as machines
from bare import run


def test(package, directory, log):
    """Installs the package, uses it, and removes it."""
    machine, system, end = machines.start(directory, log)
    try:
        inside = ["rpm", "--root", system.root, "--nodeps"]
        run(*inside, "--install", package)
        machine.start()
        machine.wait_for_unit("multi-user.target")
        machine.succeed("systemctl enable --now cache-server-admin.socket cache-server.service")
        machine.wait_until_succeeds("curl --fail --silent http://127.0.0.1:5000/health/ready")
        assert machine.succeed("stat --format='%U %G %a' /etc/cache-server/secrets") == "root cache-server 2750\n"
        debian.push_and_fetch(machine)
        machine.succeed("echo '# by the operator' >> /etc/cache-server/config.yaml")
        machine.shutdown()
        run(*inside, "--erase", "cache-server")
        assert not (system.root / "usr/bin/cache-server").exists(), "the programs stay"
        assert (system.root / "var/lib/cache-server/db.sqlite").exists(), "the data went"
        kept = system.root / "etc/cache-server/config.yaml.rpmsave"
        assert "by the operator" in kept.read_text(), "the configuration went"
    finally:
        end()
