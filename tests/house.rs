//! How `src` is built (`docs/architecture.md`): which file may use which, and how long a file and a function may be.
//!
//! A file *uses* another one where it names an item that is defined there, by `use` or by a path that begins with
//! `crate`, `self` or `super`. The name is followed through re-exports to the file that defines it, so that a re-export
//! neither hides a use nor makes one: `pub use` alone is no use, and neither is `mod`. A parent and its child are two
//! files as any others: where both name items of each other, that is a circle.
//!
//! What is compiled for tests alone (`cfg` with `test`) is left out, and paths inside of macros are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token, UseTree, Visibility};

/// A room uses those on lower floors and, without a circle, those on its own.
const FLOORS: [(&str, u8); 7] = [
    ("tls", 0),
    ("wire", 0),
    ("running", 1),
    ("outgoing", 1),
    ("postgres", 1),
    ("sender", 2),
    ("receiver", 2),
];

/// What the receiver may use of the sender: the public handle of the host's own telemetry, and what that one answers.
const SHOWN_BY_THE_RECEIVER: [&str; 5] = [
    "sender::telemetry",
    "sender::status",
    "sender::outcome",
    "sender::request::PreviewedRequest",
    "sender::scheduler::SendNowError",
];

const LONGEST_FILE: usize = 350;
const LONGEST_FUNCTION: usize = 60;

/// A module by the names that lead to it from the root of the crate.
type Module = Vec<String>;

/// A file of `src`, which is one module with those that stand inside of it.
#[derive(Default)]
struct Source {
    path: PathBuf,
    lines: usize,
    /// Name, and line count, of each function.
    functions: Vec<(String, usize)>,
    /// The names that `use` brings in, and the paths they stand for.
    imports: BTreeMap<String, Module>,
    /// The absolute paths that it uses: private imports, paths in the code, re-exports that the code names itself.
    used: BTreeSet<Module>,
}

/// The crate, read from `src/lib.rs` along its `mod` declarations.
#[derive(Default)]
struct House(BTreeMap<Module, Source>);

impl House {
    fn read() -> Self {
        let mut house = Self::default();
        house.add(Vec::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
        house
    }

    fn add(&mut self, module: Module, path: PathBuf) {
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tests =
            file.items.iter().find(|item| matches!(item, Item::Mod(tests) if is_for_tests(&tests.attrs)));
        let lines = match tests {
            Some(tests @ Item::Mod(inline)) if inline.content.is_some() => tests.span().start().line - 1,
            _ => text.lines().count(),
        };
        let children: Vec<String> = file.items.iter().filter_map(child).collect();
        let mut reader = Reader {
            module: &module,
            children: &children,
            source: Source::default(),
            exports: Vec::new(),
            first_names: BTreeSet::new(),
        };
        reader.visit_file(&file);
        let (exports, first_names) = (reader.exports, reader.first_names);
        let mut source = Source { path: path.clone(), lines, ..reader.source };
        source
            .used
            .extend(exports.into_iter().filter(|(name, _)| first_names.contains(name)).map(|(_, path)| path));
        let folder = match path.file_name() {
            Some(name) if name == "lib.rs" || name == "mod.rs" => {
                path.parent().expect("a file is in a folder").to_owned()
            }
            _ => path.with_extension(""),
        };
        self.0.insert(module.clone(), source);
        for child in children {
            let beside = folder.join(format!("{child}.rs"));
            let path = if beside.is_file() { beside } else { folder.join(&child).join("mod.rs") };
            self.add([module.clone(), vec![child]].concat(), path);
        }
    }

    /// The path of the item itself, behind all re-exports, and the module that defines it.
    fn definition(&self, path: &Module) -> Option<(Module, &Module)> {
        let (module, source) = (1..=path.len())
            .rev()
            .find_map(|length| self.0.get_key_value(&path[..length]))
            .or_else(|| self.0.get_key_value(&[][..]))?;
        let imported = path.get(module.len()).and_then(|name| source.imports.get(name));
        match imported {
            Some(imported) if imported != path => {
                self.definition(&[imported.as_slice(), &path[module.len() + 1..]].concat())
            }
            _ if module.is_empty() => None,
            _ => Some((path.clone(), module)),
        }
    }

    /// Each use of one file by another: who, whom, and the item.
    fn uses(&self) -> BTreeSet<(&Module, &Module, Module)> {
        let all = self.0.iter().flat_map(|(from, source)| source.used.iter().map(move |path| (from, path)));
        all.filter_map(|(from, path)| self.definition(path).map(|(item, to)| (from, to, item)))
            .filter(|(from, to, _)| from != to)
            .collect()
    }
}

/// A file's module that has a file of its own and is not for tests alone.
fn child(item: &Item) -> Option<String> {
    match item {
        Item::Mod(item) if item.content.is_none() && !is_for_tests(&item.attrs) => {
            Some(item.ident.to_string())
        }
        _ => None,
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.filter_map(|attribute| attribute.parse_args().ok()).any(|condition| names_test(&condition))
}

/// Whether `test` is among what a condition of `cfg` asks for.
fn names_test(condition: &Meta) -> bool {
    match condition {
        Meta::List(list) if list.path.is_ident("all") || list.path.is_ident("any") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(names_test)),
        other => other.path().is_ident("test"),
    }
}

/// Reads one file.
struct Reader<'a> {
    module: &'a Module,
    children: &'a [String],
    source: Source,
    exports: Vec<(String, Module)>,
    first_names: BTreeSet<String>,
}

