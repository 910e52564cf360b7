"""Types lines at a shell on a terminal, as a person does: `terminal.py SHELL… -- LINE…`. `<TAB>` is that key.

The first line has to set the prompt to `READY> `, without containing that text. Prints all that appeared on the terminal.
"""

import os
import pty
import select
import sys
import time

# The longest that a shell may take for one line, in seconds.
MOST = 60
PROMPT = b"READY> "

split = sys.argv.index("--")
shell, lines = sys.argv[1:split], sys.argv[split + 1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(shell[0], shell)
seen = b""


def wait_for(is_there):
    global seen
    end = time.monotonic() + MOST
    while not is_there():
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        piece = b""
        if ready:
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:
                pass
        if not piece:
            sys.stdout.buffer.write(seen)
            sys.exit("the shell shows no prompt")
        seen += piece


def type_line(line):
    os.write(terminal, line.replace("<TAB>", "\t").encode() + b"\r")


# The first prompt is the shell's own. Each line is typed at a prompt that comes after the line before.
wait_for(lambda: seen)
for line in lines:
    before = seen.count(PROMPT)
    type_line(line)
    wait_for(lambda: seen.count(PROMPT) > before)
sys.stdout.buffer.write(seen)
