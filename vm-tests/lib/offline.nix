# A machine that asks no binary cache but those of the scenario.
{ config, lib, ... }:
{
  nix.settings.substituters = lib.mkForce (
    map (cache: cache.url) (lib.attrValues config.services.cache-server-client.caches)
  );
}
