start_all()
place = "/var/lib/certificates"
servers = {"files": files, "group": group}


def certify(name: str) -> str:
    """A key, and a certificate of the authority of the client."""
    client.succeed(
        f"openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} -keyout {name}-key.pem -out request.pem 2>&1"
    )
    client.succeed(f"printf 'subjectAltName=DNS:{name}' > names")
    client.succeed(
        f"openssl x509 -req -in request.pem -CA authority.pem -CAkey authority-key.pem -CAcreateserial -days 30 -extfile names -out {name}.pem 2>&1"
    )
    return client.succeed(f"openssl x509 -in {name}.pem -noout -serial").strip()


def hand_over(name: str) -> None:
    """The files as something that renews them writes them: each at once, the key first."""
    machine = servers[name]
    owner, mode = ("root:certificates", "640") if name == "group" else ("root:root", "600")
    for file, source in {
        "authority.pem": "authority.pem",
        "server-key.pem": f"{name}-key.pem",
        "server.pem": f"{name}.pem",
    }.items():
        text = client.succeed(f"cat {source}")
        machine.succeed(f"mkdir --parents {place}")
        machine.succeed(f"printf '%s' '{text}' > {place}/{file}.new")
        machine.succeed(f"chown {owner} {place}/{file}.new && chmod {mode} {place}/{file}.new && mv {place}/{file}.new {place}/{file}")


def presented(name: str) -> str:
    shown = f"openssl s_client -connect {name}:443 -servername {name} </dev/null 2>/dev/null"
    return client.succeed(f"{shown} | openssl x509 -noout -serial").strip()


client.wait_for_unit("multi-user.target")
client.succeed("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=authority -keyout authority-key.pem -out authority.pem 2>&1")
serials = {name: certify(name) for name in servers}
certify("builder")

with subtest("it starts once the files are there"):
    for name, machine in servers.items():
        hand_over(name)
        machine.wait_for_unit("cache-server.service")
        assert presented(name) == serials[name]

with subtest("the files are out of reach of everybody else"):
    files.fail(f"runuser -u nobody cat {place}/server-key.pem")
    group.fail(f"runuser -u nobody cat {place}/server-key.pem")

with subtest("Nix pushes and fetches with a token"):
    for name, machine in servers.items():
        token = machine.succeed("cachectl token create --cache main --permission write --expires 1h").strip()
        client.succeed(f"echo 'machine {name} login token password {token}' > netrc")
        nix = "NIX_SSL_CERT_FILE=$PWD/authority.pem nix --extra-experimental-features nix-command --option netrc-file $PWD/netrc"
        url = f"https://{name}/api/v1/cache/main"
        path = client.succeed("nix-store --add /etc/hostname").strip()
        client.succeed(f"{nix} copy --to '{url}?compression=zstd' {path} 2>&1")
        client.succeed(f"{nix} copy --no-check-sigs --from {url} --to /tmp/{name} {path} 2>&1")

with subtest("a certificate of the client stands for a token"):
    for name in servers:
        info = f"curl --fail --silent --cacert authority.pem https://{name}/api/v1/cache/main/nix-cache-info"
        client.fail(info)
        client.succeed(f"{info} --cert builder.pem --key builder-key.pem")

with subtest("a renewed certificate of a group is presented without a restart"):
    started = group.succeed("systemctl show --property=ExecMainPID cache-server.service")
    renewed = certify("group")
    hand_over("group")
    client.wait_until_succeeds(
        f"openssl s_client -connect group:443 </dev/null 2>/dev/null | openssl x509 -noout -serial | grep {renewed}", timeout=60
    )
    assert group.succeed("systemctl show --property=ExecMainPID cache-server.service") == started

with subtest("one that systemd hands over takes a restart"):
    renewed = certify("files")
    hand_over("files")
    assert presented("files") != renewed
    files.succeed("systemctl restart cache-server.service")
    assert presented("files") == renewed
