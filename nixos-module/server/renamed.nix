# Options that had other names once.
{ lib, ... }:
let
  inherit (lib) mkRenamedOptionModule;
  sectionOf =
    name:
    mkRenamedOptionModule
      [
        "services"
        "cache-server"
        name
      ]
      [
        "services"
        "cache-server"
        "settings"
        name
      ];
in
{
  imports = map sectionOf [
    "server"
    "caches"
    "workspaces"
    "agents"
  ];
}
