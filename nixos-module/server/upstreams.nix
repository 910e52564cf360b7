# Option `upstreams` of a cache: URLs with keys behind them, or the keys of a mapping where a text does not say enough.
{ lib, keys }:
let
  inherit (lib) mkOption types;
  inherit (keys.cache) upstreams;
in
mkOption {
  type = types.nullOr (types.listOf (types.either types.str (keys.section keys.upstream { })));
  default = null;
  inherit (upstreams) description;
  example = [
    "nixos"
    {
      url = "https://private.example.org";
      public-keys = [ "private.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
      token-file = "/run/secrets/upstream-token";
    }
  ];
}
