//! A recipe at work: installed, its files in a folder of its own, its command started.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use test_support::programs::{self, Port, Service};

use crate::host::SOON;
use crate::recipe::Recipe;

/// The program of a recipe, listening; it ends with this.
pub(crate) struct Running {
    pub(crate) recipe: Recipe,
    service: Service,
    folder: TempDir,
}

impl Running {
    pub(crate) fn start(title: &'static str) -> Self {
        Self::start_with(Recipe::of(title), &[])
    }

    /// Starts a recipe whose program is in one of these folders, or among those the machine has.
    pub(crate) fn start_with(recipe: Recipe, path: &[PathBuf]) -> Self {
        let port = Port::reserve();
        let documented = recipe.port();
        let recipe = recipe.with(&documented, &port.number().to_string());
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut path = path.to_vec();
        for (name, content) in recipe.blocks() {
            match name {
                "install" => {
                    content.lines().for_each(|line| path.extend(install(line, folder.path(), &recipe)))
                }
                name if name.contains('.') => {
                    fs::write(folder.path().join(name), content).expect("a new file")
                }
                _ => {}
            }
        }
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let path = env::join_paths(path).expect("no folder has a colon in its name");

        let shell = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-ec", script]).current_dir(folder.path()).env("PATH", &path);
            command
        };
        for (_, script) in recipe.blocks().into_iter().filter(|(name, _)| *name == "prepare") {
            let output = shell(script).output().expect("a shell");
            assert!(output.status.success(), "{script}: {output:?}");
        }
        let command = shell(&in_place_of_the_shell(recipe.block("start")));
        let service = Service::start(command, port);
        Self { recipe, service, folder }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.service.port()
    }

    /// What is in one of its files by now.
    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// All it has printed.
    pub(crate) fn output(&self) -> Vec<String> {
        self.service.process().output()
    }

    /// Waits until it prints such a line.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.service.process().wait_for_line(wanted, SOON)
    }
}

/// Does what a line of a recipe says, once for all runs; says where the programs are that it needs besides.
fn install(line: &str, folder: &Path, recipe: &Recipe) -> Option<PathBuf> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["python3", "-m", "venv", "venv"] => None,
        ["venv/bin/pip", "install", requirements @ ..] => {
            assert_versions(requirements, "==", recipe);
            let program = programs::python(requirements, "python");
            let environment = program.ancestors().nth(2).expect("it is in bin");
            symlink(environment, folder.join("venv")).expect("a new link");
            None
        }
        ["npm", "install", requirements @ ..] => {
            assert_versions(requirements, "@", recipe);
            let modules = programs::npm(requirements).join("node_modules");
            symlink(modules, folder.join("node_modules")).expect("a new link");
            Some(folder_of(&programs::node()))
        }
        ["apt-get", "install", package] => Some(folder_of(&programs::debian(package, package))),
        _ => panic!("no recipe installs by {line:?}"),
    }
}

/// The table at the top names the versions that the recipe installs.
fn assert_versions(requirements: &[&str], separator: &str, recipe: &Recipe) {
    for requirement in requirements {
        let (_, version) = requirement.rsplit_once(separator).expect("a version");
        assert!(recipe.row().contains(version), "{requirement} is not what the table says: {}", recipe.row());
    }
}

fn folder_of(program: &Path) -> PathBuf {
    program.parent().expect("a program is in a folder").to_owned()
}

/// The last command becomes the process that was started, so that it ends when that is killed.
fn in_place_of_the_shell(script: &str) -> String {
    let script = script.trim_end();
    let (before, last) = script.rsplit_once('\n').unwrap_or(("", script));
    format!("{before}\nexec {last}")
}
