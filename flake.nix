{
  description = "A self-hosted, distributed Nix binary cache that speaks the Cachix protocol";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forAllSystems = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});

      # One package has both programs.
      cacheServerOf = pkgs: pkgs.callPackage ./package.nix { };

      scenarios = import ./vm-tests;

      machineWith =
        pkgs:
        import "${nixpkgs}/nixos/lib/eval-config.nix" {
          system = null;
          modules = [
            ./nixos-module/demo/machine.nix
            {
              nixpkgs = { inherit pkgs; };
              system.stateVersion = lib.trivial.release;
            }
          ];
        };

      lint =
        pkgs: name: packages: command:
        pkgs.runCommand "cache-server-${name}" { nativeBuildInputs = packages; } ''
          cd ${self}
          ${command}
          touch "$out"
        '';
    in
    {
      packages = forAllSystems (pkgs: rec {
        cache-server = cacheServerOf pkgs;
        cachectl = cache-server // {
          meta = cache-server.meta // {
            mainProgram = "cachectl";
          };
        };
        default = cache-server;

        # A throw-away server, and a machine with one: `nix run .#demo`, `nix run .#vm`.
        demo = pkgs.writeShellApplication {
          name = "cache-server-demo";
          runtimeInputs = [ cache-server ];
          text = lib.removePrefix "#!/usr/bin/env bash\n" (builtins.readFile ./nixos-module/demo/run);
        };
        vm = (machineWith pkgs).config.system.build.vm;
      });

      nixosConfigurations.demo = machineWith nixpkgs.legacyPackages.x86_64-linux;

      overlays.default = final: _: { cache-server = cacheServerOf final; };

      nixosModules = {
        default = ./nixos-module;
        server = ./nixos-module/server;
        client = ./nixos-module/client;
      };

      # Machines that fetch and push, with nix-darwin.
      darwinModules.default = ./nixos-module/client/darwin.nix;

      formatter = forAllSystems (pkgs: pkgs.nixfmt-tree);

      devShells = forAllSystems (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (cacheServerOf pkgs) ];
          packages = [
            pkgs.cargo-nextest
            pkgs.clippy
            pkgs.deadnix
            pkgs.garage
            pkgs.nixfmt
            pkgs.postgresql
            pkgs.rustfmt
          ];
        };
      });

      # Every scenario in virtual machines, and the lints.
      checks = forAllSystems (
        pkgs:
        lib.mapAttrs' (
          name: scenario: lib.nameValuePair "scenario-${name}" (pkgs.testers.runNixOSTest scenario)
        ) scenarios
        // {
          package = cacheServerOf pkgs;
          nixfmt = lint pkgs "nixfmt" [ pkgs.nixfmt ] "find . -name '*.nix' -exec nixfmt --check {} +";
          deadnix = lint pkgs "deadnix" [ pkgs.deadnix ] "deadnix --fail .";
          rustfmt = lint pkgs "rustfmt" [
            pkgs.cargo
            pkgs.rustfmt
          ] "cargo fmt --all --check";
          module =
            lint pkgs "module"
              [
                pkgs.curl
                pkgs.gixy
                pkgs.iproute2
                pkgs.nginx
                pkgs.nix
                pkgs.openssl
                pkgs.python3
                pkgs.systemd
                pkgs.util-linux
              ]
              ''
                export HOME=$TMPDIR NIX_STATE_DIR=$TMPDIR/state NIXPKGS_LIB=${nixpkgs}/lib
                python3 nixos-module/tests/run --bin ${cacheServerOf pkgs}/bin
              '';
        }
      );
    };
}
