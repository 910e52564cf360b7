# Something like a system: a path that runs, and needs two others. Built by what a sandbox has without nixpkgs.
{
  name ? "system",
}:
let
  build =
    name: script:
    derivation {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [
        "-c"
        script
      ];
    };
  text = build "${name}-text" "echo 'hello from ${name}' > $out";
  data = build "${name}-data" ''
    i=0
    while [ $i -lt 20000 ]; do echo "${name} line $i"; i=$((i + 1)); done > $out
  '';
in
build name ''
  { echo '#!/bin/sh'; echo 'read line < ${text}; echo "$line"; : ${data}'; } > $out
  /bin/chmod 755 $out 2>/dev/null || true
''
