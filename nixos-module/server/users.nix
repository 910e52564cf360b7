# Who owns what.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cache-server;
  rendering = import ./rendering.nix { inherit lib pkgs cfg; };
  outside = rendering.outside != [ ];
in
{
  config = lib.mkIf cfg.enable {
    users.groups.${cfg.adminGroup} = { };

    # systemd makes the user up while the daemon runs, and gives it the state directory every time. Files on disks of
    # their own need an owner that stays; the unit takes the user of this name then.
    users.users.cache-server = lib.mkIf outside {
      isSystemUser = true;
      group = "cache-server";
      description = "Nix binary cache";
    };
    users.groups.cache-server = lib.mkIf outside { };
  };
}
