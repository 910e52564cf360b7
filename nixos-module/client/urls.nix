# What the URL of a cache says.
{ lib }:
{
  # The host as Nix looks it up in its netrc file: without port, and without the brackets of an IPv6 address.
  hostOf =
    url:
    let
      parts = builtins.match "[a-z0-9+]+://(\\[([^]]+)]|([^]/:?[]+)).*" url;
      bracketed = builtins.elemAt parts 1;
    in
    if parts == null then
      throw "services.cache-server-client: ${url} names no host"
    else if bracketed != null then
      bracketed
    else
      builtins.elemAt parts 2;

  # Where to push to. Left to itself, Nix compresses with xz, which takes twenty times as long as zstd.
  pushUrl =
    url:
    if builtins.match ".*[?&]compression=.*" url != null then
      url
    else
      "${url}${if lib.hasInfix "?" url then "&" else "?"}compression=zstd";
}
