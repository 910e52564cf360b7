# Pushes what is noted down in the directory $queue to the cache at $url, and strikes it off. For bash.
#
# Paths go together, so that their closures are looked at once; a batch has a bound for the sake of the command line. Nix
# remembers for 30 days that a cache had a path, and would not push again what was deleted there since.
cd "$queue"
while
  set --
  for note in *; do
    if [ -e "$note" ]; then set -- "$@" "$note"; else rm -f -- "$note"; fi
    [ $# -lt 200 ] || break
  done
  [ $# -gt 0 ]
do
  nix --extra-experimental-features nix-command copy --option narinfo-cache-positive-ttl 0 --to "$url" "${@/#//nix/store/}"
  rm -- "$@"
done
