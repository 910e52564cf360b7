# Texts for unit files, where blanks separate words and `%` has a meaning of its own.
{ lib }:
let
  # What is taken as a whole, such as the file behind the name of a credential.
  whole = text: lib.replaceStrings [ "%" ] [ "%%" ] "${text}";
  quoted =
    text: if builtins.match "[a-zA-Z0-9/._:@%+=,$-]*" text != null then text else builtins.toJSON text;
in
{
  inherit whole;

  # One of several words, such as a directory.
  word = text: whole (quoted text);

  # A word of a command line, where `$` means variables.
  argument = text: lib.replaceStrings [ "$" ] [ "$$" ] (whole (quoted text));
}
