# Stands in for the options of NixOS that the modules set, with the types that matter.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  option =
    type: default:
    mkOption {
      inherit type default;
    };
  list = option (types.listOf types.str) [ ];
  text = option types.str "";
  anything = option types.anything { };

  # Values of unit files; NixOS takes them alike.
  value =
    let
      one = types.oneOf [
        types.bool
        types.int
        types.str
        types.path
        types.package
      ];
    in
    types.either one (types.listOf one);
  section = option (types.attrsOf value) { };

  unit = options: option (types.attrsOf (types.submodule { options = common // options; })) { };
  common = {
    description = text;
    documentation = list;
    wantedBy = list;
    requires = list;
    wants = list;
    after = list;
    before = list;
    unitConfig = section;
    restartTriggers = option (types.listOf types.unspecified) [ ];
    reloadTriggers = option (types.listOf types.unspecified) [ ];
  };
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    warnings = list;

    specialisation = option (types.attrsOf (
      types.submodule { options.configuration = option types.deferredModule { }; }
    )) { };

    systemd = {
      services = unit {
        environment = section;
        path = option (types.listOf types.unspecified) [ ];
        preStart = text;
        script = text;
        scriptArgs = text;
        serviceConfig = section;
        stopIfChanged = option types.bool true;
      };
      sockets = unit {
        listenStreams = list;
        socketConfig = section;
      };
      paths = unit { pathConfig = section; };
      tmpfiles.settings = option (types.attrsOf (
        types.attrsOf (types.attrsOf (types.attrsOf types.str))
      )) { };
    };

    environment = {
      etc = option (types.attrsOf (
        types.submodule {
          options = {
            source = option types.unspecified null;
            text = option (types.nullOr types.str) null;
            mode = option types.str "0644";
          };
        }
      )) { };
      systemPackages = option (types.listOf types.package) [ ];
    };

    users = {
      users = option (types.attrsOf (
        types.submodule {
          options = {
            isSystemUser = option types.bool false;
            isNormalUser = option types.bool false;
            group = text;
            description = text;
            extraGroups = list;
          };
        }
      )) { };
      groups = option (types.attrsOf (types.submodule { })) { };
    };

    networking = {
      firewall = {
        allowedTCPPorts = option (types.listOf types.port) [ ];
        allowedUDPPorts = option (types.listOf types.port) [ ];
      };
      hosts = option (types.attrsOf (types.listOf types.str)) { };
    };

    nix = {
      package = anything;
      settings = option (types.attrsOf (
        types.oneOf [
          types.bool
          types.int
          types.str
          (types.listOf types.str)
        ]
      )) { };
    };

    services.nginx = {
      enable = option types.bool false;
      upstreams = option (types.attrsOf (
        types.submodule {
          options = {
            servers = option (types.attrsOf (types.attrsOf types.str)) { };
            extraConfig = option types.lines "";
          };
        }
      )) { };
      virtualHosts = option (types.attrsOf (
        types.submodule (
          import ./modules/services/web-servers/nginx/vhost-options.nix { inherit config lib; }
        )
      )) { };
    };
  };

  config = lib.mkIf config.services.nginx.enable {
    systemd.services.nginx = {
      description = "Nginx Web Server";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig.ExecStart = "${pkgs.nginx}/bin/nginx -c /etc/nginx/nginx.conf -g 'daemon off;'";
    };
  };
}
