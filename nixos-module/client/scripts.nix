# What the services of the client run, for sh.
{ lib }:
let
  inherit (import ./urls.nix { inherit lib; }) hostOf pushUrl;
in
{
  # Makes the file in which Nix looks up passwords of the tokens, in a directory; `tokenOf` names the file with the token of a
  # cache, for the shell. The server takes any login. Without one, curl 7.88 and others find the password of the last machine
  # only.
  netrc =
    {
      directory,
      caches,
      tokenOf,
    }:
    ''
      {
    ''
    + lib.concatStrings (
      lib.mapAttrsToList (name: cache: ''
        printf 'machine %s login token password %s\n' ${lib.escapeShellArg (hostOf cache.url)} "$(cat ${tokenOf name cache})"
      '') caches
    )
    + ''
      } > "${directory}/netrc.new"
      mv "${directory}/netrc.new" "${directory}/netrc"
    '';

  # Pushes what is in the queue of a cache. Paths go together, so that their closures are looked at once; a batch has a bound for
  # the sake of the command line. Nix remembers for 30 days that a cache had a path, and would not push again what was deleted
  # there since.
  push =
    { queue, cache }:
    ''
      cd ${queue}
      while
        set --
        for note in *; do
          if [ -e "$note" ]; then set -- "$@" "$note"; else rm -f -- "$note"; fi
          [ $# -lt 200 ] || break
        done
        [ $# -gt 0 ]
      do
        nix --extra-experimental-features nix-command copy --option narinfo-cache-positive-ttl 0 --to ${lib.escapeShellArg (pushUrl cache.url)} "''${@/#//nix/store/}"
        rm -- "$@"
      done
    '';
}
