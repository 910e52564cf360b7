# What nixpkgs as a whole makes of the package, the modules and the scenarios: nothing of NixOS is stood in for.
{
  nixpkgs,
  # Files with modules that pages show.
  shown ? [ ],
}:
let
  pkgs = import ./nixpkgs.nix { inherit nixpkgs; };
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
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = [
        ../.
        machine
      ]
      ++ modules;
    };
  configure = modules: (nixos modules).config;

  examples = lib.mapAttrs (_: configure) {
    readme-server = [
      ../../vm-tests/single-node/server.nix
      { users.users.operator.isNormalUser = true; }
    ];
    readme-builder = [ ../../vm-tests/single-node/builder.nix ];
    readme-node = [ ../../vm-tests/federation/node.nix ];
    readme-deploy = [ ../../vm-tests/deploy/server.nix ];
    readme-agent = [
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

  configured =
    folder:
    lib.mapAttrs' (
      file: _: lib.nameValuePair (lib.removeSuffix ".nix" file) (configure [ (folder + "/${file}") ])
    ) (builtins.readDir folder);

  scenarios = lib.mapAttrs (
    _: scenario:
    pkgs.testers.runNixOSTest {
      imports = [ scenario ];
      # So that the file of nginx is one of /etc.
      defaults.services.nginx.enableReload = true;
    }
  ) (import ../../vm-tests);

  odd = import ./odd.nix {
    inherit
      configure
      lib
      nixpkgs
      pkgs
      ;
  };

  # What NixOS makes for us, as texts.
  isOurs = lib.hasPrefix "cache-server";
  textsOf =
    config:
    let
      file = config.environment.etc."cache-server/config.yaml".source;
      # Checked, if a program for this kind of machine can be asked.
      inherit (file.generated or file) value;
    in
    {
      units = lib.mapAttrs (_: unit: unit.text) (
        lib.filterAttrs (name: unit: isOurs name && unit.enable) config.systemd.units
      );
      scripts = lib.mapAttrs (_: service: service.script) (
        lib.filterAttrs (name: service: isOurs name && service.script != "") config.systemd.services
      );
      tcp = config.networking.firewall.allowedTCPPorts;
      udp = config.networking.firewall.allowedUDPPorts;
    }
    // lib.optionalAttrs (config.services.cache-server.enable or false) {
      settings = if lib.isString value then builtins.fromJSON value else value;
    }
    // lib.optionalAttrs config.services.nginx.enable {
      # As it goes to gixy when the system is built.
      nginx = config.environment.etc."nginx/nginx.conf".source.text;
    };

  described =
    config:
    textsOf config
    // {
      system = config.system.build.toplevel.drvPath;
      inherit (config) warnings;
    };
in
{
  package = (import ../../default.nix { inherit pkgs; }).drvPath;
  # What nixpkgs passes by itself must not take the place of our files.
  source = baseNameOf (import ../../default.nix { inherit pkgs; }).src;

  machines = lib.mapAttrs (_: described) (
    configured ./configurations // configured ./machines // examples
  );

  # Each on a machine with a server.
  shown = map (
    file:
    described (configure [
      { services.cache-server.enable = true; }
      { services.cache-server.settings.caches.main = { }; }
      file
    ])
  ) shown;

  # Each by itself, as all of them at once take a lot of memory.
  oddNames = lib.attrNames odd;
  odd = lib.mapAttrs (_: described) odd;

  scenarios = lib.mapAttrs (_: test: {
    driver = test.driver.drvPath;
    nodes = lib.mapAttrs (_: textsOf) test.nodes;
  }) scenarios;

  # Of the options, as it goes to nixpkgs' own programs.
  documentation =
    let
      documented = pkgs.nixosOptionsDoc {
        options = {
          services = {
            inherit ((nixos [ ]).options.services) cache-server cache-server-client;
          };
        };
        warningsAreErrors = true;
      };
    in
    documented.optionsNix;
}
