use super::*;

const REST: &str = "0123456789abcdef0123456789abcdef012345";

fn build_ids(tree: &Tree) -> Vec<String> {
    let mut debug_info = DebugInfo::new();
    parse(&tree.to_nar()[..], &mut debug_info).unwrap();
    let ids = debug_info.into_build_ids();
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn debug_files_are_found_by_their_build_ids() {
    let name = format!("{REST}.debug");
    let ids = at(
        "lib/debug/.build-id",
        directory([
            ("00", directory([(&name, file("x"))])),
            ("ab", directory([(&name, Tree::File(true, vec![]))])),
        ]),
    );
    assert_eq!(build_ids(&ids), [format!("00{REST}"), format!("ab{REST}")]);
    assert_eq!(build_ids(&dumped_tree()), [""; 0]);
}

#[test]
fn what_nix_would_not_index_is_left_out() {
    let good = format!("{REST}.debug");
    let upper = good.to_uppercase();
    let short = format!("{}.debug", &REST[1..]);
    let long = format!("{REST}0.debug");
    let cases = [
        ("lib/debug/.build-id/AB", good.as_str(), file("")),
        ("lib/debug/.build-id/a", &good, file("")),
        ("lib/debug/.build-id/abc", &good, file("")),
        ("lib/debug/.build-id/ab", &upper, file("")),
        ("lib/debug/.build-id/ab", &short, file("")),
        ("lib/debug/.build-id/ab", &long, file("")),
        ("lib/debug/.build-id/ab", REST, file("")),
        ("lib/debug/.build-id/ab", &good, directory([])),
        ("lib/debug/.build-id/ab", &good, Tree::Symlink(b"x".into())),
        ("lib/debug/.build-id/ab/cd", &good, file("")),
        ("lib/debug/.build-id", &good, file("")),
        ("x/lib/debug/.build-id/ab", &good, file("")),
        ("lib/x/.build-id/ab", &good, file("")),
        ("debug/.build-id/ab", &good, file("")),
    ];
    for (path, name, tree) in cases {
        let tree = at(path, directory([(name, tree)]));
        assert_eq!(build_ids(&tree), [""; 0], "{path}/{name}");
    }
}

#[test]
fn directories_beside_the_path_do_not_confuse_it() {
    let name = format!("{REST}.debug");
    let ab = directory([("0", directory([])), (&name, file(""))]);
    let ids = directory([("0", directory([("ab", directory([]))])), ("ab", ab)]);
    let debug = directory([(".a", directory([])), (".build-id", ids)]);
    let tree = directory([
        ("bin", at("debug/.build-id/ab", file(""))),
        ("lib", directory([("a", directory([])), ("debug", debug)])),
    ]);
    assert_eq!(build_ids(&tree), [format!("ab{REST}")]);
}

#[test]
fn a_build_id_says_where_its_file_lies() {
    let id: BuildId = format!("ab{REST}").parse().unwrap();
    assert_eq!(id.to_string(), format!("ab{REST}"));
    assert_eq!(id.member(), format!("lib/debug/.build-id/ab/{REST}.debug"));
    for text in ["", REST, &format!("AB{REST}"), &format!("ab{REST}0"), &"é".repeat(20)] {
        assert_eq!(text.parse::<BuildId>(), Err(ParseBuildIdError), "{text}");
    }
}

#[test]
fn the_number_of_build_ids_is_bounded() {
    let mut debug_info = DebugInfo::new();
    for name in ["", "lib", "debug", ".build-id", "ab"] {
        debug_info.enter_directory(name.as_bytes());
    }
    let header = FileHeader { executable: false, size: 0, offset: 0 };
    for number in 0..MAX_BUILD_IDS + 5 {
        debug_info.file(format!("{number:038x}.debug").as_bytes(), header);
    }
    assert_eq!(debug_info.into_build_ids().len(), MAX_BUILD_IDS);
}
