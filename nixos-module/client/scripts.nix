# What the services of the client run, for sh.
{ lib }:
let
  inherit (import ./urls.nix { inherit lib; }) hostOf pushUrl;
  quote = import ../lib/quote.nix { inherit lib; };
in
{
  # Makes the file in which Nix looks up passwords of the tokens, in a directory; `tokenOf` names the file with the token of a
  # cache, and `others` are files with more passwords, all of them for the shell. The server takes any login. Without one, curl 7.88 and others find the password of the last machine
  # only.
  netrc =
    {
      directory,
      caches,
      tokenOf,
      others,
    }:
    ''
      {
    ''
    + lib.concatStrings (
      lib.mapAttrsToList (name: cache: ''
        printf 'machine %s login token password %s\n' ${quote (hostOf cache.url)} "$(cat ${tokenOf name cache})"
      '') caches
    )
    # The last line of a file need not end.
    + lib.concatMapStrings (file: "cat ${file}\necho\n") others
    + ''
      } > "${directory}/netrc.new"
      mv "${directory}/netrc.new" "${directory}/netrc"
    '';

  # Pushes what is in the queue of a cache.
  push =
    { queue, cache }:
    ''
      queue=${queue}
      url=${quote (pushUrl cache.url)}
    ''
    + builtins.readFile ./push.sh;
}
