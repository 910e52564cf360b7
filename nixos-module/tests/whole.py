"""What all of nixpkgs makes of the package, the modules and the scenarios, as far as that is without building."""

import json
import plistlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from checks import ENVIRONMENT, HERE, PROJECT, analyze_units, check, check_configuration, evaluate, lint_nginx, run, skip, value, yaml

WHOLE = {"file": "whole.nix", "argument": "nixpkgs"}


def test_package(nixpkgs):
    package = value(nixpkgs, "package", **WHOLE)
    check("-cache-server-" in str(package), f"the package is {package}")
    check(str(value(nixpkgs, "source", **WHOLE)).endswith("-source"), "the package is made of something else")


def test_machines(nixpkgs):
    """The machines of docs/src/nixos.md and those here, which are the ones of the golden folders."""
    machines = value(nixpkgs, "machines", **WHOLE)
    for name, machine in machines.items():
        look_at(name, machine)
        golden = HERE / "golden" / name
        if golden.exists():
            compare(golden, machine)
    missing = {path.name for path in (HERE / "golden").iterdir()} - set(machines)
    check(not missing, f"these machines are not evaluated: {missing}")


# What has to be in the unit of the daemon, or in the configuration of nginx.
ODD = {
    "own-virtual-host": ["robots.txt", "X-Robots-Tag", "nix.example.org", "client_max_body_size 0"],
    "shared-virtual-host": ["robots.txt", "nix.example.org", "listen 0.0.0.0:8443", "proxy_pass http://127.0.0.1:5000"],
    "https-by-acme": ["SupplementaryGroups=acme", "acme-cache.example.org.service"],
    "https-by-files": ["LoadCredential=tls-certificate:/nix/store/", "LoadCredential=tls-key:/run/secrets/my key 100%%.pem"],
    "odd-places": ["ReadWritePaths=-/srv/catalog\n", 'RequiresMountsFor="/srv/my state"', "RequiresMountsFor=/srv/catalog", 'ReadWritePaths="-/mnt/a disk"', "ReadWritePaths=-/mnt/50%%", "ProtectHome=false"],
    # These call others.
    "traced": ["PrivateNetwork=false"],
    "jobs-with-tokens-of-their-own": ["PrivateNetwork=false"],
    "many-caches": ["PrivateNetwork=true", "Sockets=cache-server-20030-"],
}


def test_odd_machines(nixpkgs, daemon):
    names = value(nixpkgs, "oddNames", **WHOLE)
    check(len(names) > 10, f"there are only these unusual machines: {names}")
    for name in names:
        machine = value(nixpkgs, f"odd.{name}", **WHOLE)
        if machine:
            look_at(name, machine)
        if "settings" in machine:
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(yaml(machine["settings"]))
                file.flush()
                check_configuration(daemon, file.name, name)
        found = machine.get("units", {}).get("cache-server.service", "") + machine.get("nginx", "")
        for text in ODD.get(name, []):
            check(text in found, f"{name} lacks {text}:\n{found}")


def test_shown(nixpkgs):
    """What the other pages show for NixOS; that of the page about NixOS is what the scenarios run."""
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for page in sorted((PROJECT / "docs/src").rglob("*.md")):
            for block in re.findall(r"```nix\n(.*?)```", page.read_text(), re.DOTALL):
                if page.name != "nixos.md" and "cache-server" in block:
                    files.append(Path(directory) / f"{page.stem}-{len(files)}.nix")
                    files[-1].write_text(block)
        check(len(files) > 2, f"pages show only {files}")
        more = ("--arg", "shown", f"[ {' '.join(map(str, files))} ]")
        for file, machine in zip(files, value(nixpkgs, "shown", more=more, **WHOLE)):
            look_at(file.name, machine)


def look_at(name, machine):
    # Some machines are alone on their network.
    unexpected = [warning for warning in machine["warnings"] if "is sent unencrypted" not in warning]
    check(not unexpected, f"NixOS warns of {name}: {unexpected}")
    analyze_units(machine["units"], name)
    if "nginx" in machine:
        lint_nginx(machine["nginx"], name)


