# What the tests compare: the machines of the configurations here and of the scenarios, and what is said of wrong ones.
{ nixpkgsLib }:
let
  lib = import nixpkgsLib;
  evaluate = import ./stub { inherit lib; };

  files =
    machine: if machine.refusals == [ ] then machine.files else throw (toString machine.refusals);

  entries = directory: lib.attrNames (builtins.readDir directory);
  configurations = lib.listToAttrs (
    map (
      file:
      lib.nameValuePair (lib.removeSuffix ".nix" file) (
        files (evaluate [ (./configurations + "/${file}") ])
      )
    ) (entries ./configurations)
  );

  wrong = import ./wrong.nix;
  scenarios = import ../../vm-tests/evaluate.nix { inherit lib evaluate files; };
in
{
  inherit configurations scenarios;

  # What is said of each; what ends an evaluation is for one of its own.
  refusals = lib.mapAttrs (_: case: (evaluate [ case.module ]).refusals) (
    lib.filterAttrs (_: case: !(case.throws or false)) wrong
  );
  throws = lib.mapAttrs (_: case: files (evaluate [ case.module ])) (
    lib.filterAttrs (_: case: case.throws or false) wrong
  );
  messages = lib.mapAttrs (_: case: case.message) wrong;

  # Options by the names that they had once, and as a list, as the file has it.
  renamed =
    let
      as =
        names:
        evaluate [
          {
            services.cache-server = names // {
              enable = true;
            };
          }
        ];
      old = as {
        server.standalone = true;
        caches.main.priority = 20;
        workspaces.production.cache = "main";
        agents.webserver.workspace = "production";
        openFirewall.api = true;
      };
      new = as {
        settings = {
          server.standalone = true;
          caches = [
            {
              name = "main";
              priority = 20;
            }
          ];
          workspaces = [
            {
              name = "production";
              cache = "main";
            }
          ];
          agents.webserver.workspace = "production";
        };
        firewall.api = true;
      };
    in
    {
      old = old.files;
      new = new.files;
      inherit (old.config) warnings;
    };

  # The sockets of a daemon with an address for Prometheus.
  metrics =
    lib.mapAttrs
      (_: socket: {
        streams = socket.listenStreams;
        failure = socket.unitConfig.OnFailure or null;
      })
      (evaluate [
        {
          services.cache-server = {
            enable = true;
            settings.caches.main = { };
            settings.server.metrics-address = "[::1]:9105";
          };
        }
      ]).config.systemd.sockets;

  flake = import ./stub/flake.nix { inherit lib; };

  # The options with their documentation, to see that there is one for each.
  documentation =
    map
      (option: {
        inherit (option) name description;
        default = option.default.text or "";
      })
      (
        lib.filter (option: option.visible or true && !option.internal or false) (
          lib.concatMap (lib.optionAttrSetToDocList) [
            { inherit ((evaluate [ ]).options) services; }
          ]
        )
      );
}