impl Reader<'_> {
    /// The path from the root of the crate, where it leads into this crate.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([self.module.as_slice(), rest].concat()),
            "super" => {
                let mut parent = self.module.clone();
                parent.pop()?;
                let above = rest.iter().take_while(|name| *name == "super").count();
                parent.truncate(parent.len().checked_sub(above)?);
                Some([parent.as_slice(), &rest[above..]].concat())
            }
            child if self.children.iter().any(|name| name == child) => {
                Some([self.module.as_slice(), path].concat())
            }
            _ => None,
        }
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], is_private: bool) {
        let joined = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        let (name, path) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &joined(&path.ident), is_private),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, prefix, is_private));
            }
            UseTree::Glob(_) => (None, prefix.to_vec()),
            UseTree::Name(name) if name.ident == "self" => (prefix.last().cloned(), prefix.to_vec()),
            UseTree::Name(name) => (Some(name.ident.to_string()), joined(&name.ident)),
            UseTree::Rename(rename) => (Some(rename.rename.to_string()), joined(&rename.ident)),
        };
        let Some(path) = self.absolute(&path) else { return };
        if is_private {
            self.source.used.insert(path.clone());
        }
        if let Some(name) = name {
            self.exports.push((name.clone(), path.clone()));
            self.source.imports.insert(name, path);
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = block.span().end().line + 1 - signature.span().start().line;
        self.source.functions.push((signature.ident.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.import(&item.tree, &[], matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.source.used.extend(self.absolute(&names));
        }
        self.first_names.extend(names.into_iter().next());
        visit::visit_path(self, path);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            self.function(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.function(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }
}

/// What can be reached from `start` along `uses`.
fn reached<'a>(uses: &'a BTreeSet<(String, String)>, start: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
    while let Some(node) = open.pop() {
        let next = uses.iter().filter(|(from, _)| from == node).map(|(_, to)| to.as_str());
        open.extend(next.filter(|to| seen.insert(*to)));
    }
    seen
}

/// What lies in circles: each set of nodes that reach each other, with the uses between them.
fn circles(uses: &BTreeSet<(String, String)>) -> Vec<String> {
    let nodes: BTreeSet<&str> = uses.iter().map(|(from, _)| from.as_str()).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        nodes.iter().map(|node| (*node, reached(uses, node))).collect();
    let reach = |from: &str, to: &str| reached.get(from).is_some_and(|others| others.contains(to));
    let sets: BTreeSet<Vec<&str>> = nodes
        .iter()
        .map(|node| nodes.iter().copied().filter(|other| reach(node, other) && reach(other, node)).collect())
        .filter(|together: &Vec<&str>| !together.is_empty())
        .collect();
    let drawn = |set: Vec<&str>| {
        let within = |(from, to): &&(String, String)| set.contains(&&**from) && set.contains(&&**to);
        let uses = uses.iter().filter(within).map(|(from, to)| format!("\n    {from} uses {to}"));
        format!("{}:{}", set.join(", "), uses.collect::<String>())
    };
    sets.into_iter().map(drawn).collect()
}

fn listed(module: &Module) -> String {
    module.join("::")
}

#[track_caller]
fn assert_none(what: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{what}:\n  {}", offenders.join("\n  "));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let house = House::read();
    let between = house.uses().into_iter().map(|(from, to, _)| (listed(from), listed(to))).collect();
    assert_none("files in a circle", circles(&between));
}

#[test]
fn no_rooms_use_each_other_in_a_circle() {
    let house = House::read();
    let room = |module: &Module| module.first().cloned().unwrap_or_default();
    let uses = house.uses().into_iter().map(|(from, to, _)| (room(from), room(to)));
    assert_none("rooms in a circle", circles(&uses.filter(|(from, to)| from != to).collect()));
}

#[test]
fn a_circle_is_found_and_what_only_leads_to_it_is_left_out() {
    let uses = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")];
    let uses = uses.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
    assert_eq!(circles(&uses), ["b, c:\n    b uses c\n    c uses b"]);
}

#[test]
fn a_room_uses_lower_rooms_only() {
    let house = House::read();
    let floor = |module: &Module| {
        let room = module.first().map_or("", String::as_str);
        FLOORS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("{room} is on no floor")).1
    };
    let is_shown = |item: &Module| {
        SHOWN_BY_THE_RECEIVER.iter().any(|shown| {
            let item = listed(item);
            item == *shown || item.starts_with(&format!("{shown}::"))
        })
    };
    let wrong = house.uses().into_iter().filter(|(from, ..)| !from.is_empty()).filter(|(from, to, item)| {
        match (from[0].as_str(), to[0].as_str()) {
            ("sender", "receiver") => true,
            ("receiver", "sender") => !is_shown(item),
            _ => floor(from) < floor(to),
        }
    });
    assert_none(
        "uses of what lies above",
        wrong.map(|(from, _, item)| format!("{} uses {}", listed(from), listed(&item))).collect(),
    );
}

#[test]
fn files_and_functions_are_short() {
    let house = House::read();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut long = Vec::new();
    for source in house.0.values() {
        let path = source.path.strip_prefix(root).expect("it is in the package").display();
        if source.lines > LONGEST_FILE {
            long.push(format!(
                "{path} has {} lines before its tests, more than {LONGEST_FILE}",
                source.lines
            ));
        }
        let functions = source.functions.iter().filter(|(_, lines)| *lines > LONGEST_FUNCTION);
        long.extend(functions.map(|(name, lines)| {
            format!("{path}: `{name}` has {lines} lines, more than {LONGEST_FUNCTION}")
        }));
    }
    assert_none("too long", long);
}

#[test]
fn every_room_is_read() {
    let house = House::read();
    for room in FLOORS {
        assert!(house.0.contains_key(&vec![room.0.to_owned()]), "there is no room {}", room.0);
    }
    assert!(house.uses().len() > 100, "{} uses", house.uses().len());
}
