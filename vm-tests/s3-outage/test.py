NIX = "nix --extra-experimental-features nix-command --option netrc-file /root/netrc"
# Each look is a fresh one: Nix remembers what was not there.
FRESH = "XDG_CACHE_HOME=$(mktemp -d)"
ALONE = "http://localhost:8081"
SAFE = "http://localhost:8082"

garage.start()
garage.wait_for_unit("garage.service")
garage.wait_for_open_port(3900)
server.wait_for_unit("cache-server.service")
server.succeed(
    "echo machine localhost password $(cachectl token create --all --permission write --expires 1h) > /root/netrc"
)


def make(name):
    return server.succeed(f"head -c 200K /dev/urandom > /root/{name}; nix-store --add /root/{name}").strip()


def push(cache, path):
    return f"{FRESH} {NIX} copy --to {cache} {path} 2>&1"


def fetch(cache, path):
    return f"{FRESH} {NIX} copy --no-check-sigs --from {cache} --to $(mktemp -d) {path} 2>&1"


before, during, after = make("before"), make("during"), make("after")

with subtest("a bucket takes pushes and gives them back"):
    for cache in (ALONE, SAFE):
        server.wait_until_succeeds(push(cache, before), timeout=60)
        server.succeed(fetch(cache, before))

with subtest("while the service is away, a cache with another storage takes pushes"):
    garage.crash()
    server.succeed(push(SAFE, during), timeout=120)
    server.succeed(fetch(SAFE, during))

with subtest("one without says so, soon and in words, and hides what cannot be had"):
    # Nix tries for long before it believes that.
    doomed = "systemd-run --unit=doomed --setenv=HOME=/root $(command -v nix) --option netrc-file /root/netrc"
    server.succeed(f"{doomed} --extra-experimental-features nix-command copy --to {ALONE} {during}")
    server.wait_until_succeeds("cachectl storage list | grep '^alone .*failing'", timeout=120)
    put = "curl --silent --max-time 30 --netrc-file /root/netrc --write-out '%{http_code}'"
    server.succeed(f"nix-store --dump {during} > /root/during.nar")
    name = server.succeed("nix-hash --type sha256 --flat --base32 /root/during.nar").strip()
    told = server.succeed(f"{put} --upload-file /root/during.nar {ALONE}/nar/{name}.nar")
    assert told.endswith("503"), told
    server.succeed("systemctl stop doomed.service || true")
    digest = before.removeprefix("/nix/store/")[:32]
    server.wait_until_succeeds(
        f"curl --silent --max-time 10 --write-out '%{{http_code}}' {ALONE}/{digest}.narinfo | grep 404", timeout=60
    )

with subtest("when the service is back, so is everything, without a restart"):
    garage.start()
    garage.wait_for_open_port(3900)
    server.wait_until_succeeds(fetch(ALONE, before), timeout=180)
    server.wait_until_succeeds(push(ALONE, after), timeout=60)
    for path in (before, after):
        server.succeed(fetch(ALONE, path))
    for path in (before, during):
        server.wait_until_succeeds(fetch(SAFE, path), timeout=180)
    assert server.get_unit_property("cache-server.service", "NRestarts") == "0"
