//! Adopting what the original Python server has. The tables are those that it creates (`cache_server_app/src/database.py`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::{run, succeeds, summary};
use crate::harness::{Compression, Path, Site};

const SCHEMA: &str = "
CREATE TABLE binary_cache (id VARCHAR UNIQUE PRIMARY KEY NOT NULL, name VARCHAR UNIQUE NOT NULL, url VARCHAR UNIQUE NOT NULL,
  token VARCHAR NOT NULL, access VARCHAR NOT NULL, port INT UNIQUE NOT NULL, retention INT NOT NULL, strategy VARCHAR NOT NULL,
  strategy_state VARCHAR NOT NULL);
CREATE TABLE storage (id VARCHAR UNIQUE PRIMARY KEY, name VARCHAR NOT NULL, type VARCHAR NOT NULL, root VARCHAR NOT NULL,
  cache_id VARCHAR, FOREIGN KEY(cache_id) REFERENCES binary_cache(id));
CREATE TABLE store_path (id VARCHAR UNIQUE PRIMARY KEY, store_hash VARCHAR, store_suffix VARCHAR, file_hash VARCHAR, file_size INT,
  nar_hash VARCHAR, nar_size INT, deriver VARCHAR, refs VARCHAR, storage_id VARCHAR, FOREIGN KEY(storage_id) REFERENCES storage(id));
INSERT INTO binary_cache VALUES ('c1', 'pub', 'http://old', 't', 'public', 1, 1, 'in-order', '{}'),
  ('c2', 'other', 'http://old2', 't', 'public', 2, 1, 'in-order', '{}');
INSERT INTO storage VALUES ('s1', 'disk', 'local', 'old', 'c1'), ('s2', 'disk', 'local', 'old-2', 'c2');
";

fn row(path: &Path, storage: &str) -> String {
    format!(
        "INSERT INTO store_path VALUES ('{0}', '{0}', '{1}', '{2}', {3}, '{4}', {5}, '{6}', '{7}', '{storage}');\n",
        path.hash,
        path.name,
        path.file_hash_hex(),
        path.file.len(),
        path.nar_hash(),
        path.nar.len(),
        path.deriver.as_deref().unwrap_or("unknown-deriver"),
        path.references.join(" "),
    )
}

#[test]
fn the_paths_of_the_original_server_are_adopted_without_a_copy() {
    let site = Site::start();
    let home = site.directory().join("original");
    let files = home.join("old/disk");
    fs::create_dir_all(&files).unwrap();
    let dependency = Path::small("dependency");
    let root = Path::small("root").compressed_with(Compression::Xz).referring_to([dependency.base_name()]);
    let (missing, damaged, foreign) =
        (Path::small("missing"), Path::small("damaged"), Path::small("foreign"));
    let mut script = SCHEMA.to_owned();
    for path in [&dependency, &root, &damaged, &foreign] {
        let file = files.join(format!("{}.nar.{}", path.file_hash_hex(), path.compression.extension()));
        fs::write(file, &path.file).unwrap();
    }
    for path in [&dependency, &root, &missing, &damaged] {
        script.push_str(&row(path, "s1"));
    }
    script.push_str(&row(&foreign, "s2"));
    let broken = files.join(format!("{}.nar.zst", damaged.file_hash_hex()));
    let mut bytes = fs::read(&broken).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&broken, bytes).unwrap();
    let made = Command::new("sqlite3").arg(home.join("node.db")).arg(&script).status().unwrap();
    assert!(made.success());
    fs::write(home.join("config.yaml"), "server:\n  database: node.db\n").unwrap();
    let source = format!("python://{}", home.join("config.yaml").display());

    let planned = run(&site, &["import", &source, "--cache", "pub", "--dry-run"], "");
    assert_eq!(summary(&planned).0["imported"], 3);
    assert!(site.stored_nars("pub").is_empty());

    let (done, code) = summary(&run(&site, &["import", &source, "--cache", "pub"], ""));
    assert_eq!((code, &done["imported"]), (8, &2.into()), "{done}");
    let reasons = done["skipped"].to_string();
    assert!(
        reasons.contains("its file is missing") && reasons.contains("did not pass the check"),
        "{reasons}"
    );
    for path in [&dependency, &root] {
        site.reader("pub").assert_has(path);
        let old = files.join(format!("{}.nar.{}", path.file_hash_hex(), path.compression.extension()));
        let new = site.storage_dir("pub").join(path.file_url());
        assert_eq!(fs::metadata(old).unwrap().ino(), fs::metadata(new).unwrap().ino(), "one file");
    }
    for path in [&missing, &damaged, &foreign] {
        site.reader("pub").assert_lacks(path);
    }
    // Nothing is left of what was not adopted.
    assert_eq!(site.stored_nars("pub").len(), 2);
    let narinfos = site.stored_files("pub").into_iter().filter(|file| file.ends_with(".narinfo"));
    assert_eq!(narinfos.count(), 2);
    let again = summary(&run(&site, &["import", &source, "--cache", "pub"], "")).0;
    assert_eq!((&again["imported"], &again["present"]), (&0.into(), &2.into()));
    // The files of the original server may go.
    fs::remove_dir_all(&home).unwrap();
    site.reader("pub").assert_has(&root);
    succeeds(&site, &["fsck", "--cache", "pub", "--dry-run"]);
}