def test_scenarios(nixpkgs):
    scenarios = {path.parent for path in (PROJECT / "vm-tests").glob("*/test.py")}
    check(scenarios, "there are no scenarios")
    for folder in sorted(scenarios):
        scenario = value(nixpkgs, f"scenarios.{folder.name}", **WHOLE)
        nodes = scenario.get("nodes", {})
        golden = {path.name for path in (folder / "golden").iterdir()}
        check(set(nodes) == golden, f"the scenario {folder.name} has the machines {set(nodes)} and the files of {golden}")
        for node, machine in nodes.items():
            compare(folder / "golden" / node, machine)
            analyze_units(machine["units"], f"{folder.name}.{node}")
            if "nginx" in machine:
                lint_nginx(machine["nginx"], f"{folder.name}.{node}")


def normal(text):
    """The lines of a unit by section, without what NixOS adds to each and what says where things are in the store."""
    section, found = None, set()
    for line in text.splitlines():
        line = re.sub(r"/nix/store/[0-9a-z]{32}-([a-z-]+?)(-[0-9][^/ ]*)?(?=[/ ]|$)", r"\1", line.strip())
        if line.startswith("["):
            section = line
        elif line and not re.match(r"Environment=|X-\w+-Triggers=|WantedBy=|ExecStart=\S*(unit-script|-start)|Default", line):
            key, _, text = line.partition("=")
            # Lists that NixOS sorts in its own way.
            words = tuple(sorted(text.split())) if section == "[Unit]" else text
            found.add((section, key, words))
    return {entry for entry in found if entry[0] != "[Install]"}


def compare(golden, machine):
    """What the stand-ins of the tests make is what NixOS makes."""
    folder = golden / "etc/systemd/system"
    kept = {path.name: path.read_text() for path in folder.glob("cache-server*")} if folder.is_dir() else {}
    check(set(kept) == set(machine["units"]), f"{golden} has the units {set(kept)}, and NixOS makes {set(machine['units'])}")
    for name in set(kept) & set(machine["units"]):
        ours, theirs = normal(kept[name]), normal(machine["units"][name])
        check(ours == theirs, f"{folder / name}: only here {ours - theirs}, only from NixOS {theirs - ours}")
    for name, script in machine["scripts"].items():
        found = list((golden / "nix/store").glob(f"*-unit-script-{name.replace('@', '_')}-start"))
        is_same = len(found) == 1 and found[0].read_text().endswith(script)
        check(is_same, f"{golden}: the script of {name} is another one with NixOS:\n{script}")
    if "settings" in machine:
        configuration = golden / "etc/cache-server/config.yaml"
        rendered = yaml(machine["settings"])
        check(configuration.read_text() == rendered, f"{configuration} is another one with NixOS:\n{rendered}")
    ports = "".join(f"{kind} {' '.join(map(str, sorted(machine[kind])))}\n" for kind in ("tcp", "udp") if machine[kind])
    kept = golden / "firewall"
    check(not kept.exists() or kept.read_text() == ports, f"{kept} is another one with NixOS: {ports}")


def test_documentation(nixpkgs):
    """The options as they go to nixpkgs' own program, which takes undocumented ones for errors."""
    options = value(nixpkgs, "documentation", **WHOLE)
    check(len(options) > 100, f"only {len(options)} options are documented")
    with tempfile.TemporaryDirectory() as directory:
        base, ours = Path(directory) / "base.json", Path(directory) / "options.json"
        base.write_text("{}")
        ours.write_text(json.dumps(options))
        merge = nixpkgs / "nixos/lib/make-options-doc/mergeJSON.py"
        merged = run("python3", str(merge), "--warnings-are-errors", str(base), str(ours))
        check(merged.returncode == 0, f"the options are not documented as nixpkgs wants it:\n{merged.stderr}")
        check(str(PROJECT) not in merged.stdout.replace(f"{PROJECT}/nixos-module", ""), "a default is a path of this machine")
        ours.write_text(merged.stdout)
        render_documentation(nixpkgs, ours, Path(directory) / "options.md")


# What renders the manual of NixOS takes Python 3.12 and two libraries, which test.sh installs here.
RENDERER = "/opt/cache-server-test-tools/render-docs/bin/python"


