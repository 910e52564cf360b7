nodes = [node1, node2, node3, node4, node5]
NIX = "nix --extra-experimental-features nix-command --option netrc-file /root/netrc"
# Each look is a fresh one: Nix remembers what was not there.
FRESH = "XDG_CACHE_HOME=$(mktemp -d)"


def begin(node):
    node.start()
    node.succeed("install -D --mode=600 /etc/test-only/network-key /var/lib/secrets/cache-network-key")
    node.succeed("systemctl restart cache-server.service")
    node.wait_for_unit("cache-server.service")
    token = "$(cachectl token create --all --permission write --expires 1h)"
    node.succeed(f"echo machine localhost password {token} > /root/netrc")


def push(node, name, cache="main"):
    path = node.succeed(f"head -c 50K /dev/urandom > /root/{name}; nix-store --add /root/{name}").strip()
    node.succeed(f"{NIX} copy --to http://localhost:5000/api/v1/cache/{cache} {path}")
    return path


def fetch(path):
    return (
        f"{FRESH} {NIX} copy --no-check-sigs --from http://localhost:5000/api/v1/cache/main --to $(mktemp -d) {path}"
    )


def narinfo(path, cache="main"):
    return f"http://localhost:5000/api/v1/cache/{cache}/{path.removeprefix('/nix/store/')[:32]}.narinfo"


def says_404(url):
    """Nothing is there, and it takes no time to say so."""
    return f"curl --silent --max-time 10 --output /dev/null --write-out '%{{http_code}}' {url} | grep --quiet 404"


def absent(path):
    return says_404(narinfo(path))


for node in nodes[:4]:
    begin(node)

with subtest("what is pushed to one is found on the others, and signed by them"):
    first = push(node1, "first")
    for number, node in enumerate(nodes[1:4], 2):
        node.wait_until_succeeds(fetch(first), timeout=180)
        assert f"Sig: main.node{number}.example.org-1:" in node.succeed(f"curl --fail --silent {narinfo(first)}")

with subtest("one that comes late finds what was there before"):
    begin(node5)
    node5.wait_until_succeeds(fetch(first), timeout=180)

with subtest("what is private is found by nobody"):
    secret = push(node2, "secret", "secret")
    node2.succeed(f"curl --fail --silent --netrc-file /root/netrc {narinfo(secret, 'secret')}")
    public = push(node2, "public")
    for node in (node3, node4, node5):
        # By the time that the one is found, the other would be.
        node.wait_until_succeeds(fetch(public), timeout=180)
        node.succeed(absent(secret))

with subtest("the node that all entered through is not needed any more"):
    node1.crash()
    path = push(node2, "without-the-first")
    for node in (node3, node4, node5):
        node.wait_until_succeeds(fetch(path), timeout=180)
    for node in nodes[1:]:
        # What only that one had may be remembered for a while, but keeps nobody waiting.
        url = node.succeed(f"curl --silent {narinfo(first)} | sed --quiet 's/^URL: //p'").strip()
        node.succeed(says_404(f"http://localhost:5000/api/v1/cache/main/{url}") if url else absent(first))

with subtest("a network that is cut in two works on both sides, and is one again when it heals"):
    sides = {node2: "4 5", node3: "4 5", node4: "2 3", node5: "2 3"}
    for node, others in sides.items():
        node.succeed(f"for n in {others}; do ip route add unreachable 192.168.1.$n/32; done")
    path = push(node2, "on-one-side")
    node3.wait_until_succeeds(fetch(path), timeout=180)
    node4.succeed(absent(path))
    for node, others in sides.items():
        node.succeed(f"for n in {others}; do ip route delete unreachable 192.168.1.$n/32; done")
    for node in (node4, node5):
        node.wait_until_succeeds(fetch(path), timeout=300)
