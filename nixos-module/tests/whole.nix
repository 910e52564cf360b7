# What nixpkgs as a whole makes of the package, the modules and the scenarios: nothing of NixOS is stood in for.
{ nixpkgs }:
let
  system = "x86_64-linux";
  # A copy of nixpkgs may lack generated files of many megabytes. What needs them here is not looked at.
  lacksHaskell =
    !(builtins.pathExists (nixpkgs + "/pkgs/development/haskell-modules/hackage-packages.nix"));
  withoutHaskell =
    _: previous:
    let
      linter = previous.hello // {
        compiler.bootstrapAvailable = true;
      };
    in
    {
      cachix = previous.hello;
      shellcheck = linter;
      shellcheck-minimal = linter;
      nixfmt = linter;
    };
  pkgs = import nixpkgs {
    inherit system;
    config = { };
    overlays = if lacksHaskell then [ withoutHaskell ] else [ ];
  };
  inherit (pkgs) lib;

  # What any machine has to say before it can be built.
  machine =
    { config, ... }:
    {
      nixpkgs.pkgs = pkgs;
      boot.loader.grub.enable = false;
      fileSystems."/" = {
        device = "none";
        fsType = "tmpfs";
      };
      system.stateVersion = lib.trivial.release;
      security.acme = {
        acceptTerms = true;
        defaults.email = "operator@example.org";
        certs = lib.mkIf (config.services.cache-server.nginx.useACMEHost != null) {
          "cache.example.org" = {
            dnsProvider = "manual";
            group = "nginx";
          };
        };
      };
      # So that the file of nginx is one of /etc.
      services.nginx.enableReload = true;
    };
  nixos =
    modules:
    (import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        ../.
        machine
      ]
      ++ modules;
    }).config;

  examples = {
    server = nixos [
      ../../vm-tests/single-node/server.nix
      { users.users.operator.isNormalUser = true; }
    ];
    builder = nixos [ ../../vm-tests/single-node/builder.nix ];
    node = nixos [ ../../vm-tests/federation/node.nix ];
    deploy = nixos [ ../../vm-tests/deploy/server.nix ];
    agent = nixos [
      {
        networking.hostName = "webserver";
        services.cachix-agent = {
          enable = true;
          host = "https://cache.example.org";
          credentialsFile = "/run/secrets/cachix-agent-token";
        };
      }
    ];
  };
  configurations = lib.mapAttrs' (
    file: _:
    lib.nameValuePair (lib.removeSuffix ".nix" file) (nixos [ (./configurations + "/${file}") ])
  ) (builtins.readDir ./configurations);
  machines = configurations // examples;
in
{
  package = (import ../../default.nix { inherit pkgs; }).drvPath;
  # What nixpkgs passes by itself must not take the place of our files.
  source = baseNameOf (import ../../default.nix { inherit pkgs; }).src;

  machines = lib.mapAttrs (_: config: config.system.build.toplevel.drvPath) machines;
  warnings = lib.mapAttrs (_: config: config.warnings) machines;

  # The configuration of nginx as it goes to gixy when the system is built.
  nginx = lib.mapAttrs (_: config: config.environment.etc."nginx/nginx.conf".source.text) (
    lib.filterAttrs (_: config: config.services.nginx.enable) machines
  );

  scenarios = lib.mapAttrs (_: scenario: (pkgs.testers.runNixOSTest scenario).driver.drvPath) (
    import ../../vm-tests
  );
}
