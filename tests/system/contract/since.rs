//! Every item of the contract says since which version it is there: what tells a component of an older version what it may rely on.

use std::fs;

use plugway_harness::guests::root;

/// Whether a line begins an item that can be imported, exported or named by itself. Fields, cases and `use` belong to one.
fn is_item(line: &str) -> bool {
    const BEGINS: [&str; 11] =
        ["interface ", "world ", "record ", "variant ", "enum ", "flags ", "resource ", "type ", "import ", "export ", "constructor("];
    BEGINS.iter().any(|begin| line.starts_with(begin)) || line.contains(": func(") || line.contains(": static func(")
}

#[test]
fn every_item_says_since_when_it_is_there() {
    let (mut items, mut without) = (0, Vec::new());
    for file in fs::read_dir(root().join("wit")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "wit") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("package plugway:gateway@0.1.0;\n"), "{}", path.display());
        let mut before = "";
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if is_item(line) {
                items += 1;
                if before != "@since(version = 0.1.0)" {
                    without.push(format!("{}:{}: {line}", path.display(), number + 1));
                }
            }
            before = line;
        }
    }
    assert!(items > 200, "only {items} items were found");
    assert!(without.is_empty(), "no `@since` above: {without:#?}");
}
