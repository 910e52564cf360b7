"""The licence texts of everything that is linked into the programs."""

import html
import re
from pathlib import Path

from .dependencies import foreign_crates
from .programs import PROJECT, run

# Files with texts, also of the C libraries that some crates contain.
TEXT = re.compile(r"(licen[sc]e|copying|copyright|notice|unlicense)([-._].*)?", re.IGNORECASE)
# Source files may be called that, too.
CODE = {".rs", ".c", ".h", ".py", ".sh", ".pl", ".toml", ".go", ".html", ".in"}
# Folders with what is not compiled into a program.
UNUSED = {"tests", "test", "benches", "examples", "fuzz", "target", "contrib", "doc", "docs", "build"}
# C code in the public domain has a statement where others have a licence.
PUBLIC_DOMAIN = {"libsqlite3-sys": "contains SQLite, whose authors dedicated it to the public domain"}

HEAD = """\
Licences of the dependencies of cache-server

The programs contain the crates listed below and the standard library of Rust. A crate with several licences joined by OR is used
under one of them, at your choice. The texts follow the list; each is there once, below the names of the crates that come with it.
Some cover files in the source of a crate that are not part of the programs, such as the tools of xz.
"""


def find_texts(crate):
    """The licence texts in the source of a crate."""
    texts = []
    for path in sorted(crate.source.rglob("*")):
        inner = path.relative_to(crate.source)
        if UNUSED & set(inner.parts[:-1]) or path.suffix in CODE or not path.is_file():
            continue
        if TEXT.fullmatch(path.name) or inner.parts[0] == "LICENSES":
            texts.append(path.read_text(errors="replace"))
    return texts


def words(text):
    """A text without the line breaks and spaces in which copies of it differ."""
    return " ".join(text.split())


def mit(holder):
    """Our own licence, which is MIT, with another holder."""
    return re.sub(r"Copyright \(c\) .*", f"Copyright (c) {holder}", (PROJECT / "LICENSE").read_text())


def stand_in(crate, others):
    """The text for a crate that comes without one: that of a crate from the same repository, else the text of the licence that its
    manifest names, with the authors that it names."""
    for other in others:
        if other.repository.removesuffix(".git") == crate.repository.removesuffix(".git") and (texts := find_texts(other)):
            return texts
    for other in others:
        if set(crate.authors) & set(other.authors) and other.license == crate.license and (texts := find_texts(other)):
            return texts
    if "MIT" in crate.license:
        return [mit(", ".join(crate.authors) or f"the authors of {crate.name}, {crate.repository}")]
    if crate.license == "Apache-2.0":
        # It names nobody, so it is the same for everybody.
        return [toolchain_texts("licenses/Apache-2.0.txt")[0]]
    raise SystemExit(f"packaging/build: {crate.name} {crate.version} ({crate.license}) comes without a licence text")


def standard_library():
    """The texts that come with the compiler: its licences, and the page that names the authors of each part of the library."""
    return toolchain_texts("licenses/MIT.txt", "licenses/Apache-2.0.txt", "COPYRIGHT-library.html")


def toolchain_texts(*names):
    """Texts that come with the compiler."""
    folder = Path(run("rustc", "--print", "sysroot", cwd=PROJECT).strip()) / "share/doc/rust"
    texts = [folder / name for name in names]
    missing = [str(path) for path in texts if not path.exists()]
    if missing:
        raise SystemExit(f"packaging/build: the Rust toolchain comes without {', '.join(missing)}")
    return [as_text(path.read_text()) for path in texts]


def as_text(page):
    """A page without its markup."""
    if not page.startswith("<"):
        return page
    page = re.sub(r"<(style|script|head).*?</\1>|<[^>]*>", "", page, flags=re.DOTALL)
    return re.sub(r"\n\s*\n+", "\n\n", html.unescape(page))


def render():
    crates = foreign_crates()
    lines, texts, holders = [HEAD], {}, {}

    def add(text, name):
        texts.setdefault(words(text), text.replace("\r\n", "\n").strip("\n"))
        holders.setdefault(words(text), {})[name] = None

    for crate in crates:
        note = f"; {PUBLIC_DOMAIN[crate.name]}" if crate.name in PUBLIC_DOMAIN else ""
        lines.append(f"{crate.name} {crate.version}: {crate.license}, {crate.repository}{note}")
        for text in find_texts(crate) or stand_in(crate, crates):
            add(text, f"{crate.name} {crate.version}")
    lines.append("Standard library of Rust: MIT OR Apache-2.0, https://github.com/rust-lang/rust")
    for text in standard_library():
        add(text, "standard library of Rust")
    for key, names in holders.items():
        lines += ["", "=" * 100, ", ".join(names), "=" * 100, "", texts[key]]
    return "\n".join(lines) + "\n"
