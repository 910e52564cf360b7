NIX = "nix --extra-experimental-features nix-command --option netrc-file /root/netrc"
CACHE = "http://localhost:8080"
STATE = "/var/lib/cache-server"

server.wait_for_unit("cache-server.service")
server.succeed(
    "echo machine localhost password $(cachectl token create --cache main --permission write --expires 1h) > /root/netrc"
)
system = server.succeed("nix-build /etc/system.nix --no-out-link 2>/dev/null").strip()
server.succeed(f"{NIX} copy --to {CACHE} {system}")
server.succeed(f"cachectl pin add release {system}")
paths = server.succeed(f"nix-store --query --requisites {system}").split()
assert len(paths) == 3, paths


def narinfos():
    digests = [path.removeprefix("/nix/store/")[:32] for path in paths]
    return [server.succeed(f"curl --fail --silent {CACHE}/{digest}.narinfo") for digest in digests]


def fetch():
    server.succeed(f"{NIX} copy --no-check-sigs --from {CACHE} --to $(mktemp -d) {system}")


before = narinfos()
server.succeed(f"cachectl backup {STATE}/backup; mv {STATE}/backup /root/backup")

with subtest("what only the catalog knew comes back with the backup"):
    server.succeed(f"cachectl pin add later {system}")
    server.succeed("systemctl stop cache-server.service")
    # The storage stays where it is; everything else goes.
    server.succeed(f"mkdir /root/lost; find {STATE}/ -mindepth 1 -maxdepth 1 ! -name storage -exec mv {{}} /root/lost ';'")
    server.succeed("cache-server restore /root/backup")
    server.succeed(f"chown --recursive --reference={STATE}/ {STATE}/")
    server.succeed("systemctl start cache-server.service")
    pins = server.succeed("cachectl pin list")
    assert "release" in pins and "later" not in pins, pins
    assert narinfos() == before
    fetch()

with subtest("a catalog that is lost is made anew from the files"):
    server.succeed(
        f"systemctl stop cache-server.service; rm {STATE}/db.sqlite*; systemctl start cache-server.service"
    )
    server.fail(f"curl --fail --silent {CACHE}/{system.removeprefix('/nix/store/')[:32]}.narinfo")
    server.succeed("cachectl fsck --rebuild")
    # The signatures too: the keys are beside the catalog.
    assert narinfos() == before
    fetch()
