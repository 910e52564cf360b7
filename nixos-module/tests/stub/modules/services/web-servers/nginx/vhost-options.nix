# Stands in for the options of a virtual host that the module sets, in the place where NixOS has them.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  option =
    type: default:
    mkOption {
      inherit type default;
      description = "An option of NixOS.";
    };
in
{
  options = {
    listen = option (types.listOf types.anything) [ ];
    quic = option types.bool false;
    serverAliases = option (types.listOf types.str) [ ];
    enableACME = option types.bool false;
    useACMEHost = option (types.nullOr types.str) null;
    forceSSL = option types.bool false;
    addSSL = option types.bool false;
    onlySSL = option types.bool false;
    extraConfig = option types.lines "";
    locations = option (types.attrsOf (
      types.submodule {
        options = {
          proxyPass = option types.str "";
          proxyWebsockets = option types.bool false;
          recommendedProxySettings = option types.bool false;
          extraConfig = option types.lines "";
        };
      }
    )) { };
  };
}