def render_documentation(nixpkgs, options, manual):
    places = ["pkgs/by-name/ni/nixos-render-docs/src", "pkgs/tools/nix/nixos-render-docs/src"]
    source = next((nixpkgs / place for place in places if (nixpkgs / place).is_dir()), nixpkgs)
    main = f"import sys; sys.path.insert(0, '{source}'); import nixos_render_docs; sys.exit(nixos_render_docs.main())"
    if run(RENDERER, "-c", "import markdown_it, mdit_py_plugins").returncode != 0 or source == nixpkgs:
        skip("the manual with the options: there is no Python 3.12 with markdown-it-py and mdit-py-plugins, or no nixos-render-docs")
        return
    command = ["options", "commonmark", "--manpage-urls", str(nixpkgs / "doc/manpage-urls.json"), "--revision", "none"]
    rendered = run(RENDERER, "-c", main, *command, str(options), str(manual))
    check(rendered.returncode == 0, f"the manual with the options cannot be rendered: {rendered.stderr}")
    if rendered.returncode == 0:
        check("server\\.key-file" in manual.read_text(), f"the manual lacks options:\n{manual.read_text()[:2000]}")


# What the pull request changes, or what finds that by its own place. Of the rest a link is enough.
COPIED = ["nixos", "lib", "maintainers", "pkgs/top-level", "pkgs/by-name/ca"]


def copy_nixpkgs(nixpkgs, copy):
    """A copy of nixpkgs that can be changed, without most of its packages."""

    def link(folder):
        (copy / folder).mkdir(parents=True)
        for path in (nixpkgs / folder).iterdir():
            name = str(folder / path.name)
            if name in COPIED:
                shutil.copytree(path, copy / name, symlinks=True)
            elif path.is_dir() and (name in ("pkgs", "pkgs/by-name") or folder.name == "by-name"):
                # Links to the folders of by-name are not followed.
                link(folder / path.name)
            elif path.is_dir():
                (copy / name).symlink_to(path)
            else:
                shutil.copy(path, copy / name)

    link(Path())


def test_pull_request(nixpkgs):
    """What a pull request to nixpkgs would hold works there, and nothing of it is missing or twice."""
    if not (nixpkgs / "nixos/doc/manual/redirects.json").exists():
        skip(f"the pull request to nixpkgs: {nixpkgs} is of 2024 or older")
        return
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "nixpkgs"
        copy_nixpkgs(nixpkgs, copy)
        apply = str(HERE.parent / "nixpkgs/apply")
        for _ in range(2):
            applied = run(apply, str(copy))
            check(applied.returncode == 0, f"the pull request cannot be applied: {applied.stderr}")
        found = {
            name: (copy / file).read_text().count(text)
            for name, (file, text) in {
                "module": ("nixos/modules/module-list.nix", "  ./services/networking/cache-server\n"),
                "test": ("nixos/tests/all-tests.nix", "  cache-server = runTest ./cache-server;\n"),
                "anchor": ("nixos/doc/manual/redirects.json", '"module-services-cache-server": ['),
            }.items()
        }
        check(set(found.values()) == {1}, f"the lists of nixpkgs have entries for us: {found}")
        notes = [path.read_text().count("services.cache-server](#opt-") for path in copy.glob("nixos/doc/manual/release-notes/*")]
        check(sum(notes) == 1, "there is not one release note")
        which = {"file": "applied.nix", "argument": "nixpkgs"}
        evaluated = evaluate(copy, "", **which)
        check(evaluated.returncode == 0, f"nixpkgs with the pull request: {evaluated.stderr}")
        if evaluated.returncode != 0:
            return
        result = json.loads(evaluated.stdout)
        check(result["test"] == result["passthru"], "the package is tested by something else than NixOS")
        check(result["package"] == result["usesPackage"], "the module runs another package")
        chapter = str(copy / "nixos/modules/services/networking/cache-server/cache-server.md")
        check(chapter in result["chapters"], f"the manual has no chapter {chapter}")
        anchors = set(re.findall(r"\{#([\w-]+)\}", Path(chapter).read_text()))
        redirects = json.loads((copy / "nixos/doc/manual/redirects.json").read_text())
        check(anchors <= set(redirects), f"the manual knows no place for {anchors - set(redirects)}")


