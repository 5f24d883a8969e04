//! Which crate may import which: the table in ARCHITECTURE.md against the manifests.

use std::collections::BTreeMap;

use cargo_metadata::DependencyKind::Development;

use super::{metadata, read};

#[test]
fn a_crate_imports_only_what_its_row_allows() {
    let text = read("ARCHITECTURE.md");
    let rows: BTreeMap<_, Vec<_>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix('|')?.split_once("` | "))
        .map(|(name, imports)| (name, imports.split([' ', '|']).collect()))
        .collect();
    // Crates of others that have a row may be named by those alone whom the row lists.
    let owned = |name: &str| rows.get(name).filter(|row| row.contains(&"only"));
    for package in metadata().workspace_packages() {
        let name = package.name.as_str();
        let row = rows.get(name).unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for {name}"));
        for dependency in package.dependencies.iter().filter(|it| it.kind != Development) {
            let import = dependency.name.as_str();
            let allowed = match owned(import) {
                Some(owners) => owners.contains(&name),
                None => dependency.path.is_none() || row.contains(&import),
            };
            assert!(allowed || row.contains(&"any"), "{name} may not import {import}");
        }
    }
}
