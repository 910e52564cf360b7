FILES = 12
PORTS = {"round": 8081, "order": 8082, "split": 8083, "least": 8084}
NIX = "nix --extra-experimental-features nix-command --option netrc-file /root/netrc"

server.wait_for_unit("cache-server.service")
server.succeed(
    "echo machine localhost password $(cachectl token create --all --permission write --expires 1h) > /root/netrc"
)


def push(cache, number):
    """Pushes that many paths of a megabyte that nothing else has, and returns them."""
    paths = server.succeed(
        "mkdir -p /root/files; cd /root/files; "
        f"for i in $(seq {number}); do head -c 1M /dev/urandom > {cache}-$i; nix-store --add {cache}-$i; done"
    ).split()
    server.succeed(f"{NIX} copy --to 'http://localhost:{PORTS[cache]}?compression=zstd' {' '.join(paths)}")
    return paths


def files(cache):
    """How many NARs are on each of the three disks."""
    return [int(server.succeed(f"find /mnt/{disk}/{cache}/nar -type f | wc -l")) for disk in "abc"]


with subtest("the disks belong to a user that stays"):
    assert server.succeed("stat --format=%U:%a /mnt/a /mnt/b /mnt/c").split() == 3 * ["cache-server:750"]

pushed = {cache: push(cache, FILES) for cache in PORTS}

with subtest("each strategy does what it says, and nothing goes to the disk that is full"):
    for cache in PORTS:
        a, b, c = files(cache)
        assert a + b + c == FILES, (cache, a, b, c)
        # Three fit and a bit; the fourth brings it to its size, or over it by less than a file.
        assert 3 <= a <= 4, (cache, a, b, c)
    a, b, c = files("round")
    assert abs(b - c) <= 1, ("round", a, b, c)
    a, b, c = files("order")
    assert c == 0, ("order", a, b, c)
    a, b, c = files("split")
    assert b > c > 0, ("split", a, b, c)
    a, b, c = files("least")
    assert abs(b - c) <= 1, ("least", a, b, c)

with subtest("turns and shares go on after a restart"):
    before = files("round")
    server.succeed("systemctl restart cache-server.service")
    pushed["round"] += push("round", 4)
    after = files("round")
    assert [late - early for early, late in zip(before, after)] == [0, 2, 2], (before, after)

with subtest("everything can be fetched, wherever it is"):
    for cache, paths in pushed.items():
        server.succeed(
            f"{NIX} copy --no-check-sigs --from http://localhost:{PORTS[cache]} --to /tmp/{cache} {' '.join(paths)}"
        )