# A flake in the place of nixpkgs, which is too large to be copied to a store. It may lack packages; see nixpkgs.nix.
NIXPKGS_FLAKE = """
{{
  outputs = _: {{
    lib = import {nixpkgs}/lib;
    legacyPackages = builtins.listToAttrs (
      map (system: {{
        name = system;
        value = import {here}/nixpkgs.nix {{ nixpkgs = {nixpkgs}; inherit system; }};
      }}) [ "x86_64-linux" "aarch64-linux" ]
    );
  }};
}}
"""


def test_flake(nixpkgs):
    """`nix flake check --no-build`."""
    with tempfile.TemporaryDirectory() as directory:
        flake, other = Path(directory) / "flake", Path(directory) / "nixpkgs"
        shutil.copytree(PROJECT, flake, ignore=shutil.ignore_patterns("target", ".git"), symlinks=True)
        other.mkdir()
        (other / "flake.nix").write_text(NIXPKGS_FLAKE.format(nixpkgs=nixpkgs, here=HERE))
        for path in nixpkgs.iterdir():
            if path.is_dir():
                (other / path.name).symlink_to(path)
        command = ["nix", "--extra-experimental-features", "nix-command flakes", "--store", f"{directory}/store"]
        command += ["flake", "check", "--no-build", "--impure", "--no-write-lock-file"]
        command += ["--override-input", "nixpkgs", f"path:{other}", f"path:{flake}"]
        environment = ENVIRONMENT | {"NIX_REMOTE": "", "XDG_CACHE_HOME": f"{directory}/cache"}
        checked = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
        check(checked.returncode == 0, f"nix flake check: {checked.stderr[-6000:]}")
        # The store is read-only for its owner as well.
        subprocess.run(["chmod", "-R", "u+w", directory], check=False)


def test_darwin(nixpkgs, darwin):
    """The client on macOS: the passwords are made of the tokens, and what is built is pushed to each cache by itself."""
    file = str(HERE / "darwin.nix")
    arguments = ["--arg", "nixpkgs", str(nixpkgs), "--arg", "darwin", str(darwin)]
    evaluated = run("nix-instantiate", "--eval", "--strict", "--json", file, *arguments)
    check(evaluated.returncode == 0, f"the client on macOS: {evaluated.stderr}")
    if evaluated.returncode != 0:
        return
    machine = json.loads(evaluated.stdout)
    check(not machine["failures"], f"nix-darwin refuses the client: {machine['failures']}")
    daemons = machine["daemons"]
    pushes = {f"cache-server-client-push-{name}" for name in ("internal", "spare")}
    check(set(daemons) == pushes | {"cache-server-client-netrc"}, f"launchd runs {set(daemons)}")
    for name, daemon in daemons.items():
        check(run("bash", "-n", "-c", daemon["script"]).returncode == 0, f"{name} is no script:\n{daemon['script']}")
    for name in pushes & set(daemons):
        (queue,) = daemons[name]["settings"]["QueueDirectories"]
        for what in ("hook", "activation"):
            check(queue in machine[what], f"the {what} knows no {queue}")
        check(f"queue={queue}\n" in daemons[name]["script"], f"{name} does not look at {queue}")
    for path in machine["plists"].values():
        plistlib.loads(path.encode())
    check(len(machine["plists"]) == len(daemons), f"there are the files {set(machine['plists'])}")
    with tempfile.TemporaryDirectory() as directory:
        netrc = make_passwords(daemons["cache-server-client-netrc"], directory)
        expected = "machine internal.cache.example.org login token password token-0\nmachine 2001:db8::1 login token password token-1\ntoken-2\n\n"
        check(netrc.read_text() == expected, f"the passwords are {netrc.read_text()}")
        check(netrc.stat().st_mode & 0o77 == 0, "others may read the passwords")


def make_passwords(daemon, directory):
    """Runs the script that makes the file with passwords, in another place."""
    tokens = re.findall(r"cat '(\S+?)'", daemon["script"])
    script = daemon["script"].replace("/run/cache-server-client", f"{directory}/run")
    for number, token in enumerate(tokens):
        (Path(directory) / str(number)).write_text(f"token-{number}\n")
        script = script.replace(token, f"{directory}/{number}")
    made = run("bash", "-c", script)
    check(made.returncode == 0, f"no passwords are made: {made.stderr}")
    return Path(directory) / "run/netrc"
