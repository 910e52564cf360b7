# A closure of N paths beside its root, the same hashes every time: references to earlier paths and to itself, symbolic
# links, executables, empty files and directories, text that compresses and text that hardly does.
{
  n ? 20,
}:
let
  hash = text: builtins.hashString "sha256" text;
  # A number below `limit` that depends on the text only.
  pick =
    text: limit:
    let
      number = (builtins.fromTOML "number = 0x${builtins.substring 0 7 (hash text)}").number;
    in
    number - limit * (number / limit);
  noise =
    seed: lines:
    builtins.concatStringsSep "\n" (builtins.genList (line: hash "${seed} ${toString line}") lines);
  path =
    name: references: lines:
    derivation {
      inherit name references;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      PATH = "/usr/bin:/bin";
      noise = noise name lines;
      args = [
        "-c"
        ''
          echo "making $name"
          mkdir -p $out/bin $out/share/empty
          echo "#!/bin/sh" > $out/bin/$name
          echo "echo $name lives in $out" >> $out/bin/$name
          chmod +x $out/bin/$name
          ln -s $name $out/bin/alias
          : > $out/share/nothing
          for reference in $references; do echo $reference; done > $out/share/references
          echo "$noise" > $out/share/noise
        ''
      ];
    };
  paths = builtins.genList (
    number:
    let
      name = "closure-${toString number}";
      earlier = attempt: builtins.elemAt paths (pick "${name} ${attempt}" number);
    in
    path name (
      if number == 0 then
        [ ]
      else
        map earlier [
          "a"
          "b"
          "c"
        ]
    ) (1 + pick name 400)
  ) n;
in
path "closure-root" paths 10
